// The stack's key, and who may use it by its own policy.
import { Aws, Duration, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import type { Config } from '../config/schema';

/** Whether encryption is by keys of the account's own. */
export const byOwnKey = (config: Config) => config.encryption.enabled && config.encryption.keyType === 'CUSTOMER_MANAGED_CMK';

/** A key of the stack. Roles of the account use it as far as their own policies let them, through the services that hold what it encrypts. */
export function newKey(scope: Construct, id: string, config: Config, alias: string, description: string, removalPolicy: RemovalPolicy): kms.Key {
  const { keyRotationEnabled, keyPendingWindowInDays } = config.encryption;
  return new kms.Key(scope, id, {
    alias: `alias/${alias}-${config.environment}`,
    description,
    enableKeyRotation: keyRotationEnabled,
    pendingWindow: Duration.days(keyPendingWindowInDays),
    removalPolicy,
  });
}

/** Lets a service use the key for what it does for this account, under a condition. */
export function allowService(key: kms.Key, sid: string, service: string, conditions: Record<string, Record<string, unknown>>): void {
  key.addToResourcePolicy(new iam.PolicyStatement({
    sid,
    principals: [new iam.ServicePrincipal(service)],
    actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
    resources: ['*'],
    conditions: { ...conditions, StringEquals: { ...conditions.StringEquals, 'aws:SourceAccount': Stack.of(key).account } },
  }));
}

/** The shared key: queues, staging, table, secrets, topic and logs. */
export function sharedKey(scope: Construct, config: Config, removalPolicy: RemovalPolicy): kms.Key {
  const { account, region } = Stack.of(scope);
  const key = newKey(scope, 'Key', config, config.encryption.keyAlias, 'Tributary: queues, staging, ledger, secrets, logs', removalPolicy);
  key.addToResourcePolicy(new iam.PolicyStatement({
    sid: 'LogsOfTheFunctions',
    principals: [new iam.ServicePrincipal(`logs.${region}.amazonaws.com`)],
    actions: ['kms:Encrypt*', 'kms:Decrypt*', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:Describe*'],
    resources: ['*'],
    conditions: {
      ArnLike: { 'kms:EncryptionContext:aws:logs:arn': `arn:${Aws.PARTITION}:logs:${region}:${account}:log-group:/aws/lambda/*-${config.environment}` },
    },
  }));
  return key;
}
