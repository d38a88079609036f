// What the tests share: templates of configurations, and a package that is none.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { parse } from 'yaml';
import { addStack } from '../lib/app';
import { judge } from '../lib/config/load';
import type { CoreStack } from '../lib/core/core-stack';
import { ROOT } from '../lib/framework/loader';

/** Says aloud that a test is skipped for want of something; where peers are required it fails. */
export function skipped(what: string, why: string): void {
  if (process.env.TRIBUTARY_REQUIRE_PEERS === '1') throw new Error(`${what}: ${why}`);
  console.error(`\n*** SKIPPED ${what}: ${why}\n`);
}

/** A folder of the test's own. */
export function folder(): string {
  return mkdtempSync(join(tmpdir(), 'tributary-test-'));
}

function crc32(bytes: Buffer): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** A zip of one file that may be executed. The same content gives the same bytes. */
export function zipOf(name: string, content: string): Buffer {
  const [path, data] = [Buffer.from(name), Buffer.from(content)];
  const head = Buffer.alloc(26);
  head.writeUInt16LE(20, 0);
  head.writeUInt16LE(0x21, 8);
  head.writeUInt32LE(crc32(data), 10);
  head.writeUInt32LE(data.length, 14);
  head.writeUInt32LE(data.length, 18);
  head.writeUInt16LE(path.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), head, path, data]);
  const attributes = Buffer.alloc(14);
  attributes.writeUInt32LE((0o100755 << 16) >>> 0, 6);
  const central = Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), head, attributes, path]);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(1, 4);
  end.writeUInt16LE(1, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(local.length, 12);
  return Buffer.concat([local, central, Buffer.from('PK\x05\x06'), end]);
}

const packages = folder();
process.on('exit', () => rmSync(packages, { recursive: true, force: true }));
/** A package of functions that do nothing. */
export const PACKAGE = join(packages, 'functions.zip');
writeFileSync(PACKAGE, zipOf('bootstrap', '#!/bin/sh\nexit 1\n'));

/** What of the project a synthesis reads, at another place, with npm's packages and without anything that was built. */
export function clone(): string {
  const at = join(folder(), 'tributary');
  mkdirSync(at);
  const copied = (path: string) => cpSync(join(ROOT, path), join(at, path), { recursive: true, filter: (from) => !/node_modules|cdk\.out/.test(from) });
  copied('infra');
  for (const module of readdirSync(join(ROOT, 'modules'))) for (const part of ['infra', 'mappings']) copied(join('modules', module, part));
  symlinkSync(join(ROOT, 'infra/node_modules'), join(at, 'infra/node_modules'));
  return at;
}

/** Puts a package of functions that do nothing where `make package` puts it. */
export function packageIn(at: string): void {
  mkdirSync(join(at, 'dist'));
  writeFileSync(join(at, 'dist/functions-x86_64.zip'), zipOf('bootstrap', '#!/bin/sh\nexit 1\n'));
}

/** The least configuration, with the lake's bucket, and these keys besides. */
export function configOf(yaml = ''): Record<string, unknown> {
  const given = (parse(yaml) ?? {}) as Record<string, unknown>;
  return { ...given, securityLake: { s3Bucket: 'aws-security-data-lake-us-east-1-0123456789', ...(given.securityLake as object) } };
}

/** The stack of a configuration, in an app of its own. */
export function stackOf(input: unknown, from = __dirname): { app: App; stack: CoreStack } {
  const app = new App({ context: { functionPackage: PACKAGE } });
  const stack = addStack(app, judge(input, from));
  stack.mappings?.remove();
  return { app, stack };
}

/** The template of a configuration. */
export const template = (yaml = '', from = __dirname) => Template.fromStack(stackOf(configOf(yaml), from).stack);

export type Resource = { Type: string; Properties: Record<string, any>; DeletionPolicy?: string };

/** Every resource of a template. */
export const resources = (of: Template) => of.toJSON().Resources as Record<string, Resource>;

/** Resources of a type. */
export const ofType = (of: Template, type: string) => Object.entries(resources(of)).filter(([, resource]) => resource.Type === type);

/** The function of a name. */
export function functionNamed(of: Template, name: string): Resource {
  const found = ofType(of, 'AWS::Lambda::Function').find(([, fn]) => fn.Properties.FunctionName === name);
  if (!found) throw new Error(`no function ${name}`);
  return found[1];
}

/** Variables of the function of a name. */
export const variables = (of: Template, name: string) => functionNamed(of, name).Properties.Environment.Variables as Record<string, unknown>;

export type Statement = { Sid?: string; Action: string | string[]; Resource: unknown; Condition?: Record<string, Record<string, unknown>>; Principal?: any; Effect: string };

/** What the role of a name is allowed. */
export function allowed(of: Template, roleName: string): Statement[] {
  const found = ofType(of, 'AWS::IAM::Role').find(([, role]) => role.Properties.RoleName === roleName);
  if (!found) throw new Error(`no role ${roleName}`);
  return (found[1].Properties.Policies as { PolicyDocument: { Statement: Statement[] } }[]).flatMap((policy) => policy.PolicyDocument.Statement);
}

/** The statement of a role that allows an operation. */
export const allowing = (of: Template, roleName: string, operation: string) =>
  allowed(of, roleName).filter((statement) => [statement.Action].flat().includes(operation));

/** Everything on, that can be on together. */
export const EVERYTHING = `
projectName: everything
environment: prod
awsRegion: eu-central-1
accountId: "111122223333"
tags: { application: tributary }
encryption: { keyAlias: everything }
securityLake:
  s3Bucket: aws-security-data-lake-eu-central-1-0123456789
  kmsKeyArn: arn:aws:kms:eu-central-1:111122223333:key/0123abcd
  ocsfVersion: 1.1.0
coreProcessing:
  eventTransformer: { architecture: arm64, reservedConcurrentExecutions: 10, environment: { LOGGING_LEVEL: DEBUG } }
quarantine:
  readRole: { enabled: true, principals: ["arn:aws:iam::111122223333:role/analysts"] }
  dataEvents: { enabled: true }
cloudTrailEventDataStore: { enabled: true }
securityHub: { accountId: "444455556666", region: us-east-1, roleArn: "arn:aws:iam::444455556666:role/findings" }
vpc:
  vpcId: vpc-0123456789abcdef0
  subnetIds: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]
  interfaceEndpoints: [sqs, kms, secretsmanager, sts, logs]
  gatewayEndpoints: [s3, dynamodb]
  routeTableIds: [rtb-0123456789abcdef0]
monitoring:
  alarms: { emailEndpoints: [security@example.com] }
integrations:
  azure:
    config:
      authentication: { method: clientSecret }
      flowLogProcessor: { enabled: true }
      checkpointStore: { billingMode: PROVISIONED }
  azure-eu:
    modulePath: modules/azure
    config:
      authentication:
        method: federated
        federated:
          AZURE_TENANT_ID: 11111111-1111-1111-1111-111111111111
          AZURE_CLIENT_ID: 22222222-2222-2222-2222-222222222222
          EVENTHUB_NAMESPACE: contoso.servicebus.windows.net
          EVENTHUB_NAME: security-telemetry
  example: {}
`;
/** The least that does something. */
export const MINIMAL = 'integrations: { azure: {} }';
