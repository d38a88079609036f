// The shape of config.yaml: every key with its default and its rule. docs/CONFIGURATION.md is generated from it.
import { z } from 'zod';
import { account, functionKeys, key, keyArn, queueKeys, region, resourceName, roleArn, section, text, whole } from './keys';
import { monitoring } from './monitoring';
import { vpc } from './vpc';

/** OCSF classes that have a source, and what its name adds to the prefix: the list of crates/lake/src/layout.rs. */
export const SOURCES: Record<string, string> = {
  1007: 'process', 2002: 'vulnerability', 2003: 'compliance', 2004: 'detection', 2005: 'incident', 3001: 'account',
  3002: 'authentication', 3004: 'entity', 3005: 'access', 3006: 'group', 4001: 'network', 4002: 'http', 4003: 'dns',
  6003: 'api', 6005: 'datastore',
};
const CLASSES = Object.keys(SOURCES).map(Number);

const encryption = section({
  enabled: key(z.boolean().default(true), 'Encryption by KMS; without it by the services\' own keys.'),
  keyType: key(z.enum(['CUSTOMER_MANAGED_CMK', 'AWS_OWNED_CMK']).default('CUSTOMER_MANAGED_CMK'),
    'A key of your own, whose policy and use you see; or keys of AWS\'s, which cost nothing and grant nothing.'),
  keyAlias: key(text(/^[A-Za-z0-9/_-]{1,200}$/, 'letters, digits, /, - and _, at most 200').default('tributary'),
    'Alias of the key, without alias/; the environment is appended.'),
  keyRotationEnabled: key(z.boolean().default(true), 'Rotation of the key every year.'),
  keyPendingWindowInDays: key(whole(7, 30).default(30), 'Days between the key\'s deletion being asked for and done.'),
}).prefault({});

const securityLake = section({
  enabled: key(z.boolean().default(true), 'Events go to Security Lake.'),
  s3Bucket: key(text(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'a bucket\'s name').optional(),
    'The lake\'s bucket, aws-security-data-lake-…: `aws securitylake list-data-lakes` shows it. Needed while `enabled`.'),
  externalId: key(text(/^[\w+=,.@:/-]{2,1224}$/, '2 to 1224 letters, digits and +=,.@:/-').default('tributary'),
    'What a source\'s writer says when it assumes the writer role; also for `writerRoleArn`.'),
  serviceRole: key(roleArn().optional(),
    'Role of the Glue crawlers, made elsewhere; without it the stack makes one, with its Lake Formation grants.'),
  ocsfVersion: key(z.enum(['1.3.0', '1.1.0']).default('1.3.0'), 'OCSF version of the events, and of the sources.'),
  sourcePrefix: key(text(/^[A-Za-z0-9_.-]{1,8}$/, '1 to 8 letters, digits, - _ and .').default('azure-'),
    'What the sources\' names begin with; Security Lake wants names of at most 20.'),
  eventClasses: key(
    z.array(z.number().int().refine((c) => CLASSES.includes(c), `expected one of ${CLASSES.join(', ')}`)).min(1).max(50)
      .refine((list) => new Set(list).size === list.length, 'a class stands twice').default(CLASSES),
    'OCSF classes that get a source; records of others are quarantined.', `of ${CLASSES.join(', ')}`),
  sourceLocations: key(
    z.record(z.string().regex(/^\d+$/, 'expected a class number'), text(/^ext\/[\w.\-/]+\/$/, 'a prefix such as ext/azure-api/1.3.0/'))
      .default({}),
    'Where sources lie that the stack does not register, class to prefix; ext/NAME/VERSION/ without it.', 'class to prefix'),
  kmsKeyArn: key(keyArn().optional(), 'The lake\'s own key, where it has one.'),
  writerRoleArn: key(roleArn().optional(),
    'Role that writes to a lake in another account. Its sources are registered there, not by this stack.'),
}).prefault({});

const coreProcessing = section({
  eventTransformer: section({
    enabled: key(z.boolean().default(true), 'The function that maps events; without it take batches from the event queue yourself.'),
    ...functionKeys({ functionName: 'event-transformer', memorySize: 512, timeout: 300 }),
    ...queueKeys(10, 5),
  }).prefault({}),
  securityHubProcessor: section({
    enabled: key(z.boolean().default(true),
      'The function that imports findings (while `securityHub.enabled`); without it take findings from their queue yourself.'),
    ...functionKeys({ functionName: 'securityhub-processor', memorySize: 256, timeout: 60, reservedConcurrentExecutions: 5 }),
    ...queueKeys(10, 5),
  }).prefault({}),
  securityLakeCustomResource: section({
    enabled: key(z.boolean().default(true),
      'Register one source a class with Security Lake; without it they have to be there (`securityLake.sourceLocations`).'),
    ...functionKeys({ functionName: 'security-lake-source', memorySize: 256, timeout: 900 }),
  }).prefault({}),
}).prefault({});

const sqsQueue = section({
  // Two queues of one name fail only in the middle of a deployment.
  queueName: key(text(/^(?!(asff-queue|flow-log-queue)(-dlq)?$)[A-Za-z0-9_-]{1,60}$/,
    'letters, digits, - and _, at most 60, and not asff-queue or flow-log-queue').default('event-queue'),
  'Name of the event queue; the environment is appended. Its dead letters: NAME-dlq.'),
  visibilityTimeout: key(whole(0, 43200).default(1800),
    'Seconds that a received batch stays hidden. The other queues have six times their function\'s time.',
    '0 to 43200, at least 6 times `eventTransformer.timeout`'),
  messageRetentionPeriod: key(whole(60, 1209600).default(1209600), 'Seconds that a message is kept.'),
  maxMessageSize: key(whole(1024, 1048576).default(1048576), 'Bytes of the largest message; batches may take all of the default.'),
  receiveMessageWaitTime: key(whole(0, 20).default(20), 'Seconds that a receive call waits for messages.'),
  encryption: section({
    useSharedKey: key(z.boolean().default(true), 'Encryption of the queues by the stack\'s key; without it by SQS\'s own.'),
  }).prefault({}),
  deadLetterQueue: section({
    maxReceiveCount: key(whole(1, 1000).default(5), 'Deliveries of a message before it becomes a dead letter.'),
    messageRetentionPeriod: key(whole(60, 1209600).default(1209600),
      'Seconds that a dead letter is kept, from when the message was first sent.', '60 to 1209600, at least the queue\'s'),
  }).prefault({}),
}).prefault({});

const staging = section({
  retentionDays: key(whole(1, 365).default(21), 'Days that staged outcomes and large batches are kept.',
    '1 to 365, longer than queue and dead letters keep messages'),
}).prefault({});

const quarantine = section({
  retentionDays: key(whole(1, 3650).default(90), 'Days that quarantined records are kept: they are raw, and hold personal data.'),
  retiredRetentionDays: key(whole(1, 3650).default(30), 'Days that quarantined records are kept once they were redriven.'),
  readRole: section({
    enabled: key(z.boolean().default(false), 'A role that may read quarantine, and nobody else by this stack.'),
    roleName: key(resourceName().default('tributary-quarantine-reader'), 'Name of the role; the environment is appended.'),
    principals: key(
      z.array(text(/^arn:aws[a-z-]*:iam::\d{12}:(root|role\/.+|user\/.+)$/, 'the ARN of a role, a user, or an account\'s root')).max(20)
        .default([]),
      'Who may assume it; needed while it is enabled.', 'ARNs'),
  }).prefault({}),
  dataEvents: section({
    enabled: key(z.boolean().default(false), 'A trail that records who reads and writes objects of quarantine.'),
    retentionDays: key(whole(1, 3650).default(365), 'Days that the trail\'s log files are kept.'),
  }).prefault({}),
}).prefault({});

const cloudTrailEventDataStore = section({
  enabled: key(z.boolean().default(false),
    'Events go to CloudTrail Lake too. AWS takes no new customers for it since 2026-05-31.'),
  name: key(text(/^[A-Za-z0-9._-]{3,120}$/, '3 to 120 letters, digits, . _ and -').default('tributary-events'),
    'Name of the event data store; the environment is appended.'),
  channelName: key(text(/^[\w.-]{3,120}$/, '3 to 120 letters, digits, . _ and -').default('tributary-channel'),
    'Name of the channel; the environment is appended.'),
  channelArn: key(
    text(/^arn:aws[a-z-]*:cloudtrail:[a-z0-9-]+:\d{12}:channel\/[\w-]+$/, 'the ARN of a channel').optional(),
    'A channel that is there already: neither store nor channel are made.'),
  retentionPeriod: key(whole(7, 3653).default(365), 'Days that events are kept.'),
  terminationProtectionEnabled: key(z.boolean().optional(),
    'Protection of the store from deletion; on in prod without it.'),
}).prefault({});

const securityHub = section({
  enabled: key(z.boolean().default(true), 'Findings go to Security Hub, which has to be on in the account.'),
  accountId: key(account().optional(), 'Account that imports; the stack\'s own without it.'),
  region: key(region().optional(), 'Region that imports; the stack\'s own without it.'),
  roleArn: key(roleArn().optional(), 'Role in a central account that imports there.'),
}).prefault({});

const mappings = section({
  uri: key(text(/^(s3:\/\/[a-z0-9.-]{3,63}(\/[\w.\-/]*)?|(?!s3:)[^\s:][^:]*)$/, 's3://BUCKET/PREFIX, or a folder').optional(),
    'Mapping files in place of the built-in ones: where they lie, or a folder that is deployed with the functions.'),
  digest: key(text(/^[0-9a-f]{64}$/, '64 hexadecimal digits').optional(),
    'Which files are meant (`tributary mappings check --dir DIR --digest`). Needed with s3://; a folder is compared with it.'),
}).prefault({});

const integrations = z.record(
  // Names of functions begin with it: `{id}-eventhub-processor`.
  text(/^[a-z][a-z0-9-]{0,27}$/, 'a lower case letter, then letters, digits and -, at most 28'),
  section({
    enabled: key(z.boolean().default(true), 'Without it nothing of the integration is deployed.'),
    modulePath: key(z.string().min(1).max(1024).optional(),
      'Folder of the module, from the configuration\'s own; modules/ID of the project without it.', 'a folder'),
    config: key(z.record(z.string(), z.unknown()).default({}), 'The module\'s own keys.', 'see the module'),
  }).prefault({}),
).default({});

export const schema = section({
  projectName: key(text(/^[a-z][a-z0-9-]{1,14}$/, 'lower case letters, digits and -, 2 to 15').default('tributary'),
    'First part of the names of stack and buckets.'),
  environment: key(z.enum(['dev', 'staging', 'prod']).default('dev'),
    'Last part of names. In prod, what holds data outlives the stack, and the ledger can be restored to a point in time.'),
  awsRegion: key(region().default('us-east-1'), 'Region that the stack is deployed in.'),
  accountId: key(account().optional(), 'Account that the stack is deployed in; that of the credentials without it.'),
  tags: key(z.record(z.string().min(1).max(128), z.string().max(256)).default({}), 'Tags of every resource.', 'key to value'),
  encryption,
  securityLake,
  coreProcessing,
  sqsQueue,
  staging,
  quarantine,
  cloudTrailEventDataStore,
  securityHub,
  vpc,
  mappings,
  monitoring,
  integrations,
});

export type Config = z.output<typeof schema>;
export type FunctionConfig = Config['coreProcessing']['securityLakeCustomResource'];
