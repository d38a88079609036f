// Staging and quarantine: private buckets, TLS only, that drop what they need not keep.
import { Aws, CfnOutput, Duration, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as cloudtrail from 'aws-cdk-lib/aws-cloudtrail';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import type { Config } from '../config/schema';
import { acknowledge, acknowledgeWildcards } from '../framework/nag';
import { byOwnKey, newKey } from './encryption';

/** A bucket of the stack: `{project}-{use}-{environment}-{account}-{region}`. */
function bucket(scope: Construct, id: string, config: Config, use: string, key: kms.Key | undefined, removalPolicy: RemovalPolicy,
  expirations: { prefix?: string; days: number }[]): s3.Bucket {
  const { account, region } = Stack.of(scope);
  const made = new s3.Bucket(scope, id, {
    bucketName: `${config.projectName}-${use}-${config.environment}-${account}-${region}`,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    encryption: key ? s3.BucketEncryption.KMS : s3.BucketEncryption.S3_MANAGED,
    ...(key ? { encryptionKey: key, bucketKeyEnabled: true } : {}),
    removalPolicy,
    lifecycleRules: [
      { id: 'unfinished-uploads', abortIncompleteMultipartUploadAfter: Duration.days(1) },
      ...expirations.map(({ prefix, days }) => ({
        id: `expire-${prefix?.replace(/\/$/, '') ?? 'everything'}`, expiration: Duration.days(days), ...(prefix ? { prefix } : {}),
      })),
    ],
  });
  acknowledge(made, {
    'AwsSolutions-S1': 'who reads and writes objects is recorded by CloudTrail data events (quarantine.dataEvents, or the account\'s own trail)',
  });
  return made;
}

/** Outcomes before they are published, and batches larger than a message. */
export function stagingBucket(scope: Construct, config: Config, key: kms.Key | undefined, removalPolicy: RemovalPolicy): s3.Bucket {
  return bucket(scope, 'Staging', config, 'staging', key, removalPolicy, [{ days: config.staging.retentionDays }]);
}

/** Records that did not become events: raw, with personal data, and therefore apart. */
export class Quarantine extends Construct {
  readonly bucket: s3.Bucket;
  /** A key of its own, so that reading it can be granted apart. */
  readonly key?: kms.Key;

  constructor(scope: Construct, id: string, private readonly config: Config, private readonly removalPolicy: RemovalPolicy) {
    super(scope, id);
    const { retentionDays, retiredRetentionDays, readRole, dataEvents } = config.quarantine;
    if (byOwnKey(config)) {
      this.key = newKey(this, 'Key', config, `${config.encryption.keyAlias}-quarantine`, 'Tributary: quarantined records', removalPolicy);
    }
    this.bucket = bucket(this, 'Bucket', config, 'quarantine', this.key, removalPolicy, [
      { prefix: 'quarantine/', days: retentionDays },
      { prefix: 'retired/', days: retiredRetentionDays },
    ]);
    if (readRole.enabled) this.addReadRole(`${readRole.roleName}-${config.environment}`, readRole.principals);
    if (dataEvents.enabled) this.addDataEvents(dataEvents.retentionDays);
  }

  private addReadRole(roleName: string, principals: string[]): void {
    const statements = [
      new iam.PolicyStatement({ sid: 'List', actions: ['s3:ListBucket'], resources: [this.bucket.bucketArn] }),
      new iam.PolicyStatement({ sid: 'Read', actions: ['s3:GetObject'], resources: [this.bucket.arnForObjects('*')] }),
    ];
    if (this.key) {
      statements.push(new iam.PolicyStatement({
        sid: 'Decrypt', actions: ['kms:Decrypt'], resources: [this.key.keyArn],
        conditions: { StringEquals: { 'kms:ViaService': `s3.${Stack.of(this).region}.amazonaws.com` } },
      }));
    }
    const role = new iam.Role(this, 'ReadRole', {
      roleName,
      description: 'Reads quarantined records, which hold personal data',
      assumedBy: new iam.CompositePrincipal(...principals.map((arn) => new iam.ArnPrincipal(arn))),
      inlinePolicies: { read: new iam.PolicyDocument({ statements }) },
    });
    acknowledgeWildcards(role, [this.bucket.arnForObjects('*')], 'every object of the quarantine bucket is what the role is for');
    new CfnOutput(this, 'QuarantineReadRoleArn', { value: role.roleArn }).overrideLogicalId('QuarantineReadRoleArn');
  }

  private addDataEvents(days: number): void {
    const log = bucket(this, 'Log', this.config, 'quarantine-log', undefined, this.removalPolicy, [{ days }]);
    const trailName = `${this.config.projectName}-quarantine-${this.config.environment}`;
    const trail = new cloudtrail.Trail(this, 'Trail', {
      trailName, bucket: log, isMultiRegionTrail: false, includeGlobalServiceEvents: false, enableFileValidation: true,
      managementEvents: cloudtrail.ReadWriteType.NONE,
    });
    trail.addS3EventSelector([{ bucket: this.bucket }], { includeManagementEvents: false });
    const source = `arn:${Aws.PARTITION}:cloudtrail:${Stack.of(this).region}:${Stack.of(this).account}:trail/${trailName}`;
    log.addToResourcePolicy(new iam.PolicyStatement({
      sid: 'OnlyThisTrail', effect: iam.Effect.DENY, principals: [new iam.ServicePrincipal('cloudtrail.amazonaws.com')],
      actions: ['s3:PutObject'], resources: [log.arnForObjects('*')], conditions: { StringNotEquals: { 'aws:SourceArn': source } },
    }));
  }
}
