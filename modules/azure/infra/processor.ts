// What reads the hub: a function on a schedule, never two at a time, and never again by itself where it failed.
import { type CoreResources, type Target, TributaryFunction } from '@tributary/infra';
import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { Construct } from 'constructs';
import type { CheckpointStore } from './checkpoint-store';
import type { Credentials } from './credentials';
import type { AzureConfig } from './schema';

/** Features of permissions.json that the processor's role is made of. */
export const processorFeatures = (core: CoreResources, credentials: Credentials): ReadonlySet<string> =>
  new Set([...core.features, credentials.feature]);

export class EventHubProcessor extends Construct {
  readonly function: TributaryFunction;

  constructor(scope: Construct, id: string, core: CoreResources, config: AzureConfig, store: CheckpointStore, credentials: Credentials) {
    super(scope, id);
    const { eventHubProcessor: settings, checkpointStore } = config;
    const hubSecret: Target = credentials.target;
    const functionName = core.named('function', settings.functionName ?? `${core.instanceId}-eventhub-processor`);
    const { AZURE_STORAGE_ACCOUNT: _, ...variables } = credentials.variables;
    this.function = core.addFunction(this, 'Processor', {
      handler: 'eventhub-processor',
      functionName,
      description: `Reads the hub of ${core.instanceId} into the event queue`,
      settings,
      variables: {
        MODULE_ID: core.instanceId,
        SQS_QUEUE_URL: core.eventQueue.queueUrl,
        STAGING_BUCKET: core.stagingBucket.bucketName,
        CHECKPOINT_TABLE_NAME: store.tableName,
        CHECKPOINT_TTL_HOURS: String(checkpointStore.ttl.defaultTtlHours),
        CHECKPOINT_TTL_ATTRIBUTE: checkpointStore.ttl.attributeName,
        EVENTHUB_TRANSPORT: settings.transport,
        INITIAL_POSITION: settings.initialPosition,
        ...variables,
      },
      features: processorFeatures(core, credentials),
      targets: { ...core.targets, ledgerTable: store.target, hubSecret },
    });
    // What failed is read again by the next run, from the last commit: a second attempt would only be in its way.
    this.function.function.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: Duration.minutes(5) });
    new events.Rule(this, 'Schedule', {
      ruleName: `${functionName}-schedule`,
      description: `Runs ${functionName}`,
      schedule: events.Schedule.expression(settings.schedule),
      targets: [new LambdaFunction(this.function.function, { retryAttempts: 0, maxEventAge: Duration.minutes(5) })],
    });
  }
}
