// Rules between keys, each with what to do.
import type { Config } from './schema';

const DAY = 86400;
/** Days beyond the queues' that an operator has to redrive what failed. */
const REDRIVE_DAYS = 1;
/** Characters of the account, the longest region and what joins them, which follow in a bucket's name. */
const BUCKET_SUFFIX = '-111122223333-ap-southeast-1'.length;

function lake(config: Config): string[] {
  const { enabled, s3Bucket, sourcePrefix, sourceLocations, eventClasses, writerRoleArn } = config.securityLake;
  const faults: string[] = [];
  if (enabled && s3Bucket === undefined) {
    faults.push('securityLake.s3Bucket: needed while securityLake.enabled is true: `aws securitylake list-data-lakes` shows it');
  }
  for (const listed of Object.keys(sourceLocations)) {
    if (!eventClasses.includes(Number(listed))) {
      faults.push(`securityLake.sourceLocations.${listed}: the class is not in securityLake.eventClasses`);
    }
  }
  const registers = enabled && writerRoleArn === undefined && config.coreProcessing.securityLakeCustomResource.enabled;
  if (registers && Object.keys(sourceLocations).length > 0) {
    faults.push('securityLake.sourceLocations: the stack registers the sources itself; '
      + 'leave it out, or set coreProcessing.securityLakeCustomResource.enabled to false');
  }
  if (sourcePrefix.length + 'authentication'.length > 22) {
    faults.push('securityLake.sourcePrefix: names of sources get too long for Security Lake; at most 8');
  }
  return faults;
}

function queues(config: Config): string[] {
  const { visibilityTimeout, messageRetentionPeriod, deadLetterQueue } = config.sqsQueue;
  const { eventTransformer, securityHubProcessor } = config.coreProcessing;
  const faults: string[] = [];
  if (eventTransformer.enabled && visibilityTimeout < 6 * eventTransformer.timeout) {
    faults.push(`sqsQueue.visibilityTimeout: ${visibilityTimeout} is less than 6 times coreProcessing.eventTransformer.timeout `
      + `(${6 * eventTransformer.timeout}): messages would come again while they are worked on`);
  }
  for (const [name, settings] of Object.entries({ eventTransformer, securityHubProcessor })) {
    if (settings.batchSize > 10 && settings.maximumBatchingWindowInSeconds === 0) {
      faults.push(`coreProcessing.${name}.maximumBatchingWindowInSeconds: at least 1 with a batchSize above 10`);
    }
  }
  if (deadLetterQueue.messageRetentionPeriod < messageRetentionPeriod) {
    faults.push('sqsQueue.deadLetterQueue.messageRetentionPeriod: at least sqsQueue.messageRetentionPeriod: '
      + 'it counts from when the message was first sent');
  }
  const kept = Math.max(messageRetentionPeriod, deadLetterQueue.messageRetentionPeriod) / DAY + REDRIVE_DAYS;
  if (config.staging.retentionDays < kept) {
    faults.push(`staging.retentionDays: at least ${Math.ceil(kept)}: a batch that is redriven needs what was staged of it`);
  }
  return faults;
}

function places(config: Config): string[] {
  const { uri, digest } = config.mappings;
  const faults: string[] = [];
  if (uri?.startsWith('s3://') && digest === undefined) {
    faults.push('mappings.digest: needed with an s3:// URI: `tributary mappings check --dir DIR --digest` prints it');
  }
  if (uri === undefined && digest !== undefined) faults.push('mappings.digest: is of no use without mappings.uri');
  const { vpc } = config;
  if (vpc && vpc.gatewayEndpoints.length > 0 && vpc.routeTableIds.length === 0) {
    faults.push('vpc.routeTableIds: needed with vpc.gatewayEndpoints');
  }
  const { readRole } = config.quarantine;
  if (readRole.enabled && readRole.principals.length === 0) {
    faults.push('quarantine.readRole.principals: needed while quarantine.readRole.enabled is true');
  }
  if (`${config.projectName}-quarantine-log-${config.environment}`.length + BUCKET_SUFFIX > 63) {
    faults.push('projectName: too long: the names of buckets would have more than 63 characters');
  }
  if (config.securityHub.accountId !== undefined && config.securityHub.accountId !== config.accountId
    && config.securityHub.roleArn === undefined) {
    faults.push('securityHub.roleArn: needed with another account: findings are imported there by that role');
  }
  return faults;
}

/** Everything that is wrong between keys that are right by themselves. */
export function between(config: Config): string[] {
  return [...lake(config), ...queues(config), ...places(config)];
}
