import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { statements } from '../lib/framework/permissions';
import { EVERYTHING, type Statement, allowed, allowing, configOf, functionNamed, ofType, resources, stackOf, template, variables } from './support';

const azure = (yaml: string) => template(`integrations: { azure: { config: ${yaml} } }`);
const FEDERATED = `{ method: federated, federated: { AZURE_AUTHENTICATION: federated, AZURE_TENANT_ID: 11111111-1111-1111-1111-111111111111,
  AZURE_CLIENT_ID: 22222222-2222-2222-2222-222222222222, EVENTHUB_NAMESPACE: contoso.servicebus.windows.net, EVENTHUB_NAME: telemetry,
  EVENTHUB_CONSUMER_GROUP: tributary, AZURE_STORAGE_ACCOUNT: contosoflowlogs } }`;

test('by default: processor, table, secret and schedule, of the names that users expect', () => {
  const t = azure('{}');
  const fn = functionNamed(t, 'azure-eventhub-processor-dev').Properties;
  assert.deepEqual([fn.MemorySize, fn.Timeout, fn.ReservedConcurrentExecutions, fn.Handler], [512, 300, 1, 'eventhub-processor']);
  const set = fn.Environment.Variables;
  assert.deepEqual([set.MODULE_ID, set.AZURE_CREDENTIALS_SECRET_NAME, set.CHECKPOINT_TTL_HOURS, set.CHECKPOINT_TTL_ATTRIBUTE, set.EVENTHUB_TRANSPORT, set.INITIAL_POSITION],
    ['azure', 'azure-eventhub-credentials-dev', '168', 'ttl', 'amqp', 'earliest']);
  for (const name of ['SQS_QUEUE_URL', 'STAGING_BUCKET', 'CHECKPOINT_TABLE_NAME']) assert.ok(set[name].Ref, name);
  t.hasResourceProperties('AWS::DynamoDB::Table', {
    TableName: 'azure-eventhub-checkpoint-store-dev', BillingMode: 'PAY_PER_REQUEST', TimeToLiveSpecification: { AttributeName: 'ttl', Enabled: true },
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }, { AttributeName: 'sk', KeyType: 'RANGE' }], SSESpecification: Match.objectLike({ SSEEnabled: true }),
    PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: false },
  });
  t.hasResourceProperties('AWS::SecretsManager::Secret', {
    Name: 'azure-eventhub-credentials-dev', KmsKeyId: Match.anyValue(),
    SecretString: '{"eventHubNamespace":"PLACEHOLDER","eventHubName":"PLACEHOLDER","consumerGroup":"tributary","connectionString":"PLACEHOLDER"}',
  });
  assert.throws(() => functionNamed(t, 'azure-flowlog-processor-dev'));
});

test('the schedule invokes once: neither the rule nor Lambda tries again', () => {
  const t = azure('{ eventHubProcessor: { schedule: rate(1 minute) } }');
  t.hasResourceProperties('AWS::Events::Rule', {
    ScheduleExpression: 'rate(1 minute)', Targets: [Match.objectLike({ RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 300 } })],
  });
  t.hasResourceProperties('AWS::Lambda::EventInvokeConfig', { MaximumRetryAttempts: 0 });
});

test('the role is what the functions declare, on the resources of this deployment, and nothing else', () => {
  const t = azure('{ flowLogProcessor: { enabled: true } }');
  const listed = JSON.parse(readFileSync(join(__dirname, '../generated/permissions.json'), 'utf8')).handlers as
    Record<string, { operation: string; when: string }[]>;
  const features = ['always', 'secret', 'customerKey', 'securityHub', 'flowLogs'];
  for (const [handler, role] of [['eventhub-processor', 'azure-eventhub-processor-dev'], ['flowlog-processor', 'azure-flowlog-processor-dev'],
    ['event-transformer', 'event-transformer-dev']] as const) {
    const has = new Set(allowed(t, role).flatMap((statement) => statement.Action));
    has.delete('logs:CreateLogStream');
    has.delete('logs:PutLogEvents');
    const wants = new Set(listed[handler]?.filter((permission) => features.includes(permission.when)).map((permission) => permission.operation));
    assert.deepEqual([...has].sort(), [...wants].sort(), handler);
    for (const statement of allowed(t, role)) assert.notEqual(statement.Resource, '*', `${role} ${JSON.stringify(statement)}`);
  }
});

test('federated: no secret at all, settings instead, and a token for this audience alone', () => {
  const t = azure(`{ authentication: ${FEDERATED}, flowLogProcessor: { enabled: true } }`);
  t.resourceCountIs('AWS::SecretsManager::Secret', 0);
  const set = variables(t, 'azure-eventhub-processor-dev');
  assert.deepEqual([set.AZURE_AUTHENTICATION, set.AZURE_TENANT_ID, set.EVENTHUB_NAMESPACE, set.EVENTHUB_NAME, set.EVENTHUB_CONSUMER_GROUP, set.AZURE_CREDENTIALS_SECRET_NAME, set.AZURE_STORAGE_ACCOUNT],
    ['federated', '11111111-1111-1111-1111-111111111111', 'contoso.servicebus.windows.net', 'telemetry', 'tributary', undefined, undefined]);
  const [token] = allowing(t, 'azure-eventhub-processor-dev', 'sts:GetWebIdentityToken');
  assert.deepEqual([token?.Action, token?.Resource, token?.Condition],
    ['sts:GetWebIdentityToken', '*', { StringEquals: { 'sts:IdentityTokenAudience': 'api://AzureADTokenExchange' } }]);
  assert.equal(variables(t, 'azure-flowlog-processor-dev').AZURE_STORAGE_ACCOUNT, 'contosoflowlogs');
  const accounts = 'contosoflowlogs,fabrikam=https://fabrikam.blob.core.usgovcloudapi.net';
  const several = azure(`{ authentication: ${FEDERATED.replace('contosoflowlogs', `"${accounts}"`)}, flowLogProcessor: { enabled: true } }`);
  assert.equal(variables(several, 'azure-flowlog-processor-dev').AZURE_STORAGE_ACCOUNT, accounts);
  assert.throws(() => azure(`{ authentication: ${FEDERATED.replace('contosoflowlogs', '"a b"')}, flowLogProcessor: { enabled: true } }`), /AZURE_STORAGE_ACCOUNT/);
  assert.ok(!JSON.stringify(ofType(t, 'AWS::IAM::Role')).includes('secretsmanager:'));
  const [other] = [azure('{}')].map((secret) => JSON.stringify(ofType(secret, 'AWS::IAM::Role')));
  assert.ok(!other?.includes('GetWebIdentityToken'));
});

test('the role\'s name is known before the stack is there: function and environment', () => {
  const t = azure('{}');
  t.hasResourceProperties('AWS::IAM::Role', { RoleName: 'azure-eventhub-processor-dev' });
  t.hasOutput('EventHubProcessorRoleArn', { Value: Match.objectLike({ 'Fn::Join': ['', Match.arrayWith([':role/azure-eventhub-processor-dev'])] }) });
});

test('an application\'s secret has its own placeholders; a template is taken as given', () => {
  azure('{ authentication: { method: clientSecret } }').hasResourceProperties('AWS::SecretsManager::Secret', {
    SecretString: Match.serializedJson(Match.objectLike({ tenantId: 'PLACEHOLDER', clientId: 'PLACEHOLDER', clientSecret: 'PLACEHOLDER' })),
  });
  azure('{ secretsManager: { eventHubSecret: { secretName: hub, description: Ours, secretTemplate: { a: b } } } }')
    .hasResourceProperties('AWS::SecretsManager::Secret', { Name: 'hub-dev', Description: 'Ours', SecretString: '{"a":"b"}' });
});

test('a secret that is there already: none is made, and the role may read that one alone', () => {
  const t = azure('{ eventHubProcessor: { azureCredentialsSecretName: team/hub } }');
  t.resourceCountIs('AWS::SecretsManager::Secret', 0);
  assert.equal(variables(t, 'azure-eventhub-processor-dev').AZURE_CREDENTIALS_SECRET_NAME, 'team/hub');
  assert.match(JSON.stringify(allowing(t, 'azure-eventhub-processor-dev', 'secretsmanager:GetSecretValue')[0]?.Resource), /:secret:team\/hub-\?\?\?\?\?\?/);
});

test('a secret that function and secretsManager name alike is made here', () => {
  const t = azure('{ eventHubProcessor: { azureCredentialsSecretName: hub }, secretsManager: { eventHubSecret: { secretName: hub } } }');
  t.hasResourceProperties('AWS::SecretsManager::Secret', { Name: 'hub-dev' });
  assert.equal(variables(t, 'azure-eventhub-processor-dev').AZURE_CREDENTIALS_SECRET_NAME, 'hub-dev');
});

test('how to authenticate may be said in a word', () => {
  assert.deepEqual(azure('{ authentication: clientSecret }').toJSON(), azure('{ authentication: { method: clientSecret } }').toJSON());
  assert.throws(() => azure('{ authentication: password }'), /integrations\.azure\.config\.authentication\.method: /);
});

test('a table that is there already, without time to live, provisioned', () => {
  const given = azure('{ checkpointStore: { enabled: false, tableName: ledger } }');
  given.resourceCountIs('AWS::DynamoDB::Table', 0);
  assert.equal(variables(given, 'azure-eventhub-processor-dev').CHECKPOINT_TABLE_NAME, 'ledger');
  assert.match(JSON.stringify(allowing(given, 'azure-eventhub-processor-dev', 'dynamodb:PutItem')[0]?.Resource), /:table\/ledger"/);
  const forever = azure('{ checkpointStore: { ttl: { enabled: false } } }');
  assert.equal(ofType(forever, 'AWS::DynamoDB::Table')[0]?.[1].Properties.TimeToLiveSpecification, undefined);
  const paid = azure('{ checkpointStore: { billingMode: PROVISIONED, provisioned: { readCapacity: 7, autoScaling: { maxReadCapacity: 70, targetUtilization: 50 } } } }');
  paid.hasResourceProperties('AWS::DynamoDB::Table', { ProvisionedThroughput: { ReadCapacityUnits: 7, WriteCapacityUnits: 5 } });
  paid.hasResourceProperties('AWS::ApplicationAutoScaling::ScalableTarget', { MinCapacity: 7, MaxCapacity: 70 });
  azure('{ checkpointStore: { billingMode: PROVISIONED, provisioned: { autoScaling: { enabled: false } } } }').resourceCountIs('AWS::ApplicationAutoScaling::ScalableTarget', 0);
  const own = azure('{ checkpointStore: { encryption: { useSharedKey: false } } }');
  assert.deepEqual(ofType(own, 'AWS::DynamoDB::Table')[0]?.[1].Properties.SSESpecification, { SSEEnabled: false });
});

test('prod: the table can be restored to a point in time, and nobody deletes it by mistake', () => {
  template('environment: prod\nintegrations: { azure: {} }').hasResourceProperties('AWS::DynamoDB::Table', {
    PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true }, DeletionProtectionEnabled: true,
  });
});

test('flow logs: the transformer hands notifications on only where somebody takes them', () => {
  const without = azure('{}');
  assert.equal(variables(without, 'event-transformer-dev').FLOW_LOG_SQS_QUEUE, undefined);
  const t = azure('{ flowLogProcessor: { enabled: true, batchSize: 3 } }');
  assert.ok(variables(t, 'event-transformer-dev').FLOW_LOG_SQS_QUEUE);
  const fn = functionNamed(t, 'azure-flowlog-processor-dev').Properties;
  assert.deepEqual([fn.MemorySize, fn.Timeout, fn.ReservedConcurrentExecutions, fn.Environment.Variables.AZURE_FLOWLOGS_SECRET_NAME],
    [1024, 600, 5, 'azure-flowlogs-credentials-dev']);
  t.hasResourceProperties('AWS::Lambda::EventSourceMapping', { BatchSize: 3, ScalingConfig: { MaximumConcurrency: 5 } });
  const [, quarantine] = ofType(t, 'AWS::KMS::Key').map(([id]) => id).sort();
  const [keys] = allowing(t, 'azure-flowlog-processor-dev', 'kms:GenerateDataKey');
  assert.equal([keys?.Resource].flat().length, 2);
  assert.ok(quarantine && JSON.stringify(keys?.Resource).includes(quarantine), 'what is quarantined has its own key');
  t.hasOutput('FlowLogsSecretName', { Value: 'azure-flowlogs-credentials-dev' });
});

test('flow logs: blobs are looked through on a schedule, unless that is off', () => {
  const of = (sweep: string) => azure(`{ flowLogProcessor: { enabled: true, sweep: ${sweep} } }`);
  const [rule] = ofType(of('{ schedule: rate(1 hour), hours: 3 }'), 'AWS::Events::Rule').map(([, one]) => one.Properties).filter((one) => /sweep/.test(one.Name));
  assert.deepEqual([rule?.Name, rule?.ScheduleExpression, rule?.Targets[0].Input, rule?.Targets[0].RetryPolicy],
    ['azure-flowlog-processor-dev-sweep', 'rate(1 hour)', '{"sweep":{"hours":3}}', { MaximumEventAgeInSeconds: 300, MaximumRetryAttempts: 0 }]);
  of('{ enabled: false }').resourceCountIs('AWS::Events::Rule', 1);
  assert.throws(() => of('{ hours: 168 }'), /flowLogProcessor\.sweep\.hours: less than checkpointStore\.ttl\.defaultTtlHours/);
});

test('two instances have names of their own; the first has the outputs that scripts look for', () => {
  const t = template('integrations: { azure: {}, azure-eu: { modulePath: modules/azure } }');
  const names = ofType(t, 'AWS::Lambda::Function').map(([, fn]) => fn.Properties.FunctionName);
  assert.ok(names.includes('azure-eventhub-processor-dev') && names.includes('azure-eu-eventhub-processor-dev'));
  assert.equal(variables(t, 'azure-eu-eventhub-processor-dev').MODULE_ID, 'azure-eu');
  assert.deepEqual(ofType(t, 'AWS::DynamoDB::Table').map(([, table]) => table.Properties.TableName).sort(),
    ['azure-eu-eventhub-checkpoint-store-dev', 'azure-eventhub-checkpoint-store-dev']);
  t.hasOutput('EventHubSecretName', { Value: 'azure-eventhub-credentials-dev' });
  t.hasOutput('AzureEuEventHubSecretName', { Value: 'azure-eu-eventhub-credentials-dev' });
});

test('two instances of one name, or two that take flow logs, are errors that name the instance', () => {
  assert.throws(() => template('integrations: { azure: {}, azure-eu: { modulePath: modules/azure, config: { eventHubProcessor: { functionName: azure-eventhub-processor } } } }'),
    /integrations\.azure-eu \(module azure 0\.1\.0\): createResources failed: function azure-eventhub-processor-dev is integrations\.azure's already/);
  const flow = '{ flowLogProcessor: { enabled: true } }';
  assert.throws(() => template(`integrations: { azure: { config: ${flow} }, azure-eu: { modulePath: modules/azure, config: ${flow} } }`),
    /integrations\.azure-eu .*integrations\.azure takes the notifications of flow logs already/);
});

test('disabling the integration removes its resources and nothing else', () => {
  for (const config of ['{}', '{ flowLogProcessor: { enabled: true } }']) {
    const on = resources(template(`integrations: { azure: { config: ${config} } }`));
    const off = resources(template(`integrations: { azure: { enabled: false, config: ${config} } }`));
    const gone = Object.keys(on).filter((id) => !(id in off));
    assert.ok(gone.length > 8 && gone.every((id) => id.startsWith('IntegrationAzure')), gone.join(' '));
    assert.deepEqual(Object.keys(off).filter((id) => !(id in on)), []);
    const changed = Object.keys(off).filter((id) => JSON.stringify(off[id]) !== JSON.stringify(on[id]));
    // With flow logs the transformer hands their notifications on: its variable and its right to do so go with who takes them.
    assert.deepEqual(changed.filter((id) => !id.startsWith('EventTransformer')), []);
    if (config === '{}') assert.deepEqual(changed, []);
  }
  assert.deepEqual(resources(template('integrations: { azure: { enabled: false } }')), resources(template()));
});

test('alarms of the instance by their switches, with the metric\'s own names and dimension', () => {
  const names = (yaml: string) => ofType(template(yaml), 'AWS::CloudWatch::Alarm').map(([, alarm]) => alarm.Properties.AlarmName as string);
  const all = names('integrations: { azure: { config: { flowLogProcessor: { enabled: true } } } }');
  for (const name of ['EventHubProcessorErrors', 'EventHubProcessorNotRunning', 'PartitionLag', 'EventsLost', 'AccessDenied', 'FlowLogProcessorErrors']) {
    assert.ok(all.includes(`tributary-azure-${name}-dev`), name);
  }
  const off = (alarm: string) => names(`monitoring: { alarms: { ${alarm}: { enabled: false } } }\nintegrations: { azure: { config: { flowLogProcessor: { enabled: true } } } }`);
  const by: Record<string, RegExp> = {
    deadLetters: /DeadLetters/, errorRate: /Errors/, queueAge: /QueueAge/, partitionLag: /PartitionLag/, eventsLost: /EventsLost/,
    accessDenied: /AccessDenied/, mappingsRefused: /MappingsRefused/, notRunning: /NotRunning/, secretAge: /SecretAge/,
  };
  for (const [alarm, pattern] of Object.entries(by)) {
    assert.ok(all.some((name) => pattern.test(name)), alarm);
    assert.deepEqual(off(alarm).filter((name) => pattern.test(name)), [], alarm);
    assert.ok(off(alarm).length > 5, alarm);
  }
  const t = template('monitoring: { alarms: { partitionLag: { threshold: 77 } } }\nintegrations: { azure: {} }');
  t.hasResourceProperties('AWS::CloudWatch::Alarm', {
    AlarmName: 'tributary-azure-PartitionLag-dev', Namespace: 'Tributary', MetricName: 'PartitionLag', Statistic: 'Maximum', Threshold: 77,
    Dimensions: [{ Name: 'Module', Value: 'azure' }], AlarmActions: [Match.anyValue()],
  });
});

test('the age of a secret is watched where there is one', () => {
  const t = template('monitoring: { alarms: { secretAge: { threshold: 30 } } }\nintegrations: { azure: {} }');
  t.hasResourceProperties('AWS::CloudWatch::Alarm', { AlarmName: 'tributary-azure-SecretAge-dev', MetricName: 'SecretAgeSeconds', Threshold: 30 * 86400 });
  const without = ofType(azure(`{ authentication: ${FEDERATED} }`), 'AWS::CloudWatch::Alarm').map(([, alarm]) => alarm.Properties.AlarmName as string);
  assert.ok(!without.some((name) => name.includes('SecretAge')));
  // The oldest of both, and of flow logs alone.
  const both = ofType(azure('{ flowLogProcessor: { enabled: true } }'), 'AWS::CloudWatch::Alarm')
    .map(([, alarm]) => alarm.Properties)
    .find(({ AlarmName }) => (AlarmName as string).includes('SecretAge'));
  assert.match(both?.AlarmDescription as string, /eventhub-credentials.*, or .*flowlogs-credentials/);
  azure('{ eventHubProcessor: { enabled: false }, flowLogProcessor: { enabled: true } }')
    .hasResourceProperties('AWS::CloudWatch::Alarm', { AlarmName: 'tributary-azure-SecretAge-dev', Statistic: 'Maximum' });
});

test('every operation of the list can be granted: a resource that the stack does not know fails, by its name', () => {
  const everything = Template.fromStack(stackOf(configOf(EVERYTHING)).stack);
  assert.ok(ofType(everything, 'AWS::IAM::Role').length > 6);
  assert.throws(() => statements('eventhub-processor', new Set(), {}, 'us-east-1'), /eventhub-processor needs dynamodb:GetItem on ledgerTable \(always\), which this deployment does not have/);
  assert.throws(() => statements('nobody', new Set(), {}, 'us-east-1'), /knows no handler nobody/);
  const statement: Statement | undefined = allowing(everything, 'azure-eu-eventhub-processor-prod', 'sts:GetWebIdentityToken')[0];
  assert.ok(statement);
});
