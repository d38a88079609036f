// The functions that every integration shares: the transformer, and what imports findings.
import { Aws, Stack } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { Config } from '../config/schema';
import { TributaryFunction } from '../framework/function';
import type { MappingSet } from '../framework/mappings';
import type { Target, Targets } from '../framework/permissions';
import type { CoreStack } from './core-stack';

/** Who the shared functions are in metrics and in the paths of input that names no module itself. */
const MODULE_ID = 'core';

/** Where mapping files in S3 lie. */
function mappingsTarget(uri: string): Target {
  const [, bucket, prefix] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(uri) ?? [];
  return { arns: [`arn:${Aws.PARTITION}:s3:::${bucket}`], ...(prefix ? { prefix: `${prefix}/` } : {}) };
}

/** Security Hub as the functions are told of it. */
function hub(stack: CoreStack, config: Config): { account: string; region: string } {
  return { account: config.securityHub.accountId ?? stack.account, region: config.securityHub.region ?? stack.region };
}

/** The function that maps events to OCSF and delivers them. */
export function transformer(stack: CoreStack, config: Config, mappings: MappingSet | undefined): TributaryFunction {
  const settings = config.coreProcessing.eventTransformer;
  const uri = config.mappings.uri?.startsWith('s3://') ? config.mappings.uri : undefined;
  const features = new Set(stack.features);
  if (uri !== undefined) features.add('changedMappings');
  const { account, region } = hub(stack, config);
  const findings = stack.findings?.queue;
  const fn = new TributaryFunction(stack, 'EventTransformer', {
    core: stack.surroundings,
    handler: 'event-transformer',
    functionName: stack.named('function', settings.functionName ?? 'event-transformer'),
    description: 'Maps events to OCSF and delivers them',
    settings,
    variables: {
      ...stack.lake.variables,
      MODULE_ID,
      STAGING_BUCKET: stack.stagingBucket.bucketName,
      QUARANTINE_BUCKET: stack.quarantine.bucket.bucketName,
      ASFF_ENABLED: String(findings !== undefined),
      ASFF_SQS_QUEUE: findings?.queueUrl,
      ...(findings ? { SECURITY_HUB_ACCOUNT_ID: account, SECURITY_HUB_REGION: region } : {}),
      CLOUDTRAIL_ENABLED: String(stack.trailChannelArn !== undefined),
      CLOUDTRAIL_CHANNEL_ARN: stack.trailChannelArn,
      FLOW_LOG_SQS_QUEUE: features.has('flowLogs') ? stack.flowLogs.queue.queueUrl : undefined,
      ...(uri !== undefined ? { MAPPINGS_URI: uri, MAPPINGS_DIGEST: config.mappings.digest } : mappings?.variables),
    },
    features,
    targets: {
      ...stack.targets,
      key: { arns: [stack.key, stack.quarantine.key].flatMap((key) => (key ? [key.keyArn] : [])) },
      deadLetterQueue: { arns: [stack.events.deadLetters.queueArn] },
      ...(uri !== undefined ? { mappings: mappingsTarget(uri) } : {}),
    },
    ...(mappings ? { layers: [layer(stack, config, mappings)] } : {}),
  });
  fn.consume(stack.events.queue, settings);
  return fn;
}

/** Mapping files beside the function, at /opt/mappings: another set is another version of the layer. */
function layer(stack: CoreStack, config: Config, mappings: MappingSet): lambda.LayerVersion {
  return new lambda.LayerVersion(stack, 'Mappings', {
    layerVersionName: `${config.projectName}-mappings-${config.environment}`,
    description: `Mapping files ${mappings.digest.slice(0, 12)}`,
    code: lambda.Code.fromAsset(mappings.layerFolder),
  });
}

/** The function that imports findings into Security Hub. */
export function securityHubProcessor(stack: CoreStack, config: Config, targets: Targets): TributaryFunction | undefined {
  const settings = config.coreProcessing.securityHubProcessor;
  if (!stack.findings || !settings.enabled) return undefined;
  const { roleArn } = config.securityHub;
  const { account, region } = hub(stack, config);
  const fn = new TributaryFunction(stack as Construct, 'SecurityHubProcessor', {
    core: stack.surroundings,
    handler: 'securityhub-processor',
    functionName: stack.named('function', settings.functionName ?? 'securityhub-processor'),
    description: 'Imports findings into Security Hub',
    settings,
    variables: { MODULE_ID, ASFF_SQS_QUEUE: stack.findings.queue.queueUrl, SECURITY_HUB_REGION: region, SECURITY_HUB_ROLE_ARN: roleArn },
    features: new Set([...stack.features, ...(roleArn === undefined ? [] : ['centralSecurityHub'])]),
    targets: {
      ...targets,
      // The role in the central account imports: this one needs nothing there.
      securityHubProduct: { arns: roleArn === undefined
        ? [`arn:${Aws.PARTITION}:securityhub:${region}:${Stack.of(stack).account}:product/${account}/default`] : [] },
      securityHubRole: { arns: roleArn === undefined ? [] : [roleArn] },
    },
  });
  fn.consume(stack.findings.queue, settings);
  return fn;
}
