// Alarms on the queues and their dead letters, and the topic that they are told to.
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
  const queues = [
    ['Event', 'Event batches', stack.eventQueue, stack.deadLetters],
    ['Findings', 'Findings', stack.findingsQueue, stack.findingsDeadLetters],
    ['FlowLog', 'Notifications of flow logs', stack.flowLogQueue, stack.flowLogDeadLetters],
  ] as const;
  for (const [id, what, queue, deadLetters] of queues) {
    alarm(`${id}DeadLettersAlarm`, `${what} became dead letters.`,
      deadLetters.metricApproximateNumberOfMessagesVisible(period), settings.deadLetterThreshold);
    alarm(`${id}QueueAgeAlarm`, `${what} wait too long in the queue.`,
      queue.metricApproximateAgeOfOldestMessage(period), settings.queueAgeSeconds);
  }
  new CfnOutput(stack, 'AlarmTopicArn', { value: topic.topicArn });
}
