// Azure as an integration: what reads its hub and its flow logs, with their table and secrets.
import {
  BaseIntegrationModule, type CoreResources, type HealthAlarm, type HealthCheckConfig, type ModuleOutput, type RequiredPermission,
  type ValidationResult,
  failing, metric, required, scheduled,
} from '@tributary/infra';
import { Aws, Duration, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { CheckpointStore } from './checkpoint-store';
import { type Credentials, CredentialsSecret, federated } from './credentials';
import { FlowLogProcessor } from './flow-logs';
import { EventHubProcessor } from './processor';
import { type AzureConfig, FLOW_LOG_PLACEHOLDERS, between, hubPlaceholders, schema } from './schema';

const PERIOD = Duration.minutes(5);

/** `authentication: sas` in full. */
function inFull(config: unknown): unknown {
  const { authentication } = (config ?? {}) as { authentication?: unknown };
  return typeof authentication === 'string' ? { ...(config as object), authentication: { method: authentication } } : config;
}

/** A secret that is there already: a function's that is not the one that is made here. */
const elsewhere = (given: string | undefined, made: { secretName?: string | undefined }) => (given === made.secretName ? undefined : given);

/** What was made of one instance. */
interface Made {
  core: CoreResources;
  config: AzureConfig;
  store: CheckpointStore;
  processor?: EventHubProcessor;
  hub?: Credentials;
  flowLogs?: FlowLogProcessor;
  blobs?: Credentials;
}

export default class AzureIntegrationModule extends BaseIntegrationModule<typeof schema> {
  readonly moduleId = 'azure';
  readonly moduleName = 'Azure';
  readonly moduleVersion = '0.1.0';
  readonly moduleDescription = 'Defender for Cloud, Activity Log, Entra ID, resource logs and flow logs, by an Event Hub.';
  readonly configSchema = schema;
  private made?: Made;

  override validateConfig(config: unknown): ValidationResult {
    return super.validateConfig(inFull(config));
  }

  override createResources(scope: Construct, core: CoreResources, config: unknown): void {
    super.createResources(scope, core, inFull(config));
  }

  protected override between(config: AzureConfig): string[] {
    return between(config);
  }

  protected create(scope: Construct, core: CoreResources, config: AzureConfig): void {
    const made: Made = { core, config, store: new CheckpointStore(scope, 'CheckpointStore', core, config.checkpointStore) };
    this.made = made;
    const { secretsManager, authentication, eventHubProcessor, flowLogProcessor } = config;
    if (eventHubProcessor.enabled) {
      made.hub = federated(config) ?? new CredentialsSecret(scope, 'EventHubCredentials', core, {
        variable: 'AZURE_CREDENTIALS_SECRET_NAME', existing: elsewhere(eventHubProcessor.azureCredentialsSecretName, secretsManager.eventHubSecret), base: 'eventhub-credentials',
        settings: secretsManager.eventHubSecret, placeholders: hubPlaceholders(authentication.method),
      });
      made.processor = new EventHubProcessor(scope, 'EventHub', core, config, made.store, made.hub);
    }
    if (flowLogProcessor.enabled) {
      made.blobs = federated(config) ?? new CredentialsSecret(scope, 'FlowLogsCredentials', core, {
        variable: 'AZURE_FLOWLOGS_SECRET_NAME', existing: elsewhere(flowLogProcessor.azureFlowLogsSecretName, secretsManager.flowLogsSecret), base: 'flowlogs-credentials',
        settings: secretsManager.flowLogsSecret, placeholders: FLOW_LOG_PLACEHOLDERS,
      });
      made.flowLogs = new FlowLogProcessor(scope, 'FlowLogs', core, config, made.store, made.blobs);
    }
  }

  /** What its handlers need in this deployment, by the functions' own list. */
  getRequiredPermissions(): RequiredPermission[] {
    if (!this.made) return [];
    const { core, processor, hub, flowLogs, blobs } = this.made;
    return [
      ...(processor && hub ? required('eventhub-processor', new Set([...core.features, hub.feature])) : []),
      ...(flowLogs && blobs ? required('flowlog-processor', new Set([...core.features, blobs.feature])) : []),
    ];
  }

  override getHealthCheckConfig(): HealthCheckConfig | undefined {
    if (!this.made) return undefined;
    const { core, config, processor, hub, flowLogs, blobs } = this.made;
    const { alarms } = core.config.monitoring;
    const of = (name: 'partitionLag' | 'eventsLost' | 'accessDenied', listed: string, description: string): HealthAlarm[] =>
      (alarms[name].enabled
        ? [{ name: listed, description, metric: metric(listed, core.instanceId, PERIOD), threshold: alarms[name].threshold }] : []);
    return { alarms: [
      ...(processor ? [
        ...scheduled('EventHubProcessor', processor.function, config.eventHubProcessor.schedule, alarms),
        ...of('partitionLag', 'PartitionLag', `A partition of ${core.instanceId} is ${alarms.partitionLag.threshold} events behind.`),
        ...of('eventsLost', 'EventsLost', `The hub of ${core.instanceId} dropped events before they were read.`),
      ] : []),
      ...this.secretAge(core, [...(processor ? [hub] : []), ...(flowLogs ? [blobs] : [])]),
      ...(flowLogs ? failing('FlowLogProcessor', flowLogs.function, alarms) : []),
      ...of('accessDenied', 'AccessDenied', `AWS or Azure refuses calls of ${core.instanceId} for want of permission.`),
    ] };
  }

  /** Credentials that nobody replaced for too long; where there is no secret, there is nothing to replace. */
  private secretAge(core: CoreResources, credentials: (Credentials | undefined)[]): HealthAlarm[] {
    const { enabled, threshold } = core.config.monitoring.alarms.secretAge;
    const names = credentials.flatMap((one) => one?.secretName ?? []);
    if (!enabled || names.length === 0) return [];
    return [{
      name: 'SecretAge',
      description: `The secret ${names.join(', or ')} was not changed for ${threshold} days: new credentials, then configure-secrets-manager.sh.`,
      metric: metric('SecretAgeSeconds', core.instanceId, Duration.hours(1)),
      threshold: threshold * 86400,
    }];
  }

  override getModuleOutputs(): Record<string, ModuleOutput> {
    if (!this.made) return {};
    const { store, processor, hub, flowLogs, blobs, core } = this.made;
    const outputs: Record<string, ModuleOutput> = {
      CheckpointTableName: { value: store.tableName, description: `Positions of ${core.instanceId}` },
    };
    const roleArn = (name: string) => `arn:${Aws.PARTITION}:iam::${Stack.of(store).account}:role/${name}`;
    for (const [name, fn, credentials] of [['EventHub', processor, hub], ['FlowLogs', flowLogs, blobs]] as const) {
      if (!fn || !credentials) continue;
      outputs[`${name}ProcessorRoleArn`] = {
        value: roleArn(fn.function.roleName), description: 'Role that Azure trusts where authentication is federated',
      };
      if (credentials.secretName !== undefined) {
        outputs[`${name}SecretName`] = { value: credentials.secretName, description: 'Secret that configure-secrets-manager.sh fills' };
      }
    }
    return outputs;
  }
}
