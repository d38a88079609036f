import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { judge } from '../lib/config/load';
import { isOlder, migrate } from '../lib/config/migrate';

const OLDER = parse(`
projectName: tributary
environment: dev
awsRegion: ca-central-1
accountId: ''
tagSource: Kit
tagProduct: Framework
tagKitVersion: 2.0.0
tags:
  - { key: Owner, value: Security-Team }
encryption: { enabled: true, keyType: CUSTOMER_MANAGED_CMK, keyAlias: tributary, keyDescription: Shared key, keyRotationEnabled: true }
securityLake:
  enabled: true
  s3Bucket: aws-security-data-lake-ca-central-1-0123456789
  externalId: said
  serviceRole: SecurityLakeGlueCrawler
  OCSFEventClass: [{ sourceName: unified, eventClasses: [SECURITY_FINDING] }]
azureIntegration:
  enabled: true
  secretsManager: { eventHubSecret: { secretName: azure-eventhub-credentials } }
lambdaFunctions:
  eventHubProcessor: { enabled: true, functionName: azure-eventhub-processor, runtime: python3.13, memorySize: 512, timeout: 300, schedule: rate(5 minutes), environment: { LOGGING_LEVEL: DEBUG, DYNAMODB_TABLE_NAME: x } }
  flowLogProcessor: { enabled: false, memorySize: 1024, timeout: 600 }
  eventTransformer: { enabled: true, runtime: python3.13, memorySize: 768, timeout: 60, lambdaLayerArn: '', eventDataStoreEnabled: false }
  securityHubProcessor: { enabled: true, memorySize: 256, timeout: 60 }
sqsQueue: { enabled: true, queueName: event-queue, visibilityTimeout: 300, messageRetentionPeriod: 345600, maxMessageSize: 262144, deadLetterQueue: { enabled: true, queueName: event-dlq, maxReceiveCount: 3, messageRetentionPeriod: 1209600 } }
flowLogQueue: { queueName: flows }
dynamoDbCursorTable: { tableName: cursors, billingMode: PAY_PER_REQUEST }
cloudTrailEventDataStore: { enabled: false, name: unified-events, eventCategories: [Data], encryption: { useSharedKey: true } }
securityHub: { enabled: true, encryption: { useSharedKey: true } }
monitoring:
  enabled: true
  cloudWatchLogs: { enabled: true, retentionDays: 90 }
  alarms: { enabled: true, snsTopicName: alerts, dlqAlarm: { enabled: true, threshold: 2 }, lambdaErrorAlarm: { enabled: false, errorRateThreshold: 0.05 }, sqsAgeAlarm: { enabled: true, ageThreshold: 600 } }
development: { encryptionKeyType: AWS_OWNED_CMK }
`) as unknown;

test('loading the older shape says what to do', () => {
  assert.ok(isOlder(OLDER));
  assert.throws(() => judge(OLDER), /the older shape \(azureIntegration, lambdaFunctions\): `npm run migrate-config -- FILE` prints it in the new one/);
  assert.throws(() => judge({ lambdaFunctions: {} }), /older shape/);
  assert.throws(() => judge({ azureIntegration: {} }), /older shape/);
});

test('the older shape becomes the new one, which is right as it is', () => {
  const { config: moved, notes } = migrate(OLDER);
  const { config } = judge(moved);
  assert.deepEqual(config.tags, { Owner: 'Security-Team', Source: 'Kit', Product: 'Framework', KitVersion: '2.0.0' });
  assert.equal(config.encryption.keyType, 'AWS_OWNED_CMK');
  assert.deepEqual([config.securityLake.externalId, config.securityLake.serviceRole], ['said', undefined]);
  assert.deepEqual([config.coreProcessing.eventTransformer.memorySize, config.coreProcessing.securityHubProcessor.memorySize], [768, 256]);
  assert.deepEqual([config.sqsQueue.visibilityTimeout, config.sqsQueue.maxMessageSize, config.sqsQueue.deadLetterQueue.maxReceiveCount], [1800, 1048576, 3]);
  assert.deepEqual([config.monitoring.alarms.deadLetters, config.monitoring.alarms.errorRate, config.monitoring.alarms.queueAge],
    [{ enabled: true, threshold: 2 }, { enabled: false, threshold: 5 }, { enabled: true, threshold: 600 }]);
  const azure = config.integrations.azure?.config as Record<string, Record<string, unknown>>;
  assert.deepEqual(azure.eventHubProcessor, { enabled: true, functionName: 'azure-eventhub-processor', memorySize: 512, timeout: 300, schedule: 'rate(5 minutes)', environment: { LOGGING_LEVEL: 'DEBUG' } });
  assert.deepEqual(azure.checkpointStore, { tableName: 'cursors', billingMode: 'PAY_PER_REQUEST' });
  // What has no place any more is said, key by key.
  for (const key of ['securityLake.OCSFEventClass', 'securityLake.serviceRole', 'sqsQueue.maxMessageSize', 'sqsQueue.visibilityTimeout', 'flowLogQueue',
    'dynamoDbCursorTable', 'encryption.keyDescription', 'lambdaFunctions.eventTransformer.runtime', 'azureIntegration.eventHubProcessor.environment.DYNAMODB_TABLE_NAME',
    'cloudTrailEventDataStore.eventCategories', 'development', 'tagSource']) {
    assert.ok(notes.some((note) => note.startsWith(`${key}: `)), `${key}\n${notes.join('\n')}`);
  }
});

test('nothing of the older file disappears without a word', () => {
  const { config, notes } = migrate(OLDER);
  const leaves = (value: unknown, at: string): string[] => (typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([name, inner]) => leaves(inner, at ? `${at}.${name}` : name)) : [at]);
  const kept = JSON.stringify(config);
  for (const leaf of leaves(OLDER, '')) {
    const name = leaf.split('.').at(-1) ?? '';
    const said = notes.some((note) => leaf.startsWith(note.split(':')[0] ?? '-') || note.includes(name));
    assert.ok(said || kept.includes(`"${name}"`) || leaf === 'accountId', leaf);
  }
});

test('a configuration of the new shape comes back as it is', () => {
  const given = { projectName: 'tributary', integrations: { azure: {} } };
  assert.deepEqual(migrate(given), { config: given, notes: [] });
});
