// Alarms, and the topic that they are told to.
import { CfnOutput, Duration, Stack, Aws } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Config } from '../config/schema';
import type { TributaryFunction } from '../framework/function';
import { failing } from '../framework/health';
import type { HealthAlarm } from '../framework/integration-module';
import { metric } from '../framework/metrics';
import { allowService } from './encryption';

const PERIOD = Duration.minutes(5);

/** A queue as alarms speak of it. */
export interface WatchedQueue { readonly name: string; readonly what: string; readonly queue: sqs.IQueue; readonly deadLetters: sqs.IQueue }

export class Alarms extends Construct {
  readonly topic: sns.Topic;

  constructor(scope: Construct, id: string, private readonly config: Config, key: kms.Key | undefined) {
    super(scope, id);
    const settings = config.monitoring.alarms;
    const { account, region } = Stack.of(this);
    const alarms = `arn:${Aws.PARTITION}:cloudwatch:${region}:${account}:alarm:*`;
    this.topic = new sns.Topic(this, 'Topic', {
      topicName: `${settings.snsTopicName}-${config.environment}`,
      enforceSSL: true,
      ...(key ? { masterKey: key } : {}),
    });
    // CloudWatch publishes under its own name: without this an encrypted topic takes nothing, and nobody is told.
    if (key) allowService(key, 'AlarmsToTheTopic', 'cloudwatch.amazonaws.com', { ArnLike: { 'aws:SourceArn': alarms } });
    this.topic.addToResourcePolicy(new iam.PolicyStatement({
      sid: 'AlarmsOfThisAccount',
      principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['sns:Publish'],
      resources: [this.topic.topicArn],
      conditions: { StringEquals: { 'aws:SourceAccount': account }, ArnLike: { 'aws:SourceArn': alarms } },
    }));
    for (const address of settings.emailEndpoints) this.topic.addSubscription(new EmailSubscription(address));
    new CfnOutput(this, 'AlarmTopicArn', { value: this.topic.topicArn, description: 'Topic of the alarms' }).overrideLogicalId('AlarmTopicArn');
  }

  /** Makes an alarm within a scope, of a name that says whose it is. */
  add(scope: Construct, owner: string, alarm: HealthAlarm): void {
    const { ComparisonOperator, TreatMissingData } = cloudwatch;
    const made = new cloudwatch.Alarm(scope, `${alarm.name}Alarm`, {
      alarmName: `${this.config.projectName}-${owner}-${alarm.name}-${this.config.environment}`,
      alarmDescription: alarm.description,
      metric: alarm.metric,
      threshold: alarm.threshold,
      evaluationPeriods: alarm.evaluationPeriods ?? 1,
      comparisonOperator: alarm.below
        ? ComparisonOperator.LESS_THAN_THRESHOLD : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: alarm.treatMissingData ?? TreatMissingData.NOT_BREACHING,
    });
    made.addAlarmAction(new SnsAction(this.topic));
    made.addOkAction(new SnsAction(this.topic));
  }

  /** Alarms on what every integration shares. */
  watch(queues: WatchedQueue[], functions: Record<string, TributaryFunction>): void {
    const settings = this.config.monitoring.alarms;
    const found: HealthAlarm[] = [];
    for (const { name, what, queue, deadLetters } of queues) {
      const of = { period: PERIOD, statistic: 'Maximum' };
      if (settings.deadLetters.enabled) {
        found.push({
          name: `${name}DeadLetters`, description: `${what} became dead letters: see OPERATIONS.md, redrive.`,
          metric: deadLetters.metricApproximateNumberOfMessagesVisible(of), threshold: settings.deadLetters.threshold,
        });
      }
      if (settings.queueAge.enabled) {
        found.push({
          name: `${name}QueueAge`, description: `${what} wait in their queue for ${settings.queueAge.threshold} seconds.`,
          metric: queue.metricApproximateAgeOfOldestMessage(of), threshold: settings.queueAge.threshold,
        });
      }
    }
    for (const [name, fn] of Object.entries(functions)) found.push(...failing(name, fn, settings));
    if (settings.accessDenied.enabled) {
      found.push({
        name: 'AccessDenied', description: 'AWS refuses calls of the shared functions for want of permission.',
        metric: metric('AccessDenied', 'core', PERIOD), threshold: settings.accessDenied.threshold,
      });
    }
    if (settings.mappingsRefused.enabled) {
      found.push({
        name: 'MappingsRefused', description: 'Changed mapping files were refused: the built-in set is in force.',
        metric: metric('MappingsRefused', 'core', PERIOD), threshold: settings.mappingsRefused.threshold,
      });
    }
    for (const alarm of found) this.add(this, 'core', alarm);
  }
}
