// The stack on this machine, deployed by `cdk deploy` with identity policies enforced: events that are sent to a hub over AMQP, and a blob of
// flow logs that one of them tells of, end as Parquet objects in the lake, each function in its own role. What ministack does not judge (key
// policies, rights to keys, some conditions) is held by assertions on the template (core.test.ts, azure.test.ts).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { test } from 'node:test';
import { ROOT } from '../lib/framework/loader';
import { Blobs, blobsAreHere } from './deployed/blobs';
import { ACCOUNT, Aws, KEYS, Server, cdk, packageOf, tools } from './deployed/servers';
import { folder } from './support';

const LAKE = 'lake-of-the-test';
const EVENTS = 400;
/** Longest that everything may take; ministack's schedule first fires 60 to 70 seconds after the rule is made. */
const PATIENCE_MS = Number(process.env.TRIBUTARY_PATIENCE_MS ?? 240_000);

const config = (model: string, flowLogs: Record<string, string> | undefined, enabled: boolean) => `
awsRegion: us-east-1
accountId: "${ACCOUNT}"
securityLake: { s3Bucket: ${LAKE} }
coreProcessing:
  # Security Lake and Security Hub are not on this server: the latter is ours, which judges by AWS's own model.
  securityLakeCustomResource: { enabled: false }
  securityHubProcessor: { environment: { LOGGING_LEVEL: DEBUG, AWS_ENDPOINT_URL_SECURITYHUB: "${model}" } }
  eventTransformer: { environment: { LOGGING_LEVEL: DEBUG } }
# This server knows no alarm on two metrics.
monitoring: { alarms: { errorRate: { enabled: false }, emailEndpoints: [security@example.com] } }
integrations:
  azure:
    enabled: ${enabled}
    config:
      eventHubProcessor: { schedule: rate(1 minute), environment: { LOGGING_LEVEL: DEBUG } }
      flowLogProcessor: { enabled: ${flowLogs !== undefined}, environment: ${JSON.stringify({ LOGGING_LEVEL: 'DEBUG', ...flowLogs })} }
`;

/** What a function says that a policy refuses. */
const REFUSED = /AccessDenied |not authorized/;
const FUNCTIONS = ['azure-eventhub-processor-dev', 'event-transformer-dev', 'securityhub-processor-dev'];

async function until(what: string, aws: Aws, functions: string[], happened: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!await happened()) {
    // What is refused comes again when the test is long over.
    const logs = await Promise.all(functions.map(async (name) => `${name}:\n${await aws.log(name)}`));
    if (Date.now() > end || logs.some((log) => REFUSED.test(log))) {
      assert.fail(`${what} did not happen\n${logs.map((log) => log.slice(-2000)).join('\n')}`);
    }
    await wait(3000);
  }
}

test('deployed with policies enforced: from the hub to Parquet objects in the lake', { timeout: 900_000 }, async (t) => {
  const found = tools();
  if (!found) return t.skip('tools are missing');
  const { python, bootstrap, tributary } = found;
  const at = folder();
  const aws = await Aws.start(python);
  t.after(() => aws.end());
  const model = new Server(python, [join(ROOT, 'tests/peers/model_server.py')]);
  t.after(() => model.end());
  const hub = new Server(tributary, ['emulator', '--listen', '127.0.0.1:0', '--hub', 'telemetry', '--partitions', '2', '--consumer-group', 'tributary', '--json']);
  t.after(() => hub.end());
  const modelEndpoint = await model.line();
  const { address, connectionString } = JSON.parse(await hub.line()) as { address: string; connectionString: string };

  const blobs = blobsAreHere() ? await Blobs.start(python, folder()) : undefined;
  if (blobs) t.after(() => blobs.end());
  const flowLogs = blobs?.variables(aws.certificate);
  const functions = [...FUNCTIONS, ...(blobs ? ['azure-flowlog-processor-dev'] : [])];

  await aws.bootstrap();
  await aws.call('s3', 'create_bucket', { Bucket: LAKE });
  const file = join(at, 'config.yaml');
  writeFileSync(file, config(modelEndpoint, flowLogs, true));
  packageOf(join(at, 'functions.zip'), bootstrap);
  const deploy = ['deploy', '--require-approval', 'never', '-c', `configFile=${file}`, '-c', `functionPackage=${join(at, 'functions.zip')}`, '--outputs-file', join(at, 'outputs.json'), '--output', join(at, 'cdk.out')];
  cdk(aws, deploy);
  const stack = async () => {
    const { StackResourceSummaries } = await aws.call('cloudformation', 'list_stack_resources', { StackName: 'tributary-dev' });
    return new Set((StackResourceSummaries as { LogicalResourceId: string }[]).map((resource) => resource.LogicalResourceId));
  };
  const deployed = await stack();

  await t.test('what a role is not given is refused', async () => {
    const role = (name: string) => `arn:aws:iam::${ACCOUNT}:role/${name}`;
    // ministack lets nobody but Lambda assume the role: what its policies allow is asked of the simulator, and enforced below.
    const simulate = async (name: string, action: string, resource: string) => {
      const { EvaluationResults } = await aws.call('iam', 'simulate_principal_policy', { PolicySourceArn: role(name), ActionNames: [action], ResourceArns: [resource] });
      return EvaluationResults[0].EvalDecision as string;
    };
    const staging = `arn:aws:s3:::tributary-staging-dev-${ACCOUNT}-us-east-1`;
    assert.equal(await simulate('azure-eventhub-processor-dev', 's3:PutObject', `${staging}/claims/x`), 'allowed');
    assert.notEqual(await simulate('azure-eventhub-processor-dev', 's3:GetObject', `${staging}/claims/x`), 'allowed');
    assert.notEqual(await simulate('azure-eventhub-processor-dev', 's3:PutObject', `arn:aws:s3:::${LAKE}/ext/x`), 'allowed');
    assert.equal(await simulate('event-transformer-dev', 's3:PutObject', `arn:aws:s3:::${LAKE}/ext/x`), 'allowed');
    assert.notEqual(await simulate('event-transformer-dev', 's3:PutObject', `arn:aws:s3:::${LAKE}/other/x`), 'allowed');
    assert.notEqual(await simulate('securityhub-processor-dev', 'sqs:ReceiveMessage', `arn:aws:sqs:us-east-1:${ACCOUNT}:event-queue-dev`), 'allowed');
  });

  // A batch of messages is `sqs:SendMessage` to IAM; ministack asks for an action of the call's name, which IAM does not know.
  const takes = ['asff-queue-dev', 'flow-log-queue-dev'].map((name) => `arn:aws:sqs:us-east-1:${ACCOUNT}:${name}`);
  await aws.call('iam', 'put_role_policy', {
    RoleName: 'event-transformer-dev', PolicyName: 'batches-in-ministack', PolicyDocument: JSON.stringify({
      Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'sqs:SendMessageBatch', Resource: takes }],
    }),
  });

  // Placeholders are refused with what to do; then the secret is filled as configure-secrets-manager.sh fills it.
  const refused = await aws.call('lambda', 'invoke', { FunctionName: 'azure-eventhub-processor-dev', Payload: '{}' });
  assert.equal(refused.FunctionError, 'Unhandled');
  assert.match(Buffer.from(refused.Payload, 'hex').toString(), /PLACEHOLDER/);
  const content = { eventHubNamespace: `amqp://${address}`, eventHubName: 'telemetry', consumerGroup: 'tributary', connectionString };
  await aws.call('secretsmanager', 'put_secret_value', { SecretId: 'azure-eventhub-credentials-dev', SecretString: JSON.stringify(content) });

  if (blobs) {
    await aws.call('secretsmanager', 'put_secret_value', { SecretId: 'azure-flowlogs-credentials-dev', SecretString: blobs.secret });
    const told = join(at, 'told.json');
    writeFileSync(told, await blobs.write());
    const sent = spawnSync(tributary, ['send', told], { encoding: 'utf8', env: { ...process.env, ...KEYS, EVENTHUB_CONNECTION_STRING: connectionString } });
    assert.equal(sent.status, 0, sent.stderr);
  }
  const sent = spawnSync(tributary, ['send', '--samples', String(EVENTS), '--json'], {
    encoding: 'utf8', env: { ...process.env, ...KEYS, EVENTHUB_CONNECTION_STRING: connectionString },
  });
  assert.equal(sent.status, 0, sent.stderr);

  // Samples tell of blobs that are nowhere: with somebody to read them, those notifications stay.
  const queues = ['event-queue', 'asff-queue', ...(blobs ? [] : ['flow-log-queue'])];
  const count = async (queue: string) => {
    const { QueueUrl } = await aws.call('sqs', 'get_queue_url', { QueueName: queue });
    const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'];
    const { Attributes } = await aws.call('sqs', 'get_queue_attributes', { QueueUrl, AttributeNames: names });
    return names.reduce((sum, name) => sum + Number(Attributes[name]), 0);
  };
  // Everything was read and nothing is left in a queue.
  await until('reading the hub to its end', aws, functions, async () => {
    const { Items } = await aws.call('dynamodb', 'scan', { TableName: 'azure-eventhub-checkpoint-store-dev' }) as { Items: Record<string, { N?: string }>[] };
    const read = Items.reduce((sum, item) => sum + Number(item.sequenceNumber?.N ?? -1) + 1, 0);
    return read === EVENTS + (blobs ? 1 : 0);
  });
  await until('emptying the queues', aws, functions, async () => {
    for (const queue of queues) if (await count(`${queue}-dev`) > 0) return false;
    return true;
  });
  for (const queue of queues) assert.equal(await count(`${queue}-dlq-dev`), 0, `dead letters of ${queue}`);

  if (blobs) {
    await until('reading the blob', aws, functions, async () => (await aws.objects(LAKE, 'ext/azure-network/')).some((key) => /eventDay=20260302/.test(key)));
  }
  const objects = await aws.objects(LAKE);
  assert.ok(objects.length > 5 && objects.every((key) => /^ext\/azure-[a-z]+\/1\.3\.0\/region=us-east-1\/accountId=external[^/]*\/eventDay=\d{8}\/.*\.parquet$/.test(key)), objects.join('\n'));
  for (const key of objects) {
    const { Body } = await aws.call('s3', 'get_object', { Bucket: LAKE, Key: key });
    const path = join(at, 'lake', key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, Buffer.from(Body, 'hex'));
  }
  const valid = spawnSync(tributary, ['validate', join(at, 'lake')], { encoding: 'utf8' });
  assert.equal(valid.status, 0, valid.stdout + valid.stderr);
  const state = await (await fetch(`${modelEndpoint}/_state`)).json() as { findings?: unknown };
  assert.ok(JSON.stringify(state).includes('SchemaVersion'), 'findings were imported');
  for (const name of functions) {
    const log = await aws.log(name);
    assert.ok(log.includes('request_id'), `${name}: ${log.slice(0, 2000)}`);
    assert.ok(!REFUSED.test(log), `${name}: ${log.slice(-3000)}`);
  }

  await t.test('a second deployment of the same changes nothing', () => {
    assert.match(cdk(aws, deploy), /no changes/);
  });

  await t.test('without the integration its resources are gone, and nothing else', async () => {
    writeFileSync(file, config(modelEndpoint, flowLogs, false));
    cdk(aws, deploy);
    const left = await stack();
    const gone = [...deployed].filter((id) => !left.has(id));
    assert.ok(gone.length > 8 && gone.every((id) => id.startsWith('IntegrationAzure')), gone.join(' '));
    assert.deepEqual([...left].filter((id) => !deployed.has(id)), []);
    assert.equal((await aws.ask('lambda', 'get_function', { FunctionName: 'azure-eventhub-processor-dev' })).error, 'ResourceNotFoundException');
  });
});

