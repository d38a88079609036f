// The keys of integrations.<id>.config.
import { functionKeys, key, queueKeys, section, text, whole } from '@tributary/infra';
import { z } from 'zod';

const PLACEHOLDER = 'PLACEHOLDER';
const guid = () => text(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'a GUID');
const secretName = () => text(/^[A-Za-z0-9/_+=.@-]{1,200}$/, 'letters, digits and /_+=.@-, at most 200');

/** rate() in whole minutes, hours or days, or cron(). */
const schedule = () => text(/^(rate\((1 (minute|hour|day)|(?!1 )[1-9]\d{0,3} (minutes|hours|days))\)|cron\([^()]{11,100}\))$/,
  'rate(5 minutes), rate(1 hour) or cron(…)');

/** A name without its key: the first instance's, which users know. */
const instanceName = (name: string) => `${name} (for another instance its id in place of azure)`;

const secret = (name: string, description: string) => section({
  secretName: key(secretName().optional(), `Name of the secret; the environment is appended. ${instanceName(name)} without it.`),
  description: key(z.string().min(1).max(2048).default(description), 'Description of the secret.'),
  secretTemplate: key(z.record(z.string(), z.string()).optional(),
    'What the secret holds at first; placeholders of the authentication\'s keys without it. Changed later, it overwrites the credentials.',
    'key to text'),
}).prefault({});

const capacity = (initial: number, description: string) => key(whole(1, 40000).default(initial), description);

export const schema = section({
  authentication: section({
    method: key(z.enum(['sas', 'clientSecret', 'federated']).default('sas'),
      'Who the functions are at Azure: a connection string or an application\'s secret, from Secrets Manager; or the role\'s own token, no secret. Alone, `authentication: METHOD` says the same.'),
    federated: key(section({
      AZURE_AUTHENTICATION: key(z.literal('federated').optional(), 'As Terraform prints it.'),
      AZURE_TENANT_ID: key(guid(), 'The tenant.'),
      AZURE_CLIENT_ID: key(guid(), 'The application that trusts the role.'),
      EVENTHUB_NAMESPACE: key(text(/^[a-z0-9][a-z0-9.-]{1,253}$/i, 'NAMESPACE.servicebus.windows.net'), 'The hub\'s namespace.'),
      EVENTHUB_NAME: key(text(/^[A-Za-z0-9._-]{1,256}$/, 'a hub\'s name'), 'The hub.'),
      EVENTHUB_CONSUMER_GROUP: key(text(/^[$A-Za-z0-9._-]{1,256}$/, 'a consumer group\'s name').default('tributary'), 'The consumer group.'),
      AZURE_STORAGE_ACCOUNT: key(
        text(/^[a-z0-9]{3,24}(=https:\/\/[^\s,=]+)?(,[a-z0-9]{3,24}(=https:\/\/[^\s,=]+)?)*$/, 'NAME or NAME=ENDPOINT, several separated by commas').optional(),
        'The storage accounts of flow logs; needed with `flowLogProcessor`. With the endpoint in another cloud or behind a private one.'),
    }).optional(), 'Settings in place of a secret: what `configure-secrets-manager.sh` prints. Needed with `federated`.', 'keys below'),
  }).prefault({}),
  eventHubProcessor: section({
    enabled: key(z.boolean().default(true), 'The function that reads the hub.'),
    ...functionKeys({
      memorySize: 512, timeout: 300, reservedConcurrentExecutions: 1, otherwise: instanceName('azure-eventhub-processor'),
    }),
    schedule: key(schedule().default('rate(5 minutes)'), 'When it runs.'),
    azureCredentialsSecretName: key(secretName().optional(),
      'A secret that is there already, by its whole name: none is made. `secretsManager.eventHubSecret`, without it or where it is that one\'s name.'),
    initialPosition: key(z.enum(['earliest', 'latest']).default('earliest'), 'Where a partition without a position begins.'),
    transport: key(z.enum(['amqp', 'websocket']).default('amqp'), 'AMQP on port 5671, or over WebSockets on 443.'),
  }).prefault({}),
  flowLogProcessor: section({
    enabled: key(z.boolean().default(false),
      'The function that reads flow log blobs; without it their notifications are quarantined. One instance of a deployment may have it.'),
    ...functionKeys({
      memorySize: 1024, timeout: 600, reservedConcurrentExecutions: 5, otherwise: instanceName('azure-flowlog-processor'),
    }),
    ...queueKeys(10, 5),
    sweep: section({
      enabled: key(z.boolean().default(true), 'Blobs are looked through now and then: Azure may drop the last notification of an hour.'),
      schedule: key(schedule().default('rate(6 hours)'), 'When.'),
      hours: key(whole(1, 17519).default(24), 'Of how many hours back.', '1 to 17519, less than `checkpointStore.ttl.defaultTtlHours`'),
    }).prefault({}),
    azureFlowLogsSecretName: key(secretName().optional(),
      'A secret that is there already, by its whole name: none is made. `secretsManager.flowLogsSecret`, without it or where it is that one\'s name.'),
  }).prefault({}),
  secretsManager: section({
    eventHubSecret: secret('azure-eventhub-credentials', 'Credentials of the Event Hub'),
    flowLogsSecret: secret('azure-flowlogs-credentials', 'Credentials of the storage account of flow logs'),
  }).prefault({}),
  checkpointStore: section({
    enabled: key(z.boolean().default(true), 'The table of positions is made; without it `tableName` is the whole name of one that is there.'),
    tableName: key(text(/^[A-Za-z0-9_.-]{3,200}$/, '3 to 200 letters, digits, _ . and -').optional(),
      `Name of the table; the environment is appended. ${instanceName('azure-eventhub-checkpoint-store')} without it.`),
    billingMode: key(z.enum(['PAY_PER_REQUEST', 'PROVISIONED']).default('PAY_PER_REQUEST'), 'How the table is paid for.'),
    provisioned: section({
      readCapacity: capacity(5, 'Reads a second, with PROVISIONED.'),
      writeCapacity: capacity(5, 'Writes a second, with PROVISIONED.'),
      autoScaling: section({
        enabled: key(z.boolean().default(true), 'Capacity follows the use.'),
        maxReadCapacity: capacity(50, 'Most reads a second.'),
        maxWriteCapacity: capacity(50, 'Most writes a second.'),
        targetUtilization: key(whole(20, 90).default(70), 'Percentage of the capacity that is aimed at.'),
      }).prefault({}),
    }).prefault({}),
    encryption: section({
      useSharedKey: key(z.boolean().default(true), 'Encryption of the table by the stack\'s key; without it by DynamoDB\'s own.'),
    }).prefault({}),
    ttl: section({
      enabled: key(z.boolean().default(true), 'Positions that nobody refreshes go away.'),
      attributeName: key(text(/^[A-Za-z][A-Za-z0-9_]{0,254}$/, 'letters, digits and _').default('ttl'), 'The attribute that says when.'),
      defaultTtlHours: key(whole(1, 17520).default(168), 'Hours that a position lives without a run: at least the hub\'s retention.'),
    }).prefault({}),
  }).prefault({}),
});

export type AzureConfig = z.output<typeof schema>;

/** Content of the hub's secret before there are credentials. */
export function hubPlaceholders(method: AzureConfig['authentication']['method']): Record<string, string> {
  const hub = { eventHubNamespace: PLACEHOLDER, eventHubName: PLACEHOLDER, consumerGroup: 'tributary' };
  return method === 'sas'
    ? { ...hub, connectionString: PLACEHOLDER }
    : { ...hub, tenantId: PLACEHOLDER, clientId: PLACEHOLDER, clientSecret: PLACEHOLDER };
}

/** The same of the flow logs' secret. */
export const FLOW_LOG_PLACEHOLDERS = Object.fromEntries(
  ['tenantId', 'clientId', 'clientSecret', 'subscriptionId', 'storageAccountName', 'storageAccountResourceId'].map((name) => [name, PLACEHOLDER]),
);

/** Rules between keys that are right by themselves. */
export function between(config: AzureConfig): string[] {
  const { authentication, flowLogProcessor, eventHubProcessor, checkpointStore } = config;
  const faults: string[] = [];
  if (authentication.method === 'federated') {
    if (!authentication.federated) faults.push('authentication.federated: needed with method federated: configure-secrets-manager.sh prints it');
    if (flowLogProcessor.enabled && authentication.federated && authentication.federated.AZURE_STORAGE_ACCOUNT === undefined) {
      faults.push('authentication.federated.AZURE_STORAGE_ACCOUNT: needed with flowLogProcessor');
    }
    for (const [name, given] of Object.entries({
      'eventHubProcessor.azureCredentialsSecretName': eventHubProcessor.azureCredentialsSecretName,
      'flowLogProcessor.azureFlowLogsSecretName': flowLogProcessor.azureFlowLogsSecretName,
    })) {
      if (given !== undefined) faults.push(`${name}: there is no secret with method federated`);
    }
  } else if (authentication.federated) {
    faults.push('authentication.federated: is of no use without method federated');
  }
  if (flowLogProcessor.batchSize > 10 && flowLogProcessor.maximumBatchingWindowInSeconds === 0) {
    faults.push('flowLogProcessor.maximumBatchingWindowInSeconds: at least 1 with a batchSize above 10');
  }
  if (flowLogProcessor.sweep.hours >= checkpointStore.ttl.defaultTtlHours) {
    faults.push('flowLogProcessor.sweep.hours: less than checkpointStore.ttl.defaultTtlHours: '
      + 'a blob of which nobody knows any more how far it was read would be read again');
  }
  if (!checkpointStore.enabled && checkpointStore.tableName === undefined) {
    faults.push('checkpointStore.tableName: needed where the table is not made');
  }
  const { readCapacity, writeCapacity, autoScaling } = checkpointStore.provisioned;
  if (autoScaling.maxReadCapacity < readCapacity || autoScaling.maxWriteCapacity < writeCapacity) {
    faults.push('checkpointStore.provisioned.autoScaling: the most is less than readCapacity or writeCapacity');
  }
  return faults;
}
