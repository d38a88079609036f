// What reads flow log blobs: a function behind the queue of their notifications.
import { type CoreResources, TributaryFunction } from '@tributary/infra';
import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { Construct } from 'constructs';
import type { CheckpointStore } from './checkpoint-store';
import type { Credentials } from './credentials';
import type { AzureConfig } from './schema';

export class FlowLogProcessor extends Construct {
  readonly function: TributaryFunction;

  constructor(scope: Construct, id: string, core: CoreResources, config: AzureConfig, store: CheckpointStore, credentials: Credentials) {
    super(scope, id);
    const { flowLogProcessor: settings, checkpointStore } = config;
    core.consumeFlowLogs();
    const { EVENTHUB_NAMESPACE: _namespace, EVENTHUB_NAME: _name, EVENTHUB_CONSUMER_GROUP: _group, ...variables } = credentials.variables;
    const functionName = core.named('function', settings.functionName ?? `${core.instanceId}-flowlog-processor`);
    this.function = core.addFunction(this, 'Processor', {
      handler: 'flowlog-processor',
      functionName,
      description: `Reads the flow log blobs of ${core.instanceId}`,
      settings,
      variables: {
        ...core.lakeVariables,
        MODULE_ID: core.instanceId,
        FLOW_LOG_SQS_QUEUE: core.flowLogQueue.queueUrl,
        STAGING_BUCKET: core.stagingBucket.bucketName,
        QUARANTINE_BUCKET: core.quarantineBucket.bucketName,
        CHECKPOINT_TABLE_NAME: store.tableName,
        CHECKPOINT_TTL_HOURS: String(checkpointStore.ttl.defaultTtlHours),
        CHECKPOINT_TTL_ATTRIBUTE: checkpointStore.ttl.attributeName,
        ...variables,
      },
      features: new Set([...core.features, credentials.feature]),
      targets: {
        ...core.targets, ledgerTable: store.target, flowLogSecret: credentials.target,
        // Queue, table and secret have the shared key, what is quarantined its own.
        key: { arns: [core.sharedKey, core.quarantineKey].flatMap((key) => (key ? [key.keyArn] : [])) },
        deadLetterQueue: { arns: [core.flowLogDeadLetterQueue.queueArn] },
      },
    });
    this.function.consume(core.flowLogQueue, settings);
    if (settings.sweep.enabled) this.addSweep(functionName, settings.sweep);
  }

  private addSweep(functionName: string, { schedule, hours }: AzureConfig['flowLogProcessor']['sweep']): void {
    const once = { retryAttempts: 0, maxEventAge: Duration.minutes(5) };
    // The next one looks at the same blobs.
    this.function.function.configureAsyncInvoke(once);
    new events.Rule(this, 'Sweep', {
      ruleName: `${functionName}-sweep`,
      description: `Lets ${functionName} look for blobs that nobody told of`,
      schedule: events.Schedule.expression(schedule),
      targets: [new LambdaFunction(this.function.function, { ...once, event: events.RuleTargetInput.fromObject({ sweep: { hours } }) })],
    });
  }
}
