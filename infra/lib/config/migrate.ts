// The older shape of config.yaml, with azureIntegration and lambdaFunctions, in the new one.

type Tree = Record<string, unknown>;

/** A configuration in the new shape, and what of the older one has no place in it. */
export interface Migrated {
  readonly config: Tree;
  /** One line for each key that was left out, moved with another meaning, or wants a look. */
  readonly notes: string[];
}

const tree = (value: unknown): Tree | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Tree : undefined;

/** Keys that only the older shape has, at the top. */
const OLDER = ['azureIntegration', 'lambdaFunctions', 'flowLogQueue', 'dynamoDbCursorTable', 'tagSource', 'tagProduct', 'tagKitVersion',
  'development', 'production'];

/** Whether a configuration has the older shape. */
export function isOlder(input: unknown): boolean {
  const top = tree(input);
  return top !== undefined && (OLDER.some((name) => name in top) || Array.isArray(top.tags));
}

/** Keys of functions that say nothing any more: the functions are one program without a language's runtime. */
const FUNCTION_GONE = ['runtime', 'lambdaLayerArn', 'handler', 'codePath', 'eventDataStoreEnabled'];

class Migration {
  readonly notes: string[] = [];

  constructor(private readonly top: Tree) {}

  /** A copy of a section without these keys, each of which is noted. */
  private without(section: Tree | undefined, at: string, gone: Record<string, string> | string[]): Tree | undefined {
    if (!section) return undefined;
    const reasons = Array.isArray(gone) ? Object.fromEntries(gone.map((name) => [name, 'says nothing any more'])) : gone;
    return Object.fromEntries(Object.entries(section).filter(([name]) => {
      if (!(name in reasons)) return true;
      this.notes.push(`${at}.${name}: left out: ${reasons[name]}`);
      return false;
    }));
  }

  private function(older: unknown, at: string): Tree | undefined {
    const kept = this.without(tree(older), at, FUNCTION_GONE);
    const variables = tree(kept?.environment);
    if (kept && variables) {
      const level = variables.LOGGING_LEVEL;
      for (const name of Object.keys(variables).filter((name) => name !== 'LOGGING_LEVEL')) {
        this.notes.push(`${at}.environment.${name}: left out: the stack sets what the functions need from other keys`);
      }
      kept.environment = level === undefined ? {} : { LOGGING_LEVEL: level };
    }
    return kept;
  }

  private tags(): Tree {
    const older = this.top.tags;
    const listed = Array.isArray(older)
      ? Object.fromEntries(older.flatMap((tag) => { const t = tree(tag); return t ? [[String(t.key), String(t.value)]] : []; }))
      : { ...tree(older) };
    for (const [from, to] of [['tagSource', 'Source'], ['tagProduct', 'Product'], ['tagKitVersion', 'KitVersion']] as const) {
      if (this.top[from] !== undefined) {
        listed[to] = String(this.top[from]);
        this.notes.push(`${from}: is the tag ${to} now`);
      }
    }
    return listed;
  }

  private lake(): Tree | undefined {
    const older = tree(this.top.securityLake);
    if (older?.OCSFEventClass !== undefined) {
      this.notes.push('securityLake.OCSFEventClass: left out: there is one source a class; securityLake.eventClasses narrows which');
    }
    const kept = older && Object.fromEntries(Object.entries(older).filter(([name]) => name !== 'OCSFEventClass'));
    if (typeof kept?.serviceRole === 'string' && !kept.serviceRole.startsWith('arn:')) {
      this.notes.push(`securityLake.serviceRole: left out: it is an ARN now (arn:aws:iam::ACCOUNT:role/${kept.serviceRole}); without it the stack makes one`);
      delete kept.serviceRole;
    }
    return kept;
  }

  private queue(): Tree | undefined {
    const kept = this.without(tree(this.top.sqsQueue), 'sqsQueue', ['enabled']);
    const letters = this.without(tree(kept?.deadLetterQueue), 'sqsQueue.deadLetterQueue', {
      enabled: 'every queue has dead letters', queueName: 'dead letters are named after their queue, NAME-dlq',
    });
    if (kept && letters) kept.deadLetterQueue = letters;
    if (typeof kept?.maxMessageSize === 'number' && kept.maxMessageSize < 1048576) {
      this.notes.push(`sqsQueue.maxMessageSize: left out (was ${kept.maxMessageSize}): a message is a whole batch, up to 1048576 bytes`);
      delete kept.maxMessageSize;
    }
    if (typeof kept?.visibilityTimeout === 'number' && kept.visibilityTimeout < 1800) {
      this.notes.push(`sqsQueue.visibilityTimeout: left out (was ${kept.visibilityTimeout}): at least 6 times the transformer's timeout`);
      delete kept.visibilityTimeout;
    }
    if (tree(this.top.flowLogQueue)) this.notes.push('flowLogQueue: left out: the flow log queue has sqsQueue\'s settings');
    return kept;
  }

  private monitoring(): Tree | undefined {
    const kept = this.without(tree(this.top.monitoring), 'monitoring', ['enabled']);
    const alarms = tree(kept?.alarms);
    if (!kept || !alarms) return kept;
    const moved: Tree = {};
    const renamed: Record<string, [string, (threshold: number) => number]> = {
      dlqAlarm: ['deadLetters', (n) => n], lambdaErrorAlarm: ['errorRate', (n) => Math.max(1, Math.round(n <= 1 ? n * 100 : n))],
      sqsAgeAlarm: ['queueAge', (n) => n],
    };
    for (const [name, value] of Object.entries(alarms)) {
      const [to, scale] = renamed[name] ?? [];
      const older = tree(value);
      if (!to || !scale || !older) { moved[name] = value; continue; }
      const threshold = older.threshold ?? older.errorRateThreshold ?? older.ageThreshold;
      moved[to] = { enabled: older.enabled ?? true, ...(typeof threshold === 'number' ? { threshold: scale(threshold) } : {}) };
      this.notes.push(`monitoring.alarms.${name}: is monitoring.alarms.${to} now; periods are the stack's own`);
    }
    const logs = this.without(tree(kept.cloudWatchLogs), 'monitoring.cloudWatchLogs', ['enabled']);
    return { ...kept, alarms: moved, ...(logs ? { cloudWatchLogs: logs } : {}) };
  }

  private azure(): Tree | undefined {
    const integration = tree(this.top.azureIntegration);
    const functions = tree(this.top.lambdaFunctions) ?? {};
    if (!integration && !functions.eventHubProcessor && !functions.flowLogProcessor) return undefined;
    const { enabled, ...rest } = integration ?? {};
    const config: Tree = { ...rest };
    for (const name of ['eventHubProcessor', 'flowLogProcessor']) {
      const merged = this.function({ ...tree(functions[name]), ...tree(rest[name]) }, `azureIntegration.${name}`);
      if (merged && Object.keys(merged).length > 0) config[name] = merged;
    }
    const table = tree(this.top.dynamoDbCursorTable);
    if (table) {
      config.checkpointStore = { ...table, ...tree(config.checkpointStore) };
      this.notes.push('dynamoDbCursorTable: is integrations.azure.config.checkpointStore now; positions are not carried over');
    }
    return { enabled: enabled ?? true, config };
  }

  private core(): Tree | undefined {
    const functions = tree(this.top.lambdaFunctions) ?? {};
    const older = tree(this.top.coreProcessing) ?? {};
    const core: Tree = {};
    for (const name of ['eventTransformer', 'securityHubProcessor', 'securityLakeCustomResource']) {
      const merged = this.function({ ...tree(functions[name]), ...tree(older[name]) }, `lambdaFunctions.${name}`);
      if (merged && Object.keys(merged).length > 0) core[name] = merged;
    }
    return Object.keys(core).length > 0 ? core : undefined;
  }

  run(): Migrated {
    const moved: Tree = {
      ...Object.fromEntries(Object.entries(this.top).filter(([name]) => !OLDER.includes(name))),
      tags: this.tags(),
      encryption: this.without(tree(this.top.encryption), 'encryption', { keyDescription: 'the stack describes its key itself' }),
      securityLake: this.lake(),
      coreProcessing: this.core(),
      sqsQueue: this.queue(),
      cloudTrailEventDataStore: this.without(tree(this.top.cloudTrailEventDataStore), 'cloudTrailEventDataStore',
        { eventCategories: 'the store takes what this stack sends, and nothing else', encryption: 'it has the stack\'s key' }),
      securityHub: this.without(tree(this.top.securityHub), 'securityHub', { encryption: 'sqsQueue.encryption is for every queue' }),
      monitoring: this.monitoring(),
    };
    const azure = this.azure();
    if (azure) moved.integrations = { azure, ...tree(this.top.integrations) };
    if (moved.accountId === '') delete moved.accountId;
    if (this.top.environment === 'dev' && tree(this.top.development)?.encryptionKeyType) {
      moved.encryption = { ...tree(moved.encryption), keyType: tree(this.top.development)?.encryptionKeyType };
    }
    for (const name of ['development', 'production']) {
      if (tree(this.top[name])) this.notes.push(`${name}: left out: one file for each environment, with its own settings`);
    }
    const config = Object.fromEntries(Object.entries(moved).filter(([, value]) => value !== undefined));
    return { config, notes: this.notes };
  }
}

/** A configuration of the older shape in the new one. One that is new already comes back as it is. */
export function migrate(input: unknown): Migrated {
  const top = tree(input) ?? {};
  return isOlder(top) ? new Migration(top).run() : { config: top, notes: [] };
}
