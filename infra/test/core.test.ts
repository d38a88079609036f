import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Match } from 'aws-cdk-lib/assertions';
import {
  type Resource, type Statement, allowed, allowing, configOf, functionNamed, ofType, resources, stackOf, template, variables,
} from './support';

test('queues have the names that users expect, TLS alone, the shared key, and dead letters', () => {
  const t = template('sqsQueue: { deadLetterQueue: { maxReceiveCount: 7 } }');
  for (const name of ['event-queue', 'flow-log-queue', 'asff-queue']) {
    t.hasResourceProperties('AWS::SQS::Queue', {
      QueueName: `${name}-dev`, KmsMasterKeyId: Match.anyValue(), MaximumMessageSize: 1048576, RedrivePolicy: Match.objectLike({ maxReceiveCount: 7 }),
    });
    t.hasResourceProperties('AWS::SQS::Queue', { QueueName: `${name}-dlq-dev`, KmsMasterKeyId: Match.anyValue(), MessageRetentionPeriod: 1209600 });
  }
  const policies = ofType(t, 'AWS::SQS::QueuePolicy');
  assert.equal(policies.length, 6);
  for (const [, policy] of policies) {
    const denied = (policy.Properties.PolicyDocument.Statement as Statement[]).find((statement) => statement.Effect === 'Deny');
    assert.deepEqual(denied?.Condition, { Bool: { 'aws:SecureTransport': 'false' } });
  }
});

test('each queue hides a message for six times its function\'s time', () => {
  const t = template('coreProcessing: { securityHubProcessor: { timeout: 100 } }\nintegrations: { azure: { config: { flowLogProcessor: { enabled: true } } } }');
  const hidden = Object.fromEntries(ofType(t, 'AWS::SQS::Queue').map(([, queue]) => [queue.Properties.QueueName, queue.Properties.VisibilityTimeout]));
  assert.equal(hidden['event-queue-dev'], 1800);
  assert.equal(hidden['asff-queue-dev'], 600);
  assert.ok(hidden['flow-log-queue-dev'] >= 6 * 600);
});

test('buckets are private, TLS only, drop unfinished uploads; quarantine has its own key', () => {
  const buckets = ofType(template('quarantine: { retentionDays: 45 }'), 'AWS::S3::Bucket');
  assert.equal(buckets.length, 2);
  assert.equal(new Set(buckets.map(([, bucket]) => JSON.stringify(bucket.Properties.BucketEncryption))).size, 2);
  for (const [id, { Properties: bucket }] of buckets) {
    const rules = bucket.LifecycleConfiguration.Rules as { ExpirationInDays?: number; Prefix?: string; AbortIncompleteMultipartUpload?: object }[];
    assert.ok(rules.some((rule) => rule.AbortIncompleteMultipartUpload && rule.Prefix === undefined));
    assert.deepEqual(bucket.PublicAccessBlockConfiguration, {
      BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true,
    });
    const days = Object.fromEntries(rules.filter((rule) => rule.ExpirationInDays).map((rule) => [rule.Prefix ?? '', rule.ExpirationInDays]));
    assert.deepEqual(days, id.startsWith('Staging') ? { '': 21 } : { 'quarantine/': 45, 'retired/': 30 });
  }
});

/** Statements of the shared key's policy, by their Sid. */
function keyPolicy(t: ReturnType<typeof template>): Map<string | undefined, Statement> {
  const [, key] = ofType(t, 'AWS::KMS::Key').find(([id]) => id.startsWith('Key')) as [string, Resource];
  return new Map((key.Properties.KeyPolicy.Statement as Statement[]).map((statement) => [statement.Sid, statement]));
}

test('the key lets services in for this account and these resources alone', () => {
  const policy = keyPolicy(template('cloudTrailEventDataStore: { enabled: true }\nintegrations: { example: {} }'));
  assert.deepEqual([...policy.keys()].sort(), ['AlarmsToTheTopic', 'EventDataStore', 'EventsOfExample', 'LogsOfTheFunctions', undefined]);
  for (const [sid, statement] of policy) {
    if (sid === undefined) continue;
    const condition = statement.Condition ?? {};
    if (sid === 'LogsOfTheFunctions') {
      assert.match(JSON.stringify(condition.ArnLike?.['kms:EncryptionContext:aws:logs:arn']), /log-group:\/aws\/lambda\/\*-dev/);
    } else {
      assert.deepEqual(condition.StringEquals?.['aws:SourceAccount'], { Ref: 'AWS::AccountId' }, sid);
      assert.ok((condition.ArnLike ?? condition.ArnEquals)?.['aws:SourceArn'], sid);
    }
  }
});

test('roles use keys through the services that hold what they encrypt, and on the keys alone that they need', () => {
  const t = template('integrations: { azure: {} }');
  const via = (role: string) => allowed(t, role).filter((statement) => JSON.stringify(statement.Action).includes('kms:'));
  const [[transformer], [processor], [importer]] = ['event-transformer-dev', 'azure-eventhub-processor-dev', 'securityhub-processor-dev'].map(via) as
    [Statement[], Statement[], Statement[]];
  const services = (statement: Statement | undefined) => statement?.Condition?.StringEquals?.['kms:ViaService'];
  assert.deepEqual(services(transformer), ['sqs.us-east-1.amazonaws.com', 's3.us-east-1.amazonaws.com']);
  assert.deepEqual(services(processor), ['sqs', 's3', 'dynamodb', 'secretsmanager'].map((service) => `${service}.us-east-1.amazonaws.com`));
  assert.deepEqual(services(importer), ['sqs.us-east-1.amazonaws.com']);
  assert.equal([transformer?.Resource].flat().length, 2, 'the shared key and that of quarantine');
  for (const statement of [processor, importer]) assert.equal([statement?.Resource].flat().length, 1);
  for (const statement of [transformer, processor, importer]) assert.ok(!JSON.stringify(statement?.Resource).includes('*'));
});

test('encryption by AWS\'s keys, or off: no key, and no right to any', () => {
  for (const yaml of ['encryption: { enabled: false }', 'encryption: { keyType: AWS_OWNED_CMK }']) {
    const t = template(`${yaml}\nintegrations: { azure: {} }`);
    t.resourceCountIs('AWS::KMS::Key', 0);
    assert.ok(!JSON.stringify(ofType(t, 'AWS::IAM::Role')).includes('kms:'));
    t.allResourcesProperties('AWS::SQS::Queue', { SqsManagedSseEnabled: true });
  }
  template('sqsQueue: { encryption: { useSharedKey: false } }').allResourcesProperties('AWS::SQS::Queue', { SqsManagedSseEnabled: true });
});

test('prod keeps what holds data, and the stack itself', () => {
  const { stack } = stackOf(configOf('environment: prod\nintegrations: { azure: {} }'));
  assert.equal(stack.terminationProtection, true);
  const t = template('environment: prod\nintegrations: { azure: {} }');
  for (const type of ['AWS::KMS::Key', 'AWS::S3::Bucket', 'AWS::SQS::Queue', 'AWS::Logs::LogGroup', 'AWS::DynamoDB::Table', 'AWS::SecretsManager::Secret']) {
    t.allResources(type, { DeletionPolicy: 'Retain' });
  }
  template('integrations: { azure: {} }').allResources('AWS::DynamoDB::Table', { DeletionPolicy: 'Delete' });
});

test('functions: names, logs kept and encrypted, settings, partial answers of batches', () => {
  const t = template(`
monitoring: { cloudWatchLogs: { retentionDays: 30 } }
coreProcessing:
  eventTransformer: { memorySize: 1024, timeout: 120, reservedConcurrentExecutions: 4, batchSize: 20, architecture: arm64, environment: { LOGGING_LEVEL: WARN } }`);
  const fn = functionNamed(t, 'event-transformer-dev').Properties;
  assert.deepEqual([fn.MemorySize, fn.Timeout, fn.ReservedConcurrentExecutions, fn.Architectures, fn.Handler, fn.Runtime],
    [1024, 120, 4, ['arm64'], 'event-transformer', 'provided.al2023']);
  assert.equal(fn.Environment.Variables.LOGGING_LEVEL, 'WARN');
  t.hasResourceProperties('AWS::Logs::LogGroup', { LogGroupName: '/aws/lambda/event-transformer-dev', RetentionInDays: 30, KmsKeyId: Match.anyValue() });
  t.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
    BatchSize: 20, MaximumBatchingWindowInSeconds: 5, FunctionResponseTypes: ['ReportBatchItemFailures'], ScalingConfig: { MaximumConcurrency: 4 },
  });
});

test('the lake: registered by one resource, one source a class, with crawlers\' role and grants', () => {
  const t = template('securityLake: { eventClasses: [6003, 2004], externalId: abc, kmsKeyArn: "arn:aws:kms:us-east-1:111122223333:key/0123" }');
  t.hasResourceProperties('Custom::TributarySecurityLakeSources', {
    SourcePrefix: 'azure-', OcsfVersion: '1.3.0', EventClasses: ['2004', '6003'], ExternalId: 'abc', PrincipalAccountId: { Ref: 'AWS::AccountId' },
  });
  t.hasResourceProperties('AWS::LakeFormation::PrincipalPermissions', {
    Permissions: ['CREATE_TABLE', 'DESCRIBE'], Resource: { Database: { Name: 'amazon_security_lake_glue_db_us_east_1', CatalogId: { Ref: 'AWS::AccountId' } } },
  });
  t.resourceCountIs('AWS::LakeFormation::PrincipalPermissions', 2);
  t.hasResourceProperties('AWS::IAM::Role', { RoleName: 'tributary-lake-crawler-dev', AssumeRolePolicyDocument: Match.objectLike({
    Statement: [Match.objectLike({ Principal: { Service: 'glue.amazonaws.com' } })] }) });
  assert.ok(JSON.stringify(variables(t, 'event-transformer-dev').SECURITY_LAKE_SOURCES).includes('"Sources"'));
  const [pass] = allowing(t, 'security-lake-source-dev', 'iam:PassRole');
  assert.equal(pass?.Condition?.StringEquals?.['iam:PassedToService'], 'glue.amazonaws.com');
  const [create] = allowing(t, 'security-lake-source-dev', 'iam:CreateRole');
  assert.match(JSON.stringify(create?.Resource), /role\/AmazonSecurityLake-Provider-azure-\*/);
  const [table] = allowing(t, 'security-lake-source-dev', 'glue:CreateTable');
  assert.match(JSON.stringify(table?.Resource), /table\/amazon_security_lake_glue_db_us_east_1\/\*/);
  const [lakeKey] = allowing(t, 'event-transformer-dev', 'kms:GenerateDataKey').filter((one) => JSON.stringify(one.Resource).includes('0123'));
  assert.deepEqual(lakeKey?.Condition?.StringEquals?.['kms:ViaService'], ['s3.us-east-1.amazonaws.com']);
});

test('a crawlers\' role made elsewhere is taken as it is', () => {
  const role = 'arn:aws:iam::111122223333:role/crawler';
  const t = template(`securityLake: { serviceRole: "${role}" }`);
  t.hasResourceProperties('Custom::TributarySecurityLakeSources', { CrawlerRoleArn: role });
  t.resourceCountIs('AWS::LakeFormation::PrincipalPermissions', 1);
  assert.ok(!JSON.stringify(resources(t)).includes('AWSGlueServiceRole'));
});

test('sources that are there already: no resource, and their locations by convention or as given', () => {
  const t = template(`
securityLake: { eventClasses: [2004, 6003], ocsfVersion: 1.1.0, sourceLocations: { "6003": ext/calls/1.0/ } }
coreProcessing: { securityLakeCustomResource: { enabled: false } }`);
  t.resourceCountIs('Custom::TributarySecurityLakeSources', 0);
  assert.equal(variables(t, 'event-transformer-dev').SECURITY_LAKE_SOURCES, '{"2004":"ext/azure-detection/1.1.0/","6003":"ext/calls/1.0/"}');
});

test('a lake in another account is written by its role alone', () => {
  const t = template('securityLake: { writerRoleArn: "arn:aws:iam::444455556666:role/writer", externalId: said, kmsKeyArn: "arn:aws:kms:us-east-1:444455556666:key/0123" }');
  t.resourceCountIs('Custom::TributarySecurityLakeSources', 0);
  const set = variables(t, 'event-transformer-dev');
  assert.deepEqual([set.SECURITY_LAKE_WRITER_ROLE_ARN, set.SECURITY_LAKE_WRITER_EXTERNAL_ID, set.SECURITY_LAKE_KMS_KEY_ARN],
    ['arn:aws:iam::444455556666:role/writer', 'said', 'arn:aws:kms:us-east-1:444455556666:key/0123']);
  const role = JSON.stringify(allowed(t, 'event-transformer-dev'));
  assert.ok(role.includes('sts:AssumeRole') && !role.includes('aws-security-data-lake') && !role.includes('444455556666:key'));
});

test('the lake off: the transformer is told so, and may write to none', () => {
  const t = template('securityLake: { enabled: false }');
  assert.equal(variables(t, 'event-transformer-dev').SECURITY_LAKE_ENABLED, 'false');
  assert.ok(!JSON.stringify(allowed(t, 'event-transformer-dev')).includes('ext/*'));
});

test('Security Hub: own, central, off, and without its function', () => {
  const own = template();
  assert.match(JSON.stringify(allowing(own, 'securityhub-processor-dev', 'securityhub:BatchImportFindings')[0]?.Resource), /:securityhub:us-east-1:.*product\/.*\/default/);
  const central = template('securityHub: { accountId: "444455556666", region: eu-west-1, roleArn: "arn:aws:iam::444455556666:role/hub" }');
  assert.deepEqual(allowing(central, 'securityhub-processor-dev', 'securityhub:BatchImportFindings'), []);
  assert.equal(allowing(central, 'securityhub-processor-dev', 'sts:AssumeRole')[0]?.Resource, 'arn:aws:iam::444455556666:role/hub');
  assert.deepEqual([variables(central, 'event-transformer-dev').SECURITY_HUB_ACCOUNT_ID, variables(central, 'event-transformer-dev').SECURITY_HUB_REGION],
    ['444455556666', 'eu-west-1']);
  const off = template('securityHub: { enabled: false }');
  assert.throws(() => functionNamed(off, 'securityhub-processor-dev'));
  assert.equal(variables(off, 'event-transformer-dev').ASFF_ENABLED, 'false');
  off.resourceCountIs('AWS::SQS::Queue', 4);
  const without = template('coreProcessing: { securityHubProcessor: { enabled: false } }');
  assert.throws(() => functionNamed(without, 'securityhub-processor-dev'));
  without.resourceCountIs('AWS::SQS::Queue', 6);
});

test('the transformer off: queue and buckets stay', () => {
  const t = template('coreProcessing: { eventTransformer: { enabled: false } }');
  assert.throws(() => functionNamed(t, 'event-transformer-dev'));
  t.resourceCountIs('AWS::SQS::Queue', 6);
});

test('CloudTrail Lake: off, made, or there already', () => {
  assert.equal(variables(template(), 'event-transformer-dev').CLOUDTRAIL_ENABLED, 'false');
  const made = template('cloudTrailEventDataStore: { enabled: true, retentionPeriod: 30 }');
  made.hasResourceProperties('AWS::CloudTrail::EventDataStore', { Name: 'tributary-events-dev', RetentionPeriod: 30, KmsKeyId: Match.anyValue(), TerminationProtectionEnabled: false });
  made.hasResourceProperties('AWS::CloudTrail::Channel', { Name: 'tributary-channel-dev', Source: 'Custom' });
  assert.equal(allowing(made, 'event-transformer-dev', 'cloudtrail-data:PutAuditEvents').length, 1);
  const arn = 'arn:aws:cloudtrail:us-east-1:111122223333:channel/0123';
  const given = template(`cloudTrailEventDataStore: { enabled: true, channelArn: "${arn}" }`);
  given.resourceCountIs('AWS::CloudTrail::EventDataStore', 0);
  assert.equal(variables(given, 'event-transformer-dev').CLOUDTRAIL_CHANNEL_ARN, arn);
});

test('quarantine: a role that reads it, and a trail of who does', () => {
  const t = template('quarantine: { readRole: { enabled: true, principals: ["arn:aws:iam::111122223333:role/analysts"] }, dataEvents: { enabled: true, retentionDays: 10 } }');
  const [decrypt] = allowing(t, 'tributary-quarantine-reader-dev', 'kms:Decrypt');
  assert.equal(decrypt?.Condition?.StringEquals?.['kms:ViaService'], 's3.us-east-1.amazonaws.com');
  t.hasResourceProperties('AWS::CloudTrail::Trail', { EventSelectors: [Match.objectLike({ IncludeManagementEvents: false })] });
  t.resourceCountIs('AWS::S3::Bucket', 3);
});

test('the network: in the given subnets, nothing in, HTTPS and AMQP out, endpoints', () => {
  const yaml = `vpc: { vpcId: vpc-01234567, subnetIds: [subnet-01234567], egressCidrs: [10.0.0.0/8],
    interfaceEndpoints: [sqs], gatewayEndpoints: [s3], routeTableIds: [rtb-01234567] }`;
  const t = template(yaml);
  t.hasResourceProperties('AWS::Lambda::Function', { FunctionName: 'event-transformer-dev', VpcConfig: { SubnetIds: ['subnet-01234567'] } });
  t.hasResourceProperties('AWS::EC2::SecurityGroup', { SecurityGroupEgress: [
    Match.objectLike({ CidrIp: '10.0.0.0/8', FromPort: 443 }), Match.objectLike({ CidrIp: '10.0.0.0/8', FromPort: 5671 })] });
  t.resourceCountIs('AWS::EC2::VPCEndpoint', 2);
  assert.equal(allowing(t, 'event-transformer-dev', 'ec2:CreateNetworkInterface').length, 1);
  const given = template('vpc: { vpcId: vpc-01234567, subnetIds: [subnet-01234567], securityGroupId: sg-01234567 }');
  given.resourceCountIs('AWS::EC2::SecurityGroup', 0);
});

test('tags are on everything that has tags', () => {
  const t = template('tags: { team: blue }');
  for (const type of ['AWS::SQS::Queue', 'AWS::Lambda::Function', 'AWS::IAM::Role', 'AWS::KMS::Key']) {
    t.allResourcesProperties(type, { Tags: Match.arrayWith([{ Key: 'team', Value: 'blue' }]) });
  }
});

test('two syntheses give the same template', () => {
  assert.deepEqual(template('tags: { a: b }\nintegrations: { azure: {}, example: {} }').toJSON(), template('tags: { a: b }\nintegrations: { azure: {}, example: {} }').toJSON());
});
