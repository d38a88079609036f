// What every integration shares, and in it the integrations.
import { CfnOutput, RemovalPolicy, Stack, type StackProps, Tags } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { isAbsolute, join, resolve } from 'node:path';
import type { Loaded } from '../config/load';
import type { Config } from '../config/schema';
import { type FunctionSurroundings, TributaryFunction } from '../framework/function';
import type { CoreResources } from '../framework/integration-module';
import { ROOT } from '../framework/loader';
import { MappingSet, joined, readMappings } from '../framework/mappings';
import type { Targets } from '../framework/permissions';
import { type Instance, pascal } from '../framework/registry';
import { Alarms, type WatchedQueue } from './alarms';
import { dashboard } from './dashboard';
import { allowService, byOwnKey, sharedKey } from './encryption';
import { securityHubProcessor, transformer } from './functions';
import { Network } from './network';
import { QueueWithDeadLetters } from './queues';
import { type Lake, securityLake } from './security-lake';
import { Quarantine, stagingBucket } from './storage';
import { trailChannel } from './trail';

/** Six times a function's longest invocation: what AWS asks of the queue that feeds it. */
const visibility = (timeout: number) => Math.min(43200, 6 * timeout);
/** Longest that any function runs. */
const LONGEST = 900;

export class CoreStack extends Stack {
  readonly key?: kms.Key;
  /** The same as modules have it: nothing that they make with it changes its policy. */
  private readonly sharedKey?: kms.IKey;
  readonly events: QueueWithDeadLetters;
  readonly findings?: QueueWithDeadLetters;
  readonly flowLogs: QueueWithDeadLetters;
  readonly stagingBucket: s3.Bucket;
  readonly quarantine: Quarantine;
  readonly lake: Lake;
  readonly trailChannelArn: string | undefined;
  readonly features = new Set<string>();
  readonly surroundings: FunctionSurroundings;
  /** Files of the functions' maps, where they are not the built-in ones; removed by `cleanup`. */
  readonly mappings?: MappingSet;
  private readonly taken = new Map<string, string>();
  /** How many resources of an instance may send events. */
  private readonly accepted = new Map<string, number>();
  private flowLogConsumer?: string;

  constructor(scope: Construct, id: string, private readonly loaded: Loaded, props: StackProps) {
    super(scope, id, props);
    const { config } = loaded;
    const removalPolicy = config.environment === 'prod' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;
    if (byOwnKey(config)) {
      this.key = sharedKey(this, config, removalPolicy);
      this.sharedKey = kms.Key.fromKeyArn(this, 'SharedKey', this.key.keyArn);
    }
    this.surroundings = {
      ...(this.key ? { key: this.key } : {}),
      retentionDays: config.monitoring.cloudWatchLogs.retentionDays,
      removalPolicy,
      ...(config.vpc ? { network: new Network(this, 'Network', config.vpc, `${config.projectName}-${config.environment}`).surroundings } : {}),
    };
    const { securityHubProcessor: importer } = config.coreProcessing;
    this.events = this.queue('Event', config.sqsQueue.queueName, config.sqsQueue.visibilityTimeout);
    this.flowLogs = this.queue('FlowLog', 'flow-log-queue', visibility(LONGEST));
    if (config.securityHub.enabled) this.findings = this.queue('Findings', 'asff-queue', visibility(importer.timeout));
    this.stagingBucket = stagingBucket(this, config, this.key, removalPolicy);
    this.quarantine = new Quarantine(this, 'Quarantine', config, removalPolicy);
    this.trailChannelArn = trailChannel(this, config, this.key, removalPolicy);
    this.setFeatures(config);
    this.lake = securityLake(this, config, this.surroundings, (kind, base) => this.named(kind, base));
    const set = this.mappingSet(config);
    if (set) this.mappings = set;
    this.addEverything(config);
    for (const [key, value] of Object.entries(config.tags)) Tags.of(this).add(key, value);
    this.addOutputs();
  }

  private queue(id: string, base: string, visibilityTimeout: number): QueueWithDeadLetters {
    return new QueueWithDeadLetters(this, `${id}Queue`, {
      queueName: this.named('queue', base), deadLetterName: this.named('queue', `${base}-dlq`), visibilityTimeout,
      config: this.loaded.config, removalPolicy: this.surroundings.removalPolicy, ...(this.key ? { key: this.key } : {}),
    });
  }

  private setFeatures(config: Config): void {
    const { kmsKeyArn, writerRoleArn, enabled } = config.securityLake;
    const features: Record<string, boolean> = {
      customerKey: this.key !== undefined,
      securityHub: this.findings !== undefined,
      cloudTrail: this.trailChannelArn !== undefined,
      centralLake: enabled && writerRoleArn !== undefined,
      lakeCustomerKey: enabled && writerRoleArn === undefined && kmsKeyArn !== undefined,
    };
    for (const [name, on] of Object.entries(features)) if (on) this.features.add(name);
  }

  /** Mapping files of the configuration, or those of modules beside the built-in ones. */
  private mappingSet(config: Config): MappingSet | undefined {
    const { uri, digest } = config.mappings;
    const brought = this.loaded.registry.instances.flatMap(({ module }) =>
      (module.mappingsFolder !== undefined && module.mappingsFolder !== BUILT_IN ? [module.mappingsFolder] : []));
    if (uri?.startsWith('s3://')) {
      if (brought.length > 0) throw new Error(`mappings.uri: the set in S3 is whole: put the files of ${brought.join(', ')} there, and leave out their folders`);
      return undefined;
    }
    if (uri === undefined && brought.length === 0) return undefined;
    const base = uri === undefined ? BUILT_IN : isAbsolute(uri) ? uri : resolve(this.loaded.folder, uri);
    const sets = [base, ...new Set(brought)].map((folder) => ({ name: folder, files: readMappings(folder) }));
    const set = new MappingSet(joined(sets), digest);
    this.loaded.warnings.push(...(set.checked ? [] : [
      'mapping files are deployed without a check: the command tributary is not installed here (TRIBUTARY_BIN names it); '
      + 'the functions check them, and keep the built-in ones where they do not pass',
    ]));
    return set;
  }

  private addEverything(config: Config): void {
    const alarms = config.monitoring.alarms.enabled ? new Alarms(this, 'Alarms', config, this.key) : undefined;
    // Integrations first: what they take (notifications of flow logs) the transformer has to be told of.
    let owner = '';
    this.loaded.registry.create(this, (instance) => { owner = instance.id; return this.coreOf(instance); },
      (scope, alarm) => alarms?.add(scope, owner, alarm));
    const functions: Record<string, TributaryFunction> = {};
    if (config.coreProcessing.eventTransformer.enabled) functions.EventTransformer = transformer(this, config, this.mappings);
    const importer = securityHubProcessor(this, config, this.targets);
    if (importer) functions.SecurityHubProcessor = importer;
    const queues: WatchedQueue[] = [
      { name: 'Event', what: 'Event batches', queue: this.events.queue, deadLetters: this.events.deadLetters },
      { name: 'FlowLog', what: 'Notifications of flow logs', queue: this.flowLogs.queue, deadLetters: this.flowLogs.deadLetters },
      ...(this.findings ? [{ name: 'Findings', what: 'Findings', queue: this.findings.queue, deadLetters: this.findings.deadLetters }] : []),
    ];
    alarms?.watch(queues, functions);
    if (config.monitoring.dashboard.enabled) dashboard(this, config, queues);
  }

  /** ARNs by the names of permissions.json. */
  get targets(): Targets {
    return {
      ...this.lake.targets,
      eventQueue: { arns: [this.events.queue.queueArn] },
      findingsQueue: { arns: this.findings ? [this.findings.queue.queueArn] : [] },
      flowLogQueue: { arns: [this.flowLogs.queue.queueArn] },
      stagingBucket: { arns: [this.stagingBucket.bucketArn] },
      quarantineBucket: { arns: [this.quarantine.bucket.bucketArn] },
      key: { arns: this.key ? [this.key.keyArn] : [] },
      ...(this.trailChannelArn === undefined ? {} : { trailChannel: { arns: [this.trailChannelArn] } }),
    };
  }

  /** A name with the environment, once for each kind. */
  named(kind: string, base: string, owner = 'the stack'): string {
    const name = `${base}-${this.loaded.config.environment}`;
    const before = this.taken.get(`${kind} ${name}`);
    if (before !== undefined) throw new Error(`${kind} ${name} is ${before}'s already: give this one another name`);
    this.taken.set(`${kind} ${name}`, owner);
    return name;
  }

  private coreOf(instance: Instance): CoreResources {
    const { config } = this.loaded;
    const owner = `integrations.${instance.id}`;
    return {
      instanceId: instance.id,
      config,
      removalPolicy: this.surroundings.removalPolicy,
      eventQueue: this.events.queue,
      flowLogQueue: this.flowLogs.queue,
      flowLogDeadLetterQueue: this.flowLogs.deadLetters,
      stagingBucket: this.stagingBucket,
      quarantineBucket: this.quarantine.bucket,
      ...(this.sharedKey ? { sharedKey: this.sharedKey } : {}),
      ...(this.quarantine.key ? { quarantineKey: this.quarantine.key } : {}),
      targets: this.targets,
      features: this.features,
      lakeVariables: this.lake.variables,
      named: (kind, base) => this.named(kind, base, owner),
      addFunction: (scope, id, props) => new TributaryFunction(scope, id, { ...props, core: this.surroundings }),
      consumeFlowLogs: () => {
        if (this.flowLogConsumer !== undefined) {
          throw new Error(`${this.flowLogConsumer} takes the notifications of flow logs already; one instance of a deployment may: `
            + 'give this one a deployment of its own');
        }
        this.flowLogConsumer = owner;
        this.features.add('flowLogs');
      },
      acceptEventsFrom: (service, sourceArn) => this.acceptEventsFrom(instance.id, service, sourceArn),
    };
  }

  private acceptEventsFrom(id: string, service: string, sourceArn: string): void {
    const before = this.accepted.get(id) ?? 0;
    this.accepted.set(id, before + 1);
    const sid = `EventsOf${pascal(id)}${before === 0 ? '' : before + 1}`;
    const ofTheResource = { ArnEquals: { 'aws:SourceArn': sourceArn } };
    this.events.queue.addToResourcePolicy(new iam.PolicyStatement({
      sid,
      principals: [new iam.ServicePrincipal(service)],
      actions: ['sqs:SendMessage'],
      resources: [this.events.queue.queueArn],
      conditions: { ...ofTheResource, StringEquals: { 'aws:SourceAccount': this.account } },
    }));
    if (this.key) allowService(this.key, sid, service, ofTheResource);
  }

  private addOutputs(): void {
    const values: Record<string, string | undefined> = {
      EventQueueUrl: this.events.queue.queueUrl,
      EventDeadLetterQueueUrl: this.events.deadLetters.queueUrl,
      FlowLogQueueUrl: this.flowLogs.queue.queueUrl,
      FlowLogDeadLetterQueueUrl: this.flowLogs.deadLetters.queueUrl,
      FindingsQueueUrl: this.findings?.queue.queueUrl,
      FindingsDeadLetterQueueUrl: this.findings?.deadLetters.queueUrl,
      StagingBucketName: this.stagingBucket.bucketName,
      QuarantineBucketName: this.quarantine.bucket.bucketName,
      KeyArn: this.key?.keyArn,
      TrailChannelArn: this.trailChannelArn,
      SecurityLakeSources: this.loaded.config.securityLake.enabled ? this.lake.variables.SECURITY_LAKE_SOURCES : undefined,
    };
    for (const [name, value] of Object.entries(values)) if (value !== undefined) new CfnOutput(this, name, { value });
  }
}

/** The maps that are built into the functions. */
const BUILT_IN = join(ROOT, 'modules/azure/mappings');
