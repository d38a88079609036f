// The queues that every integration shares, each with its dead letters: TLS only, encrypted, of a known name.
import { Duration, type RemovalPolicy } from 'aws-cdk-lib';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Config } from '../config/schema';

/** A queue and where its messages end that fail again and again. */
export class QueueWithDeadLetters extends Construct {
  readonly queue: sqs.Queue;
  readonly deadLetters: sqs.Queue;

  constructor(scope: Construct, id: string, props: {
    /** Whole names, with the environment. */
    queueName: string; deadLetterName: string; visibilityTimeout: number; config: Config; key?: kms.Key; removalPolicy: RemovalPolicy;
  }) {
    super(scope, id);
    const settings = props.config.sqsQueue;
    const key = settings.encryption.useSharedKey ? props.key : undefined;
    const both = {
      enforceSSL: true,
      removalPolicy: props.removalPolicy,
      encryption: key ? sqs.QueueEncryption.KMS : sqs.QueueEncryption.SQS_MANAGED,
      ...(key ? { encryptionMasterKey: key } : {}),
    };
    this.deadLetters = new sqs.Queue(this, 'DeadLetters', {
      ...both,
      queueName: props.deadLetterName,
      retentionPeriod: Duration.seconds(settings.deadLetterQueue.messageRetentionPeriod),
    });
    this.queue = new sqs.Queue(this, 'Queue', {
      ...both,
      queueName: props.queueName,
      visibilityTimeout: Duration.seconds(props.visibilityTimeout),
      retentionPeriod: Duration.seconds(settings.messageRetentionPeriod),
      maxMessageSizeBytes: settings.maxMessageSize,
      receiveMessageWaitTime: Duration.seconds(settings.receiveMessageWaitTime),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: settings.deadLetterQueue.maxReceiveCount },
    });
  }
}
