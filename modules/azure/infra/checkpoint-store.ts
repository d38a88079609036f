// The ledger's table: leases, plans and positions of partitions, cursors of blobs.
import { type CoreResources, type Target, acknowledge } from '@tributary/infra';
import { Aws, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import type { AzureConfig } from './schema';

export class CheckpointStore extends Construct {
  readonly tableName: string;
  readonly target: Target;

  constructor(scope: Construct, id: string, core: CoreResources, config: AzureConfig['checkpointStore']) {
    super(scope, id);
    if (!config.enabled) {
      this.tableName = config.tableName ?? '';
      this.target = { arns: [`arn:${Aws.PARTITION}:dynamodb:${Stack.of(this).region}:${Stack.of(this).account}:table/${this.tableName}`] };
      return;
    }
    const prod = core.removalPolicy === RemovalPolicy.RETAIN;
    const key = config.encryption.useSharedKey ? core.sharedKey : undefined;
    const provisioned = config.billingMode === 'PROVISIONED';
    const { readCapacity, writeCapacity } = config.provisioned;
    const table = new dynamodb.Table(this, 'Table', {
      tableName: core.named('table', config.tableName ?? `${core.instanceId}-eventhub-checkpoint-store`),
      partitionKey: { name: 'pk', type: dynamodb.AttributeType.STRING },
      sortKey: { name: 'sk', type: dynamodb.AttributeType.STRING },
      billingMode: provisioned ? dynamodb.BillingMode.PROVISIONED : dynamodb.BillingMode.PAY_PER_REQUEST,
      ...(provisioned ? { readCapacity, writeCapacity } : {}),
      ...(config.ttl.enabled ? { timeToLiveAttribute: config.ttl.attributeName } : {}),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: prod },
      deletionProtection: prod,
      removalPolicy: core.removalPolicy,
      ...(key
        ? { encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED, encryptionKey: key }
        : { encryption: dynamodb.TableEncryption.DEFAULT }),
    });
    if (!prod) acknowledge(table, { 'AwsSolutions-DDB3': 'positions of a hub that is not in production are made anew by reading it again' });
    if (provisioned) this.scale(table, config.provisioned);
    this.tableName = table.tableName;
    this.target = { arns: [table.tableArn] };
  }

  private scale(table: dynamodb.Table, { readCapacity, writeCapacity, autoScaling }: AzureConfig['checkpointStore']['provisioned']): void {
    if (!autoScaling.enabled) return;
    const to = { targetUtilizationPercent: autoScaling.targetUtilization };
    table.autoScaleReadCapacity({ minCapacity: readCapacity, maxCapacity: autoScaling.maxReadCapacity }).scaleOnUtilization(to);
    table.autoScaleWriteCapacity({ minCapacity: writeCapacity, maxCapacity: autoScaling.maxWriteCapacity }).scaleOnUtilization(to);
  }
}
