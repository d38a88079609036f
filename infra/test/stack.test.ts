import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Validations } from 'aws-cdk-lib';
import { CfnTopic } from 'aws-cdk-lib/aws-sns';
import { AwsSolutionsChecks } from 'cdk-nag';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { addStack } from '../lib/app';
import { judge } from '../lib/config';

const template = (input: unknown) => Template.fromStack(addStack(new App(), judge(input)));

test('queues have their names, TLS alone and the shared key; dead letters follow the setting', () => {
  const t = template({ sqsQueue: { deadLetterQueue: { maxReceiveCount: 7 } } });
  t.hasResourceProperties('AWS::SQS::Queue', {
    QueueName: 'event-queue-dev', KmsMasterKeyId: Match.anyValue(), MaximumMessageSize: 1048576,
    RedrivePolicy: Match.objectLike({ maxReceiveCount: 7 }),
  });
  t.hasResourceProperties('AWS::SQS::Queue', { QueueName: 'event-queue-dlq-dev', MessageRetentionPeriod: 1209600 });
  const policies = JSON.stringify(t.findResources('AWS::SQS::QueuePolicy'));
  assert.equal(policies.split('aws:SecureTransport').length - 1, 6);
  for (const name of ['asff-queue', 'asff-queue-dlq', 'flow-log-queue', 'flow-log-queue-dlq']) {
    t.hasResourceProperties('AWS::SQS::Queue', { QueueName: `${name}-dev`, KmsMasterKeyId: Match.anyValue() });
  }
});

test('buckets are private, TLS only, drop unfinished uploads; quarantine has its own key and no expiry', () => {
  const buckets = Object.entries(template({}).findResources('AWS::S3::Bucket'));
  assert.equal(buckets.length, 2);
  const keys = new Set(buckets.map(([, b]) => JSON.stringify(b.Properties.BucketEncryption)));
  assert.equal(keys.size, 2);
  for (const [id, bucket] of buckets) {
    const rule = bucket.Properties.LifecycleConfiguration.Rules[0];
    assert.equal(rule.AbortIncompleteMultipartUpload.DaysAfterInitiation, 1);
    assert.equal(rule.ExpirationInDays, id.startsWith('Staging') ? 35 : undefined);
    assert.equal(bucket.Properties.PublicAccessBlockConfiguration.BlockPublicPolicy, true);
  }
});

test('encryption off: no key at all', () => {
  template({ encryption: { enabled: false } }).resourceCountIs('AWS::KMS::Key', 0);
});

test('prod keeps keys, queues and buckets', () => {
  const t = template({ environment: 'prod' });
  for (const type of ['AWS::KMS::Key', 'AWS::S3::Bucket', 'AWS::SQS::Queue']) {
    t.allResources(type, { DeletionPolicy: 'Retain' });
  }
});

test('two synths give the same template', () => {
  assert.deepEqual(template({ tags: { a: 'b' } }).toJSON(), template({ tags: { a: 'b' } }).toJSON());
});

test('alarms tell the topic, CloudWatch may use its key, addresses are subscribed', () => {
  const t = template({ monitoring: { alarms: { deadLetterThreshold: 3, queueAgeSeconds: 900, emailEndpoints: ['a@example.com'] } } });
  for (const Threshold of [3, 900]) {
    t.hasResourceProperties('AWS::CloudWatch::Alarm', { Threshold, AlarmActions: [Match.anyValue()] });
  }
  t.resourceCountIs('AWS::CloudWatch::Alarm', 6);
  t.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'a@example.com' });
  t.hasResourceProperties('AWS::KMS::Key', {
    KeyPolicy: Match.objectLike({ Statement: Match.arrayWith([Match.objectLike({
      Principal: { Service: 'cloudwatch.amazonaws.com' },
      Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
    })]) }),
  });
});

test('alarms off: no alarm, no topic, and the rest stays', () => {
  const t = template({ monitoring: { alarms: { enabled: false } } });
  t.resourceCountIs('AWS::CloudWatch::Alarm', 0);
  t.resourceCountIs('AWS::SNS::Topic', 0);
  t.resourceCountIs('AWS::SQS::Queue', 6);
});

test('AwsSolutions rules are clean, and would not be with a bare topic', () => {
  const judged = (bare: boolean) => {
    const app = new App();
    const stack = addStack(app, judge({}));
    if (bare) new CfnTopic(stack, 'Bare');
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    const before = process.exitCode;
    try {
      app.synth();
      return process.exitCode === 1 && before !== 1;
    } catch {
      return true;
    } finally {
      process.exitCode = before;
    }
  };
  assert.equal(judged(false), false);
  assert.equal(judged(true), true);
});
