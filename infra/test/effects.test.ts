// Every key of docs/CONFIGURATION.md has an effect: with another value the stack is another one.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Template } from 'aws-cdk-lib/assertions';
import { parse } from 'yaml';
import { schema } from '../lib/config/schema';
import { ROOT } from '../lib/framework/loader';
import { shipped } from '../lib/shipped';
import { stackOf } from './support';

type Tree = Record<string, unknown>;
/** Another value of a key, and what else has to be so that it counts. */
type Case = { value?: unknown; with?: Tree };

const GUID = '33333333-3333-3333-3333-333333333333';
const ROLE = 'arn:aws:iam::111122223333:role/other';
const MAPS = join(ROOT, 'modules/example/mappings');

const BASE = parse(`
securityLake: { s3Bucket: lake-of-the-test, kmsKeyArn: "arn:aws:kms:us-east-1:111122223333:key/0123" }
sqsQueue: { messageRetentionPeriod: 345600 }
quarantine:
  readRole: { enabled: true, principals: ["arn:aws:iam::111122223333:role/analysts"] }
  dataEvents: { enabled: true }
cloudTrailEventDataStore: { enabled: true }
vpc:
  vpcId: vpc-0123456789abcdef0
  subnetIds: [subnet-0123456789abcdef0]
  interfaceEndpoints: [sqs]
  gatewayEndpoints: [s3]
  routeTableIds: [rtb-0123456789abcdef0]
integrations:
  azure: { config: { flowLogProcessor: { enabled: true }, checkpointStore: { billingMode: PROVISIONED } } }
`) as Tree;

const given = (value: unknown, more?: Tree): Case => ({ value, ...(more ? { with: more } : {}) });
const s3Maps: Tree = { mappings: { uri: 's3://maps/a', digest: 'ab'.repeat(32) } };
const unregistered: Tree = { coreProcessing: { securityLakeCustomResource: { enabled: false } } };

/** Keys whose other value is not plain. */
const CORE: Record<string, Case> = {
  projectName: given('other'), awsRegion: given('eu-west-1'), accountId: given('444455556666'), tags: given({ team: 'blue' }),
  'encryption.keyAlias': given('other'),
  'securityLake.s3Bucket': given('another-lake'), 'securityLake.externalId': given('said'), 'securityLake.serviceRole': given(ROLE),
  'securityLake.sourcePrefix': given('other-'), 'securityLake.eventClasses': given([2004]),
  'securityLake.sourceLocations': given({ 2004: 'ext/other/1.0/' }, unregistered),
  'securityLake.kmsKeyArn': given('arn:aws:kms:us-east-1:111122223333:key/4567'), 'securityLake.writerRoleArn': given(ROLE),
  'coreProcessing.eventTransformer.functionName': given('other'), 'coreProcessing.securityHubProcessor.functionName': given('other'),
  'coreProcessing.securityLakeCustomResource.functionName': given('other'), 'coreProcessing.eventTransformer.timeout': given(299),
  'sqsQueue.queueName': given('other-queue'),
  'quarantine.readRole.roleName': given('other'), 'quarantine.readRole.principals': given([ROLE]),
  'cloudTrailEventDataStore.name': given('other'), 'cloudTrailEventDataStore.channelName': given('other'),
  'cloudTrailEventDataStore.channelArn': given('arn:aws:cloudtrail:us-east-1:111122223333:channel/0123'),
  'cloudTrailEventDataStore.terminationProtectionEnabled': given(true),
  'securityHub.accountId': given('444455556666', { securityHub: { roleArn: ROLE } }), 'securityHub.region': given('eu-west-1'), 'securityHub.roleArn': given(ROLE),
  vpc: given(undefined),
  'vpc.vpcId': given('vpc-11111111'), 'vpc.subnetIds': given(['subnet-11111111']), 'vpc.securityGroupId': given('sg-11111111'),
  'vpc.egressCidrs': given(['10.0.0.0/8']), 'vpc.interfaceEndpoints': given(['kms']), 'vpc.gatewayEndpoints': given(['dynamodb']),
  'vpc.routeTableIds': given(['rtb-11111111']),
  'mappings.uri': given(MAPS), 'mappings.digest': given('cd'.repeat(32), s3Maps),
  'monitoring.cloudWatchLogs.retentionDays': given(30), 'monitoring.alarms.snsTopicName': given('other'),
  'monitoring.alarms.emailEndpoints': given(['a@example.com']), 'monitoring.dashboard.name': given('other'),
};

const federated = (settings: Tree = {}): Tree => ({ authentication: { method: 'federated', federated: {
  AZURE_TENANT_ID: '11111111-1111-1111-1111-111111111111', AZURE_CLIENT_ID: '22222222-2222-2222-2222-222222222222',
  EVENTHUB_NAMESPACE: 'contoso.servicebus.windows.net', EVENTHUB_NAME: 'hub', AZURE_STORAGE_ACCOUNT: 'contosoflowlogs', ...settings,
} } });
const AZURE: Record<string, Case> = {
  'authentication.federated.AZURE_TENANT_ID': given(GUID, federated()), 'authentication.federated.AZURE_CLIENT_ID': given(GUID, federated()),
  'authentication.federated.EVENTHUB_NAMESPACE': given('other.servicebus.windows.net', federated()),
  'authentication.federated.EVENTHUB_NAME': given('other', federated()),
  'authentication.federated.EVENTHUB_CONSUMER_GROUP': given('other', federated()),
  'authentication.federated.AZURE_STORAGE_ACCOUNT': given('other', federated()),
  'eventHubProcessor.functionName': given('other'), 'flowLogProcessor.functionName': given('other-too'),
  'eventHubProcessor.schedule': given('rate(7 minutes)'), 'flowLogProcessor.sweep.schedule': given('rate(1 day)'),
  'eventHubProcessor.azureCredentialsSecretName': given('mine'), 'flowLogProcessor.azureFlowLogsSecretName': given('mine'),
  'checkpointStore.enabled': given(false, { checkpointStore: { tableName: 'ledger' } }), 'checkpointStore.tableName': given('other'),
  'checkpointStore.ttl.attributeName': given('expires'),
};
for (const name of ['eventHubSecret', 'flowLogsSecret']) {
  AZURE[`secretsManager.${name}.secretName`] = given('other');
  AZURE[`secretsManager.${name}.description`] = given('Other');
  AZURE[`secretsManager.${name}.secretTemplate`] = given({ a: 'b' });
}
const EXAMPLE: Record<string, Case> = { sources: given(['other.app']), eventBusName: given('other') };

/** Held by other tests: where a module lies and what it is told; settings that are needed all together; a word that Terraform prints beside them and that says the same. */
const ELSEWHERE = ['integrations.<id>.modulePath', 'integrations.<id>.config', 'authentication.federated', 'authentication.federated.AZURE_AUTHENTICATION'];

const tree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);
const merged = (a: Tree, b: Tree): Tree => ({ ...a, ...Object.fromEntries(Object.entries(b).map(([name, value]) => {
  const before = a[name];
  return [name, tree(before) && tree(value) ? merged(before, value) : value];
})) });
const at = (path: string[], value: unknown): Tree => path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Tree;
const found = (from: unknown, path: string[]): unknown => path.reduce<unknown>((inner, name) => (tree(inner) ? inner[name] : undefined), from);

/** Everything that a stack says of itself. */
function saidBy(input: Tree): string {
  const { stack } = stackOf(input);
  return JSON.stringify([Template.fromStack(stack).toJSON(), stack.terminationProtection, stack.account, stack.region]);
}

/** Another value than this one that the rule allows. */
function other(key: string, rule: string, now: unknown): unknown {
  if (rule === 'true, false') return now !== true;
  const [, low, high] = /^(\d+) to (\d+)/.exec(rule) ?? [];
  if (low !== undefined) return typeof now !== 'number' ? Number(low) + 1 : now < Number(high) ? now + 1 : now - 1;
  if (/^[\w.-]+(, [\w.-]+)+$/.test(rule)) return rule.split(', ').find((word) => word !== now);
  return assert.fail(`${key}: a value of "${rule}" is wanted for this test`);
}

/** The page's tables: the core's, then each module's. */
function tables(): { key: string; rule: string }[][] {
  const page = readFileSync(join(__dirname, '../../docs/CONFIGURATION.md'), 'utf8').split(/^## .*$/m);
  return page.map((part) => [...part.matchAll(/^\| `([^`]+)` \| (?:[^|]|\\\|)*\| ([^|]*) \|/gm)].map(([, key = '', rule = '']) => ({ key, rule })));
}

/** Keys of a table that change nothing. `under` is where they stand in the configuration, `now` what they are. */
function idle(rows: { key: string; rule: string }[], cases: Record<string, Case>, base: Tree, under: string[], now: unknown): string[] {
  const before = new Map<string, string>();
  const plain = (input: Tree) => {
    const text = JSON.stringify(input);
    if (!before.has(text)) before.set(text, saidBy(input));
    return before.get(text);
  };
  return rows.filter(({ key }) => !ELSEWHERE.includes(key)).filter(({ key, rule }) => {
    const path = key.split('.').flatMap((name) => (name === '<id>' ? ['azure'] : [name]));
    const { with: more, value } = cases[key] ?? { value: key.endsWith('.environment') ? { OTHER: 'x' } : other(key, rule, found(now, path)) };
    const around = more ? merged(base, under.length > 0 ? at(under, more) : more) : base;
    return saidBy(merged(around, at([...under, ...path], value))) === plain(around);
  }).map(({ key }) => key);
}

test('every key has an effect', async (t) => {
  const [core = [], ...ofModules] = tables();
  assert.ok(core.length > 100);
  await t.test('of the stack', () => {
    const now = schema.parse(BASE);
    assert.deepEqual(idle(core, CORE, BASE, [], now), []);
  });
  for (const [index, module] of shipped().entries()) {
    await t.test(`of ${module.moduleId}`, () => {
      const base = merged(BASE, { integrations: { [module.moduleId]: {} } });
      const under = ['integrations', module.moduleId, 'config'];
      const now = module.configSchema?.parse(found(base, under) ?? {});
      const cases = { azure: AZURE, example: EXAMPLE }[module.moduleId];
      assert.ok(cases && ofModules[index]?.length, 'a shipped module has cases of its own here');
      assert.deepEqual(idle(ofModules[index] ?? [], cases, base, under, now), []);
    });
  }
});

test('an idle key would be seen', () => {
  assert.deepEqual(idle([{ key: 'quarantine.retentionDays', rule: '1 to 3650' }], { 'quarantine.retentionDays': given(90) }, BASE, [], schema.parse(BASE)), ['quarantine.retentionDays']);
});
