import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Duration } from 'aws-cdk-lib';
import { Match } from 'aws-cdk-lib/assertions';
import { minutesBetween } from '../lib/framework/health';
import { LIST, metric } from '../lib/framework/metrics';
import { EVERYTHING, ofType, template } from './support';

test('every metric of the list is on the dashboard, by its statistic and its label', () => {
  const dashboard = ofType(template(), 'AWS::CloudWatch::Dashboard')[0]?.[1];
  const body = JSON.stringify(dashboard?.Properties.DashboardBody);
  assert.equal(dashboard?.Properties.DashboardName, 'tributary-dev');
  for (const listed of LIST.metrics) {
    const dimensions = ['Tributary', 'Module', ...(listed.label ? [listed.label] : [])].join(',');
    const wanted = `SEARCH('{${dimensions}} MetricName=`;
    assert.ok(body.includes(wanted), wanted);
    assert.match(body, new RegExp(`MetricName=[^,]*${listed.name}[^,]*, '${listed.kind === 'counter' ? 'Sum' : 'Maximum'}'`), listed.name);
  }
  template('monitoring: { dashboard: { enabled: false } }').resourceCountIs('AWS::CloudWatch::Dashboard', 0);
});

test('an alarm on a metric that is not in the list is an error with a suggestion', () => {
  assert.throws(() => metric('EventLost', 'azure', Duration.minutes(5)), /has no metric EventLost: did you mean EventsLost\?/);
  assert.equal(metric('PartitionLag', 'azure', Duration.minutes(5)).statistic, 'Maximum');
});

test('alarms tell a topic that CloudWatch may publish to, for alarms of this account alone; addresses are subscribed', () => {
  const t = template('monitoring: { alarms: { snsTopicName: told, deadLetters: { threshold: 3 }, queueAge: { threshold: 900 }, emailEndpoints: [a@example.com] } }');
  t.hasResourceProperties('AWS::SNS::Topic', { TopicName: 'told-dev', KmsMasterKeyId: Match.anyValue() });
  t.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'a@example.com' });
  for (const [name, Threshold] of [['EventDeadLetters', 3], ['FindingsDeadLetters', 3], ['FlowLogDeadLetters', 3], ['EventQueueAge', 900]]) {
    t.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmName: `tributary-core-${name}-dev`, Threshold, AlarmActions: [Match.anyValue()], OKActions: [Match.anyValue()],
    });
  }
  t.hasResourceProperties('AWS::SNS::TopicPolicy', { PolicyDocument: Match.objectLike({ Statement: Match.arrayWith([Match.objectLike({
    Action: 'sns:Publish', Principal: { Service: 'cloudwatch.amazonaws.com' },
    Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } }, ArnLike: Match.anyValue() },
  })]) }) });
});

test('alarms off: no alarm, no topic, and the rest stays', () => {
  const t = template('monitoring: { alarms: { enabled: false } }\nintegrations: { azure: {} }');
  t.resourceCountIs('AWS::CloudWatch::Alarm', 0);
  t.resourceCountIs('AWS::SNS::Topic', 0);
  t.resourceCountIs('AWS::SQS::Queue', 6);
});

test('a scheduled function that is not invoked is missed after three runs, and after half an hour at the least', () => {
  const period = (schedule: string) => {
    const [, alarm] = ofType(template(`integrations: { azure: { config: { eventHubProcessor: { schedule: "${schedule}" } } } }`), 'AWS::CloudWatch::Alarm')
      .find(([, one]) => /NotRunning/.test(one.Properties.AlarmName)) ?? [];
    return alarm && [alarm.Properties.Period, alarm.Properties.ComparisonOperator, alarm.Properties.TreatMissingData];
  };
  assert.deepEqual(period('rate(5 minutes)'), [1800, 'LessThanThreshold', 'breaching']);
  assert.deepEqual(period('rate(1 hour)'), [10800, 'LessThanThreshold', 'breaching']);
  // When it runs cannot be told, or it runs too rarely for CloudWatch.
  assert.equal(period('cron(0 8 ? * MON *)'), undefined);
  assert.equal(period('rate(1 day)'), undefined);
  assert.deepEqual(['rate(1 minute)', 'rate(2 hours)', 'rate(1 day)', 'cron(x)'].map(minutesBetween), [1, 120, 1440, undefined]);
});

test('every alarm has a row in docs/OPERATIONS.md, and every row an alarm', () => {
  const names = ofType(template(EVERYTHING), 'AWS::CloudWatch::Alarm').map(([, alarm]) => /-(\w+)-prod$/.exec(alarm.Properties.AlarmName as string)?.[1] ?? '');
  const page = readFileSync(join(__dirname, '../../docs/OPERATIONS.md'), 'utf8').split(/^## /m).find((part) => part.startsWith('Alarms\n')) ?? '';
  const rows = [...page.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  assert.deepEqual([...new Set(names)].sort(), rows.sort());
});
