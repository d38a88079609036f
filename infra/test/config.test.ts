import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ConfigError } from '../lib/config/judge';
import { judge, load } from '../lib/config/load';
import { page } from '../lib/config/page';
import { SOURCES } from '../lib/config/schema';
import { shipped } from '../lib/shipped';
import { EVERYTHING, configOf, folder } from './support';

function refused(yaml: string, message: RegExp): void {
  assert.throws(() => judge(configOf(yaml)), (error) => {
    assert.ok(error instanceof ConfigError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

test('the least configuration has every default', () => {
  const { config } = judge(configOf());
  assert.equal(config.sqsQueue.queueName, 'event-queue');
  assert.equal(config.coreProcessing.eventTransformer.functionName, 'event-transformer');
  assert.equal(config.monitoring.alarms.secretAge.threshold, 90);
  assert.deepEqual(config.integrations, {});
});

test('what users know is taken as it is', () => {
  const { config } = judge(configOf(EVERYTHING));
  assert.deepEqual(Object.keys(config.integrations), ['azure', 'azure-eu', 'example']);
});

test('an unknown key is an error with a suggestion, at every depth and in a module', () => {
  refused('projctName: x', /^projctName: unknown key: did you mean projectName\?$/);
  refused('coreProcessing: { eventTransformer: { memorysize: 512 } }', /^coreProcessing\.eventTransformer\.memorysize: unknown key: did you mean memorySize\?$/);
  refused('integrations: { azure: { enable: true } }', /^integrations\.azure\.enable: unknown key: did you mean enabled\?$/);
  refused('integrations: { azure: { config: { eventHubProcesor: {} } } }',
    /^integrations\.azure\.config\.eventHubProcesor: unknown key: did you mean eventHubProcessor\?$/);
  refused('integrations: { azure: { config: { checkpointStore: { ttl: { defaultTTLHours: 1 } } } } }',
    /^integrations\.azure\.config\.checkpointStore\.ttl\.defaultTTLHours: unknown key: did you mean defaultTtlHours\?$/);
  refused('zebra: 1', /^zebra: unknown key; known here: projectName, /);
});

test('every rule refuses what is beyond it', () => {
  const cases: [string, RegExp][] = [
    ['environment: test', /^environment: /],
    ['awsRegion: Frankfurt', /^awsRegion: expected a region such as/],
    ['accountId: 123456789012', /^accountId: /],
    ['encryption: { keyType: OWN }', /^encryption\.keyType: /],
    ['encryption: { keyPendingWindowInDays: 6 }', /^encryption\.keyPendingWindowInDays: /],
    ['coreProcessing: { eventTransformer: { memorySize: 127 } }', /^coreProcessing\.eventTransformer\.memorySize: /],
    ['coreProcessing: { eventTransformer: { memorySize: 10241 } }', /^coreProcessing\.eventTransformer\.memorySize: /],
    ['coreProcessing: { eventTransformer: { timeout: 901 } }', /^coreProcessing\.eventTransformer\.timeout: /],
    ['coreProcessing: { eventTransformer: { timeout: 301 } }', /^sqsQueue\.visibilityTimeout: 1800 is less than 6 times .*\(1806\)/],
    ['coreProcessing: { securityHubProcessor: { batchSize: 11, maximumBatchingWindowInSeconds: 0 } }',
      /^coreProcessing\.securityHubProcessor\.maximumBatchingWindowInSeconds: at least 1/],
    ['coreProcessing: { eventTransformer: { environment: { STAGING_BUCKET: x } } }',
      /^coreProcessing\.eventTransformer\.environment\.STAGING_BUCKET: the stack sets this variable itself/],
    ['coreProcessing: { eventTransformer: { environment: { LOGGING_LEVEL: TRACE } } }', /LOGGING_LEVEL: expected ERROR, WARN, INFO, DEBUG/],
    ['sqsQueue: { queueName: asff-queue }', /^sqsQueue\.queueName: .*not asff-queue/],
    ['sqsQueue: { deadLetterQueue: { messageRetentionPeriod: 60 } }', /^sqsQueue\.deadLetterQueue\.messageRetentionPeriod: at least/],
    ['staging: { retentionDays: 14 }', /^staging\.retentionDays: at least 15/],
    ['securityLake: { eventClasses: [2001] }', /^securityLake\.eventClasses\.0: expected one of 1007, /],
    ['securityLake: { eventClasses: [2004, 2004] }', /^securityLake\.eventClasses: a class stands twice/],
    ['securityLake: { sourceLocations: { "2004": "ext/azure-detection/1.3.0/" } }', /^securityLake\.sourceLocations: the stack registers/],
    ['securityHub: { accountId: "444455556666" }', /^securityHub\.roleArn: needed with another account/],
    ['mappings: { uri: "s3://bucket/maps" }', /^mappings\.digest: needed/],
    ['mappings: { digest: "zz" }', /^mappings\.digest: expected 64/],
    ['quarantine: { readRole: { enabled: true } }', /^quarantine\.readRole\.principals: needed/],
    ['monitoring: { cloudWatchLogs: { retentionDays: 91 } }', /^monitoring\.cloudWatchLogs\.retentionDays: expected one of/],
    ['monitoring: { alarms: { emailEndpoints: [nobody] } }', /^monitoring\.alarms\.emailEndpoints\.0: /],
    ['vpc: { vpcId: vpc-01234567, subnetIds: [subnet-01234567], gatewayEndpoints: [s3] }', /^vpc\.routeTableIds: needed/],
    ['integrations: { Azure: {} }', /^integrations\.Azure: expected a lower case letter/],
    ['integrations: { azure: { config: { eventHubProcessor: { schedule: "rate(1 minutes)" } } } }', /eventHubProcessor\.schedule: expected rate\(5 minutes\)/],
    ['integrations: { azure: { config: { eventHubProcessor: { schedule: every hour } } } }', /eventHubProcessor\.schedule: expected/],
    ['integrations: { azure: { config: { authentication: { method: federated } } } }', /config\.authentication\.federated: needed/],
    ['integrations: { azure: { config: { checkpointStore: { enabled: false } } } }', /config\.checkpointStore\.tableName: needed/],
    ['integrations: { azure: { config: { checkpointStore: { billingMode: FREE } } } }', /config\.checkpointStore\.billingMode: /],
  ];
  for (const [yaml, message] of cases) refused(yaml, message);
  assert.throws(() => judge({}), /securityLake\.s3Bucket: needed while securityLake\.enabled is true/);
});

test('schedules that EventBridge takes are taken', () => {
  for (const schedule of ['rate(1 minute)', 'rate(5 minutes)', 'rate(1 hour)', 'rate(12 hours)', 'cron(0/15 * * * ? *)']) {
    judge(configOf(`integrations: { azure: { config: { eventHubProcessor: { schedule: "${schedule}" } } } }`));
  }
});

test('every fault is told at once', () => {
  refused('environment: x\nawsRegion: x', /environment: [^\n]*\nawsRegion: /);
  refused('staging: { retentionDays: 1 }\nintegrations: { azure: { config: { nothing: 1 } } }', /staging\.retentionDays[^\n]*\nintegrations\.azure\.config\.nothing/);
});

test('a file that cannot be read, or is no YAML, is named', () => {
  assert.throws(() => load('/nowhere.yaml'), /nowhere\.yaml: cannot be read; name the configuration by -c configFile=PATH/);
  const file = join(folder(), 'broken.yaml');
  writeFileSync(file, 'a: [');
  assert.throws(() => load(file), /broken\.yaml: not YAML/);
});

test('the examples are right', () => {
  for (const name of readdirSync(join(__dirname, '..')).filter((name) => /^config\..*\.yaml$/.test(name))) load(join(__dirname, '..', name));
});

test('docs/CONFIGURATION.md is what the schemas say, with a row for every key', () => {
  const text = readFileSync(join(__dirname, '../../docs/CONFIGURATION.md'), 'utf8');
  assert.equal(text, page(shipped()), 'npm run docs');
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  assert.ok(rows.length > 150);
  for (const row of rows) {
    const [, , , rule, words] = row.split(/(?<!\\)\|/);
    assert.ok(rule?.trim(), `no rule: ${row}`);
    assert.ok(words?.trim(), `no description: ${row}`);
  }
});

test('classes and names of sources are those of the functions', () => {
  const layout = readFileSync(join(__dirname, '../../crates/lake/src/layout.rs'), 'utf8');
  const found = [...layout.matchAll(/^ {4}\((\d{4}), "([a-z]+)"\),$/gm)].map(([, uid, name]) => [uid, name]);
  assert.deepEqual(Object.fromEntries(found), SOURCES);
});

test('keys that examples of the page name are in the page', () => {
  const keys = (value: unknown, at: string): string[] => (typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([name, inner]) => keys(inner, at ? `${at}.${name}` : name)) : [at]);
  const text = readFileSync(join(__dirname, '../../docs/CONFIGURATION.md'), 'utf8');
  const { integrations: _, tags: __, ...core } = parse(EVERYTHING) as Record<string, unknown>;
  for (const key of keys(core, '').filter((key) => !key.includes('.environment.'))) assert.ok(text.includes(`| \`${key}\` |`), key);
});
