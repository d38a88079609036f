// What every integration shares: key, queues with their dead letters, staging and quarantine buckets.
import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps, Tags } from 'aws-cdk-lib';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Validations } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { addAlarms } from './alarms';
import type { Config } from './schema';

/** Days that a staged outcome is kept: longer than queue, dead letters and the time to redrive them. */
const STAGED_DAYS = 35;

export class CoreStack extends Stack {
  readonly key?: kms.Key;
  readonly eventQueue: sqs.Queue;
  readonly deadLetters: sqs.Queue;
  readonly findingsQueue: sqs.Queue;
  readonly findingsDeadLetters: sqs.Queue;
  readonly flowLogQueue: sqs.Queue;
  readonly flowLogDeadLetters: sqs.Queue;
  readonly stagingBucket: s3.Bucket;
  readonly quarantineBucket: s3.Bucket;
  private readonly removal: RemovalPolicy;

  constructor(scope: Construct, id: string, private readonly config: Config, props: StackProps) {
    super(scope, id, props);
    this.removal = config.environment === 'prod' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;
    if (config.encryption.enabled) this.key = this.newKey('Key', config.encryption.keyAlias);
    [this.eventQueue, this.deadLetters] = this.queueWithDeadLetters('Event', config.sqsQueue.queueName);
    [this.findingsQueue, this.findingsDeadLetters] = this.queueWithDeadLetters('Findings', 'asff-queue');
    [this.flowLogQueue, this.flowLogDeadLetters] = this.queueWithDeadLetters('FlowLog', 'flow-log-queue');
    this.stagingBucket = this.bucket('Staging', this.key, STAGED_DAYS);
    // Raw personal data: a key of its own, so that reading it can be granted apart.
    const own = config.encryption.enabled ? this.newKey('QuarantineKey', `${config.encryption.keyAlias}-quarantine`) : undefined;
    this.quarantineBucket = this.bucket('Quarantine', own, undefined);
    if (config.monitoring.alarms.enabled) addAlarms(this, config);
    for (const [key, value] of Object.entries(config.tags)) Tags.of(this).add(key, value);
    new CfnOutput(this, 'StagingBucketName', { value: this.stagingBucket.bucketName });
    new CfnOutput(this, 'QuarantineBucketName', { value: this.quarantineBucket.bucketName });
  }

  private newKey(id: string, alias: string): kms.Key {
    const { keyRotationEnabled, keyPendingWindowInDays } = this.config.encryption;
    return new kms.Key(this, id, {
      alias: `alias/${alias}-${this.config.environment}`,
      enableKeyRotation: keyRotationEnabled,
      pendingWindow: Duration.days(keyPendingWindowInDays),
      removalPolicy: this.removal,
    });
  }

  private queueWithDeadLetters(id: string, name: string): [sqs.Queue, sqs.Queue] {
    const settings = this.config.sqsQueue;
    const deadLetters = new sqs.Queue(this, `${id}DeadLetters`, {
      ...this.queueProps(`${name}-dlq`),
      retentionPeriod: Duration.seconds(settings.deadLetterQueue.messageRetentionPeriod),
    });
    const queue = new sqs.Queue(this, `${id}Queue`, {
      ...this.queueProps(name),
      visibilityTimeout: Duration.seconds(settings.visibilityTimeout),
      retentionPeriod: Duration.seconds(settings.messageRetentionPeriod),
      maxMessageSizeBytes: settings.maxMessageSize,
      receiveMessageWaitTime: Duration.seconds(settings.receiveMessageWaitTime),
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: settings.deadLetterQueue.maxReceiveCount },
    });
    new CfnOutput(this, `${id}QueueUrl`, { value: queue.queueUrl });
    new CfnOutput(this, `${id}DeadLetterQueueUrl`, { value: deadLetters.queueUrl });
    return [queue, deadLetters];
  }

  private queueProps(name: string): sqs.QueueProps {
    return {
      queueName: `${name}-${this.config.environment}`,
      enforceSSL: true,
      removalPolicy: this.removal,
      encryption: this.key ? sqs.QueueEncryption.KMS : sqs.QueueEncryption.SQS_MANAGED,
      ...(this.key ? { encryptionMasterKey: this.key } : {}),
    };
  }

  private bucket(id: string, key: kms.Key | undefined, days: number | undefined): s3.Bucket {
    const bucket = new s3.Bucket(this, id, {
      enforceSSL: true,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      encryption: key ? s3.BucketEncryption.KMS : s3.BucketEncryption.S3_MANAGED,
      ...(key ? { encryptionKey: key, bucketKeyEnabled: true } : {}),
      removalPolicy: this.removal,
      lifecycleRules: [{
        abortIncompleteMultipartUploadAfter: Duration.days(1),
        ...(days ? { expiration: Duration.days(days) } : {}),
      }],
    });
    Validations.of(bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason: 'who reads objects is recorded by CloudTrail data events, which the account owner switches on',
    });
    return bucket;
  }
}
