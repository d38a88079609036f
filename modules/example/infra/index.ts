// The smallest module that works: events of an EventBridge bus, of the sources that the configuration names, go into the event
// queue; mappings/ says what becomes of them.
import {
  BaseIntegrationModule, type CoreResources, type HealthCheckConfig, type ModuleOutput, type RequiredPermission, key, section,
} from '@tributary/infra';
import { Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as events from 'aws-cdk-lib/aws-events';
import type { Construct } from 'constructs';
import { z } from 'zod';

const schema = section({
  sources: key(z.array(z.string().regex(/^[\w./-]{1,256}$/, 'expected an event source')).min(1).max(50).default(['example.app']),
    'Sources whose events are taken, as EventBridge names them.', 'names'),
  eventBusName: key(z.string().regex(/^[\w./-]{1,256}$/, 'expected the name of a bus').default('default'), 'The bus.'),
});

export default class ExampleIntegrationModule extends BaseIntegrationModule<typeof schema> {
  readonly moduleId = 'example';
  readonly moduleName = 'Example';
  readonly moduleVersion = '0.1.0';
  readonly moduleDescription = 'Events of an EventBridge bus: what a new module is copied from.';
  readonly configSchema = schema;
  private ruleName?: string;

  protected create(scope: Construct, core: CoreResources, config: z.output<typeof schema>): void {
    const { account, region, partition } = Stack.of(scope);
    const ruleName = core.named('rule', `${core.instanceId}-events`);
    this.ruleName = ruleName;
    const bus = config.eventBusName === 'default' ? '' : `${config.eventBusName}/`;
    new events.CfnRule(scope, 'Events', {
      name: ruleName,
      description: `Events for ${core.instanceId}`,
      eventBusName: config.eventBusName,
      eventPattern: { source: config.sources },
      targets: [{ id: 'event-queue', arn: core.eventQueue.queueArn }],
    });
    core.acceptEventsFrom('events.amazonaws.com', `arn:${partition}:events:${region}:${account}:rule/${bus}${ruleName}`);
  }

  /** No role of its own: EventBridge sends by the queue's policy. */
  getRequiredPermissions(): RequiredPermission[] {
    return [];
  }

  override getHealthCheckConfig(): HealthCheckConfig | undefined {
    if (this.ruleName === undefined) return undefined;
    return { alarms: [{
      name: 'FailedInvocations',
      description: 'EventBridge cannot put events into the event queue.',
      metric: new cloudwatch.Metric({
        namespace: 'AWS/Events', metricName: 'FailedInvocations', dimensionsMap: { RuleName: this.ruleName },
        period: Duration.minutes(5), statistic: 'Sum',
      }),
      threshold: 1,
    }] };
  }

  override getModuleOutputs(): Record<string, ModuleOutput> {
    if (this.ruleName === undefined) return {};
    return { ExampleRuleName: { value: this.ruleName, description: 'Rule that takes the events' } };
  }
}
