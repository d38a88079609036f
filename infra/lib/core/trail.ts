// CloudTrail Lake: an event data store, and the channel that events come by.
import { Duration, type RemovalPolicy, Stack, Aws } from 'aws-cdk-lib';
import * as cloudtrail from 'aws-cdk-lib/aws-cloudtrail';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import type { Config } from '../config/schema';
import { allowService } from './encryption';

/** The channel's ARN: the configured one, or that of a store made here. Undefined where the configuration has it off. */
export function trailChannel(scope: Construct, config: Config, key: kms.Key | undefined, removalPolicy: RemovalPolicy): string | undefined {
  const settings = config.cloudTrailEventDataStore;
  if (!settings.enabled) return undefined;
  if (settings.channelArn !== undefined) return settings.channelArn;
  const inside = new Construct(scope, 'Trail');
  const { account, region } = Stack.of(scope);
  if (key) {
    allowService(key, 'EventDataStore', 'cloudtrail.amazonaws.com', {
      ArnLike: { 'aws:SourceArn': `arn:${Aws.PARTITION}:cloudtrail:${region}:${account}:eventdatastore/*` },
    });
  }
  const store = new cloudtrail.CfnEventDataStore(inside, 'Store', {
    name: `${settings.name}-${config.environment}`,
    retentionPeriod: Duration.days(settings.retentionPeriod).toDays(),
    multiRegionEnabled: false,
    organizationEnabled: false,
    terminationProtectionEnabled: settings.terminationProtectionEnabled ?? config.environment === 'prod',
    ...(key ? { kmsKeyId: key.keyArn } : {}),
    advancedEventSelectors: [{
      name: 'Events of integrations', fieldSelectors: [{ field: 'eventCategory', equalTo: ['ActivityAuditLog'] }],
    }],
  });
  store.applyRemovalPolicy(removalPolicy);
  const channel = new cloudtrail.CfnChannel(inside, 'Channel', {
    name: `${settings.channelName}-${config.environment}`,
    source: 'Custom',
    destinations: [{ type: 'EVENT_DATA_STORE', location: store.attrEventDataStoreArn }],
  });
  return channel.attrChannelArn;
}
