// What an integration is to this stack: the contract of a module, and what a module is given.
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import type { RemovalPolicy } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { z } from 'zod';
import type { Config } from '../config/schema';
import type { TributaryFunction, TributaryFunctionProps } from './function';
import type { Targets } from './permissions';

/** What a module says of its configuration. Every fault begins with its key, relative to `config`. */
export interface ValidationResult {
  readonly valid: boolean;
  readonly errors?: string[];
  readonly warnings?: string[];
}

/** One operation that some role of the module may call, as IAM names it. */
export interface RequiredPermission {
  readonly operation: string;
  readonly why: string;
}

/** An alarm on a module's health. */
export interface HealthAlarm {
  /** Name of the alarm within the module: letters and digits, as in `PartitionLag`. */
  readonly name: string;
  readonly description: string;
  readonly metric: cloudwatch.IMetric;
  /** At or above it (or below, where `below`) for `evaluationPeriods` periods, the alarm goes off. */
  readonly threshold: number;
  readonly below?: boolean;
  /** @default 1 */
  readonly evaluationPeriods?: number;
  /** @default NOT_BREACHING */
  readonly treatMissingData?: cloudwatch.TreatMissingData;
}

/** How a module's health is seen. */
export interface HealthCheckConfig {
  readonly alarms: HealthAlarm[];
}

/** A value that whoever deploys the stack needs. */
export interface ModuleOutput {
  readonly value: string;
  readonly description: string;
}

/** What a module is given: its instance, and the resources that every integration shares. */
export interface CoreResources {
  /** The entry's name under `integrations`: part of every name, and the dimension `Module` of every metric. */
  readonly instanceId: string;
  /** The whole configuration. */
  readonly config: Config;
  /** Whether what holds data outlives the stack. */
  readonly removalPolicy: RemovalPolicy;
  /** Where batches and events go: the transformer takes them from here. */
  readonly eventQueue: sqs.Queue;
  /** Where the transformer puts notifications of flow log blobs. */
  readonly flowLogQueue: sqs.Queue;
  readonly flowLogDeadLetterQueue: sqs.Queue;
  readonly stagingBucket: s3.Bucket;
  readonly quarantineBucket: s3.Bucket;
  /** The stack's key, where encryption is by a key of the account's own. */
  readonly sharedKey?: kms.IKey;
  /** That of quarantine, which is apart; whoever writes there needs it besides. */
  readonly quarantineKey?: kms.IKey;
  /** ARNs by the names that `infra/generated/permissions.json` uses, as far as the core knows them. */
  readonly targets: Targets;
  /** Features of the deployment by the names of `when` there. */
  readonly features: ReadonlySet<string>;
  /** Variables that tell a function of the lake and of the maps, as the transformer has them. */
  readonly lakeVariables: Record<string, string>;

  /** A name with the environment, `{base}-{environment}`; a second resource of that kind and name is an error. */
  named(kind: string, base: string): string;
  /** A function of the package, with log group, role and network. */
  addFunction(scope: Construct, id: string, props: Omit<TributaryFunctionProps, 'core'>): TributaryFunction;
  /** Says that this instance takes notifications from the flow log queue; one instance of a deployment may. */
  consumeFlowLogs(): void;
  /** Lets a service put messages into the event queue, from this resource alone. */
  acceptEventsFrom(service: string, sourceArn: string): void;
}

/** An integration. One object is made for each instance; the framework calls every member, in this order. */
export interface IIntegrationModule {
  /** Lower case letters, digits and -. */
  readonly moduleId: string;
  readonly moduleName: string;
  /** MAJOR.MINOR.PATCH */
  readonly moduleVersion: string;
  /** One sentence. */
  readonly moduleDescription: string;
  /** The configuration's keys, from which docs/CONFIGURATION.md is made. */
  readonly configSchema?: z.ZodType;
  /** Folder of mapping files that join the set in force. */
  readonly mappingsFolder?: string;

  /** Judges the configuration. Called when config.yaml is read, before anything is made. */
  validateConfig(config: unknown): ValidationResult;
  /** Makes the resources, within `scope`. */
  createResources(scope: Construct, core: CoreResources, config: unknown): void;
  /** Every operation that a role of the module may call; a role with another one fails the synthesis. */
  getRequiredPermissions(): RequiredPermission[];
  /** Alarms on the module's health: the framework makes them, and tells the stack's topic. */
  getHealthCheckConfig(): HealthCheckConfig | undefined;
  /** Outputs of the stack, by name. */
  getModuleOutputs(): Record<string, ModuleOutput>;
  /** Removes what the module made on this machine. Called once, when the app has ended, well or not. */
  cleanup(): void;
}
