// The shape of config.yaml: every key with its default and its rule. docs/CONFIGURATION.md is generated from it.
import { z } from 'zod';

const duration = (low: number, high: number, initial: number, text: string) =>
  z.number().int().min(low).max(high).default(initial).describe(text);
const name = (pattern: RegExp, rule: string) => z.string().regex(pattern, rule);
const topicName = (initial: string, text: string) =>
  name(/^[A-Za-z0-9_-]{1,60}$/, 'letters, digits, - and _, at most 60').default(initial).describe(text);

const deadLetterQueue = z.strictObject({
  maxReceiveCount: z.number().int().min(1).max(1000).default(5)
    .describe('Deliveries of a message before it becomes a dead letter.'),
  messageRetentionPeriod: duration(60, 1209600, 1209600, 'Seconds that a dead letter is kept.'),
}).prefault({});

const sqsQueue = z.strictObject({
  // The stack's other queues have fixed names; two of one name fail only in the middle of a deployment.
  queueName: name(/^(?!(asff-queue|flow-log-queue)(-dlq)?$)[A-Za-z0-9_-]{1,60}$/,
    'letters, digits, - and _, at most 60; not the name of another queue (asff-queue, flow-log-queue)')
    .default('event-queue').describe('Name of the event queue; the environment is appended.'),
  visibilityTimeout: duration(0, 43200, 1800, 'Seconds that a received message stays hidden.'),
  messageRetentionPeriod: duration(60, 1209600, 1209600, 'Seconds that a message is kept.'),
  maxMessageSize: z.number().int().min(1024).max(1048576).default(1048576)
    .describe('Bytes of the largest message.'),
  receiveMessageWaitTime: duration(0, 20, 20, 'Seconds that a receive call waits for messages.'),
  deadLetterQueue,
}).prefault({});

const encryption = z.strictObject({
  enabled: z.boolean().default(true)
    .describe('A key of one\'s own for queues and buckets; without it those of SQS and S3.'),
  keyAlias: name(/^[A-Za-z0-9/_-]{1,200}$/, 'letters, digits, /, - and _').default('tributary')
    .describe('Alias of the key, without alias/; the environment is appended.'),
  keyRotationEnabled: z.boolean().default(true).describe('Rotation of the key every year.'),
  keyPendingWindowInDays: z.number().int().min(7).max(30).default(30)
    .describe('Days between the key\'s deletion being asked for and done.'),
}).prefault({});

const monitoring = z.strictObject({
  alarms: z.strictObject({
    enabled: z.boolean().default(true).describe('Alarms, and the topic that they are told to.'),
    snsTopicName: topicName('tributary-alarms', 'Name of the topic; the environment is appended.'),
    emailEndpoints: z.array(z.email()).max(20).default([]).describe('Addresses that are told; each confirms by mail once.'),
    deadLetterThreshold: z.number().int().min(1).max(100000).default(1).describe('Dead letters that raise the alarm.'),
    queueAgeSeconds: duration(60, 1209600, 3600, 'Age of a queue\'s oldest message that raises the alarm.'),
  }).prefault({}),
}).prefault({});

export const schema = z.strictObject({
  projectName: name(/^[a-z][a-z0-9-]{1,30}$/, 'lower case letters, digits and -, 2 to 31').default('tributary')
    .describe('First part of the stack\'s name.'),
  environment: z.enum(['dev', 'staging', 'prod']).default('dev')
    .describe('Last part of names; in prod, buckets and keys outlive the stack.'),
  awsRegion: name(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region such as eu-central-1').default('us-east-1')
    .describe('Region that the stack is deployed in.'),
  accountId: name(/^\d{12}$/, 'twelve digits, in quotes').optional()
    .describe('Account that the stack is deployed in; that of the credentials without it.'),
  tags: z.record(z.string().min(1).max(128), z.string().max(256)).default({})
    .describe('Tags of every resource.'),
  encryption,
  sqsQueue,
  monitoring,
});

export type Config = z.output<typeof schema>;
