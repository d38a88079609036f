// Security Lake: one source a class, registered by a custom resource, with the crawlers' role and the grants of Lake Formation.
import { Aws, CustomResource, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lakeformation from 'aws-cdk-lib/aws-lakeformation';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Provider } from 'aws-cdk-lib/custom-resources';
import { Construct } from 'constructs';
import { type Config, SOURCES } from '../config/schema';
import { type FunctionSurroundings, TributaryFunction } from '../framework/function';
import { acknowledge, acknowledgeManaged, acknowledgeWildcards } from '../framework/nag';
import type { Targets } from '../framework/permissions';

/** The database that Security Lake keeps its tables in. */
const database = (region: string) => `amazon_security_lake_glue_db_${region.replaceAll('-', '_')}`;

/** The lake as the functions are told of it. */
export interface Lake {
  readonly variables: Record<string, string>;
  readonly targets: Targets;
}

/** Where each class's source lies by Security Lake's convention, or as the configuration says. */
function conventional(config: Config): string {
  const { sourcePrefix, ocsfVersion, sourceLocations, eventClasses } = config.securityLake;
  const location = (of: number) => sourceLocations[of] ?? `ext/${sourcePrefix}${SOURCES[of]}/${ocsfVersion}/`;
  return JSON.stringify(Object.fromEntries([...eventClasses].sort((a, b) => a - b).map((of) => [of, location(of)])));
}

/** The lake of the configuration; registers its sources where this stack is to. */
export function securityLake(scope: Construct, config: Config, core: FunctionSurroundings, named: (kind: string, base: string) => string): Lake {
  const { enabled, s3Bucket, kmsKeyArn, writerRoleArn, externalId, ocsfVersion } = config.securityLake;
  const resource = config.coreProcessing.securityLakeCustomResource;
  const registers = enabled && writerRoleArn === undefined && resource.enabled;
  const sources = registers ? new Sources(scope, 'SecurityLake', config, core, named).sources : conventional(config);
  // The writer role writes to a lake in another account: the function's own role needs nothing there.
  const own = enabled && writerRoleArn === undefined;
  return {
    variables: {
      OCSF_VERSION: ocsfVersion,
      SECURITY_LAKE_ENABLED: String(enabled),
      SECURITY_LAKE_SOURCES: sources,
      ...(enabled && s3Bucket !== undefined ? { SECURITY_LAKE_S3_BUCKET: s3Bucket } : {}),
      ...(enabled && kmsKeyArn !== undefined ? { SECURITY_LAKE_KMS_KEY_ARN: kmsKeyArn } : {}),
      ...(enabled && writerRoleArn !== undefined
        ? { SECURITY_LAKE_WRITER_ROLE_ARN: writerRoleArn, SECURITY_LAKE_WRITER_EXTERNAL_ID: externalId } : {}),
    },
    targets: {
      lakeBucket: { arns: own ? [`arn:${Aws.PARTITION}:s3:::${s3Bucket}`] : [] },
      ...(kmsKeyArn !== undefined ? { lakeKey: { arns: own ? [kmsKeyArn] : [] } } : {}),
      ...(writerRoleArn !== undefined ? { writerRole: { arns: [writerRoleArn] } } : {}),
    },
  };
}

class Sources extends Construct {
  /** JSON, class to location, when the sources are there. */
  readonly sources: string;

  constructor(scope: Construct, id: string, private readonly config: Config, core: FunctionSurroundings,
    private readonly named: (kind: string, base: string) => string) {
    super(scope, id);
    const { sourcePrefix, ocsfVersion, eventClasses, externalId, serviceRole, s3Bucket, kmsKeyArn } = config.securityLake;
    const { account, region } = Stack.of(this);
    const crawler = serviceRole ?? this.crawlerRole().roleArn;
    const settings = config.coreProcessing.securityLakeCustomResource;
    const catalog = `arn:${Aws.PARTITION}:glue:${region}:${account}`;
    const register = new TributaryFunction(this, 'Register', {
      core,
      handler: 'security-lake-source',
      functionName: named('function', settings.functionName ?? 'security-lake-source'),
      description: 'Registers one source of Security Lake for each OCSF class',
      settings,
      variables: { MODULE_ID: 'core' },
      features: new Set(kmsKeyArn === undefined ? [] : ['lakeCustomerKey']),
      targets: {
        crawlerRole: { arns: [crawler] },
        sourceRoles: { arns: [`arn:${Aws.PARTITION}:iam::${account}:role/AmazonSecurityLake-Provider-${sourcePrefix}*`] },
        lakeBucket: { arns: [`arn:${Aws.PARTITION}:s3:::${s3Bucket}`] },
        ...(kmsKeyArn === undefined ? {} : { lakeKey: { arns: [kmsKeyArn] } }),
      },
      narrowed: {
        'glue:CreateDatabase': [`${catalog}:catalog`, `${catalog}:database/${database(region)}`],
        'glue:CreateTable': [`${catalog}:catalog`, `${catalog}:database/${database(region)}`, `${catalog}:table/${database(region)}/*`],
      },
    });
    const grants = [
      this.grant('Registers', register.role.roleArn, ['CREATE_TABLE', 'DESCRIBE'], ['CREATE_TABLE', 'DESCRIBE']),
      ...(serviceRole === undefined ? [this.grant('Crawls', crawler, ['CREATE_TABLE', 'DESCRIBE'], [])] : []),
    ];
    const resource = new CustomResource(this, 'Sources', {
      serviceToken: this.provider(register, core).serviceToken,
      resourceType: 'Custom::TributarySecurityLakeSources',
      properties: {
        SourcePrefix: sourcePrefix,
        OcsfVersion: ocsfVersion,
        EventClasses: [...eventClasses].sort((a, b) => a - b).map(String),
        CrawlerRoleArn: crawler,
        PrincipalAccountId: account,
        ExternalId: externalId,
      },
    });
    resource.node.addDependency(...grants);
    this.sources = resource.getAttString('Sources');
  }

  private crawlerRole(): iam.Role {
    const { s3Bucket, sourcePrefix, kmsKeyArn } = this.config.securityLake;
    const { region } = Stack.of(this);
    const statements = [new iam.PolicyStatement({
      sid: 'Sources', actions: ['s3:GetObject', 's3:PutObject'], resources: [`arn:${Aws.PARTITION}:s3:::${s3Bucket}/ext/${sourcePrefix}*`],
    })];
    if (kmsKeyArn !== undefined) {
      statements.push(new iam.PolicyStatement({
        sid: 'LakeKey', actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: [kmsKeyArn],
        conditions: { StringEquals: { 'kms:ViaService': `s3.${region}.amazonaws.com` } },
      }));
    }
    const role = new iam.Role(this, 'Crawler', {
      roleName: this.named('role', `${this.config.projectName}-lake-crawler`),
      description: 'Glue crawlers of Security Lake sources',
      assumedBy: new iam.ServicePrincipal('glue.amazonaws.com'),
      managedPolicies: [iam.ManagedPolicy.fromAwsManagedPolicyName('service-role/AWSGlueServiceRole')],
      inlinePolicies: { sources: new iam.PolicyDocument({ statements }) },
    });
    acknowledgeManaged(role, 'service-role/AWSGlueServiceRole', 'Security Lake asks for it on the role of its crawlers');
    acknowledgeWildcards(role, statements.flatMap((statement) => statement.resources), 'objects of this stack\'s sources, by their prefix');
    return role;
  }

  /** A grant of Lake Formation on the lake's database. */
  private grant(id: string, role: string, permissions: string[], grantable: string[]): lakeformation.CfnPrincipalPermissions {
    const { account, region } = Stack.of(this);
    return new lakeformation.CfnPrincipalPermissions(this, id, {
      principal: { dataLakePrincipalIdentifier: role },
      resource: { database: { catalogId: account, name: database(region) } },
      permissions,
      permissionsWithGrantOption: grantable,
    });
  }

  /** What CloudFormation calls: it hands requests on to the function, and its answers back. */
  private provider(register: TributaryFunction, core: FunctionSurroundings): Provider {
    const name = this.named('function', 'security-lake-provider');
    const logGroup = new logs.LogGroup(this, 'ProviderLogs', {
      logGroupName: `/aws/lambda/${name}`, retention: core.retentionDays as logs.RetentionDays,
      ...(core.key ? { encryptionKey: core.key } : {}), removalPolicy: core.removalPolicy,
    });
    const role = new iam.Role(this, 'ProviderRole', {
      roleName: name,
      description: 'Hands requests of CloudFormation on to the function that registers sources',
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: { logs: new iam.PolicyDocument({ statements: [new iam.PolicyStatement({
        sid: 'OwnLog', actions: ['logs:CreateLogStream', 'logs:PutLogEvents'], resources: [logGroup.logGroupArn],
      })] }) },
    });
    const provider = new Provider(this, 'Provider', {
      onEventHandler: register.function, providerFunctionName: name, frameworkOnEventRole: role, logGroup,
    });
    acknowledgeWildcards(role, [`${register.function.functionArn}:*`], 'every version of the one function that it calls');
    acknowledge(provider, { 'AwsSolutions-L1': 'the runtime of the provider framework is what aws-cdk-lib brings' });
    return provider;
  }
}
