// Alarms on the event queue and its dead letters, and the topic that they are told to.
import { Aws, CfnOutput, Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { CoreStack } from './core-stack';
import type { Config } from './schema';

/** Adds them to the stack. */
export function addAlarms(stack: CoreStack, config: Config): void {
  const settings = config.monitoring.alarms;
  const topic = new sns.Topic(stack, 'Alarms', {
    topicName: `${settings.snsTopicName}-${config.environment}`,
    enforceSSL: true,
    ...(stack.key ? { masterKey: stack.key } : {}),
  });
  // CloudWatch publishes under its own name: without this an encrypted topic takes nothing, and nobody is told.
  stack.key?.addToResourcePolicy(new iam.PolicyStatement({
    principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
    actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
    resources: ['*'],
    conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
  }));
  topic.addToResourcePolicy(new iam.PolicyStatement({
    principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
    actions: ['sns:Publish'],
    resources: [topic.topicArn],
    conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
  }));
  for (const address of settings.emailEndpoints) topic.addSubscription(new EmailSubscription(address));
  const alarm = (id: string, text: string, metric: cloudwatch.Metric, threshold: number) =>
    new cloudwatch.Alarm(stack, id, {
      alarmDescription: text,
      metric,
      threshold,
      evaluationPeriods: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    }).addAlarmAction(new SnsAction(topic));
  const period = { period: Duration.minutes(5), statistic: 'Maximum' };
  alarm('DeadLettersAlarm', 'Event batches became dead letters.',
    stack.deadLetters.metricApproximateNumberOfMessagesVisible(period), settings.deadLetterThreshold);
  alarm('QueueAgeAlarm', 'Event batches wait too long in the queue.',
    stack.eventQueue.metricApproximateAgeOfOldestMessage(period), settings.queueAgeSeconds);
  new CfnOutput(stack, 'AlarmTopicArn', { value: topic.topicArn });
}
