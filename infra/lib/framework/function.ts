// A function of the package: log group, role and network, as every function has them.
import { Duration, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { FunctionConfig } from '../config/schema';
import { acknowledgeWildcards } from './nag';
import { functionPackage } from './package';
import { type Narrowed, type Targets, statements } from './permissions';

/** What a function has of the stack. */
export interface FunctionSurroundings {
  readonly key?: kms.Key;
  readonly retentionDays: number;
  readonly removalPolicy: RemovalPolicy;
  readonly network?: { readonly vpc: ec2.IVpc; readonly subnets: ec2.SubnetSelection; readonly securityGroup: ec2.ISecurityGroup };
}

export interface TributaryFunctionProps {
  readonly core: FunctionSurroundings;
  /** Name of the handler: which job the program does. */
  readonly handler: string;
  /** Whole name, with the environment. */
  readonly functionName: string;
  readonly description: string;
  readonly settings: Omit<FunctionConfig, 'enabled' | 'functionName'>;
  /** Variables that the stack sets. */
  readonly variables: Record<string, string | undefined>;
  readonly features: ReadonlySet<string>;
  readonly targets: Targets;
  readonly narrowed?: Narrowed;
  readonly layers?: lambda.ILayerVersion[];
}

const LOGS = ['logs:CreateLogStream', 'logs:PutLogEvents'];
const NETWORK = ['ec2:CreateNetworkInterface', 'ec2:DescribeNetworkInterfaces', 'ec2:DescribeSubnets', 'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses', 'ec2:UnassignPrivateIpAddresses'];

/** What every function's role has: its own log, and in a network the interfaces by which Lambda attaches it. */
export const GRANTED_TO_ALL: ReadonlySet<string> = new Set([...LOGS, ...NETWORK]);

export class TributaryFunction extends Construct {
  readonly function: lambda.Function;
  readonly role: iam.Role;
  /** The role's name, which is the function's. */
  readonly roleName: string;

  constructor(scope: Construct, id: string, props: TributaryFunctionProps) {
    super(scope, id);
    const { core, settings, functionName } = props;
    this.roleName = functionName;
    const logGroup = new logs.LogGroup(this, 'Logs', {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: core.retentionDays as logs.RetentionDays,
      ...(core.key ? { encryptionKey: core.key } : {}),
      removalPolicy: core.removalPolicy,
    });
    this.role = this.newRole(props, logGroup);
    this.function = new lambda.Function(this, 'Function', {
      functionName,
      description: props.description,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture: settings.architecture === 'arm64' ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64,
      handler: props.handler,
      code: functionPackage(this, settings.architecture),
      memorySize: settings.memorySize,
      timeout: Duration.seconds(settings.timeout),
      ...(settings.reservedConcurrentExecutions === undefined
        ? {} : { reservedConcurrentExecutions: settings.reservedConcurrentExecutions }),
      environment: { ...defined(props.variables), ...settings.environment },
      role: this.role,
      logGroup,
      ...(props.layers ? { layers: props.layers } : {}),
      ...(core.network
        ? { vpc: core.network.vpc, vpcSubnets: core.network.subnets, securityGroups: [core.network.securityGroup] } : {}),
    });
  }

  private newRole(props: TributaryFunctionProps, logGroup: logs.LogGroup): iam.Role {
    const granted = statements(props.handler, props.features, props.targets, Stack.of(this).region, props.narrowed);
    const policies: Record<string, iam.PolicyDocument> = {
      logs: new iam.PolicyDocument({ statements: [new iam.PolicyStatement({
        sid: 'OwnLog', actions: LOGS, resources: [logGroup.logGroupArn],
      })] }),
      handler: new iam.PolicyDocument({ statements: granted.map(({ statement }) => statement) }),
    };
    if (props.core.network) {
      policies.network = new iam.PolicyDocument({ statements: [new iam.PolicyStatement({
        sid: 'Network', actions: NETWORK, resources: ['*'],
      })] });
    }
    const role = new iam.Role(this, 'Role', {
      // Known before the stack is there: Azure's side trusts it by its name.
      roleName: props.functionName,
      description: `Role of the function ${props.functionName}`,
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: policies,
    });
    for (const { resources, reasons } of granted) acknowledgeWildcards(role, resources, reasons.join('; '));
    if (props.core.network) acknowledgeWildcards(role, ['*'], 'interfaces that Lambda makes have no name before they are there');
    return role;
  }

  /** Takes messages from a queue; those that fail come again alone. */
  consume(queue: sqs.IQueue, settings: { batchSize: number; maximumBatchingWindowInSeconds: number; reservedConcurrentExecutions?: number }): void {
    const limit = settings.reservedConcurrentExecutions;
    new lambda.EventSourceMapping(this, 'Messages', {
      target: this.function,
      eventSourceArn: queue.queueArn,
      batchSize: settings.batchSize,
      maxBatchingWindow: Duration.seconds(settings.maximumBatchingWindowInSeconds),
      reportBatchItemFailures: true,
      // Without it the poller takes more than the function may work on, and what is throttled ends as a dead letter.
      ...(limit !== undefined && limit >= 2 ? { maxConcurrency: limit } : {}),
    });
  }
}

function defined(variables: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
