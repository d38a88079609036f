// Policies of the functions' roles, from infra/generated/permissions.json, which is generated from the functions' own code.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { RequiredPermission } from './integration-module';

/** One operation on one resource. */
export interface Permission {
  readonly operation: string;
  /** Name of the resource; `*` where the operation knows no narrower one. */
  readonly resource: string;
  /** Objects below it, such as `staged/*`. */
  readonly path: string | null;
  /** Feature of the deployment that needs it; `always`. */
  readonly when: string;
  readonly why: string;
  /** Whether AWS makes the call behind one of ours. */
  readonly indirect: boolean;
  readonly condition: Record<string, Record<string, string>> | null;
}

const FILE = join(__dirname, '../../generated/permissions.json');
const HANDLERS = (JSON.parse(readFileSync(FILE, 'utf8')) as { handlers: Record<string, Permission[]> }).handlers;

/** Where a resource of the list is in this deployment. */
export interface Target {
  readonly arns: string[];
  /** Prefix of the object keys that a path is below, with its slash. */
  readonly prefix?: string;
}

/** The resources that a role may be given, by their names in the list. */
export type Targets = Readonly<Record<string, Target | undefined>>;

/** What a handler needs in a deployment with these features. */
export function needed(handler: string, features: ReadonlySet<string>): Permission[] {
  const all = HANDLERS[handler];
  if (!all) throw new Error(`infra/generated/permissions.json knows no handler ${handler}; there are: ${Object.keys(HANDLERS).join(', ')}`);
  return all.filter((permission) => permission.when === 'always' || features.has(permission.when));
}

/** The same as what a module has to declare. */
export function required(handler: string, features: ReadonlySet<string>): RequiredPermission[] {
  return needed(handler, features).map(({ operation, why }) => ({ operation, why }));
}

/** Services that use a key of the stack for whoever calls them, by the first word of the operations that make them do so. */
const KEY_USERS = ['sqs', 's3', 'dynamodb', 'secretsmanager'];

/** Operations on `*` that know narrower resources, which the list's names cannot say. */
export type Narrowed = Readonly<Record<string, string[]>>;

function arns(permission: Permission, targets: Targets, narrowed: Narrowed, handler: string): string[] {
  if (permission.resource === '*') return narrowed[permission.operation] ?? ['*'];
  const target = targets[permission.resource];
  if (!target) {
    throw new Error(`${handler} needs ${permission.operation} on ${permission.resource} (${permission.when}), `
      + 'which this deployment does not have: infra/lib/core/targets.ts says where resources are');
  }
  // Whoever lists a bucket is allowed on the bucket itself.
  if (!permission.path || permission.operation === 's3:ListBucket') return target.arns;
  return target.arns.map((arn) => `${arn}/${target.prefix ?? ''}${permission.path}`);
}

function condition(permission: Permission, all: Permission[], region: string, handler: string): Record<string, Record<string, unknown>> {
  const given: Record<string, Record<string, unknown>> = { ...permission.condition };
  if (permission.operation === 'iam:PassRole') {
    given.StringEquals = { ...given.StringEquals, 'iam:PassedToService': 'glue.amazonaws.com' };
  }
  // A key is used through the services that hold what it encrypts, never by itself. Who calls it for Security Lake is not documented.
  if (permission.indirect && permission.operation.startsWith('kms:') && handler !== 'security-lake-source') {
    const services = new Set(all.map((other) => other.operation.split(':')[0] ?? ''));
    const via = KEY_USERS.filter((service) => services.has(service) && (permission.resource === 'key' || service === 's3'));
    given.StringEquals = { ...given.StringEquals, 'kms:ViaService': via.map((service) => `${service}.${region}.amazonaws.com`) };
  }
  return given;
}

/** One statement, with why each of its operations is allowed. */
export interface Granted { readonly statement: iam.PolicyStatement; readonly resources: string[]; readonly reasons: string[] }

/** The statements of a handler's role: one for each set of resources and condition. */
export function statements(
  handler: string, features: ReadonlySet<string>, targets: Targets, region: string, narrowed: Narrowed = {},
): Granted[] {
  const all = needed(handler, features);
  const grouped = new Map<string, { sid: string; actions: string[]; resources: string[]; conditions: object; reasons: string[] }>();
  for (const permission of all) {
    const resources = arns(permission, targets, narrowed, handler);
    // The deployment does not have it, and needs nothing there.
    if (resources.length === 0) continue;
    const conditions = condition(permission, all, region, handler);
    const group = JSON.stringify([resources, conditions]);
    const reason = `${permission.operation}: ${permission.why}`;
    const entry = grouped.get(group);
    if (entry) {
      entry.actions.push(permission.operation);
      entry.reasons.push(reason);
    } else {
      grouped.set(group, { sid: sid(permission), actions: [permission.operation], resources, conditions, reasons: [reason] });
    }
  }
  return [...grouped.values()].map(({ reasons, ...entry }) =>
    ({ statement: new iam.PolicyStatement(entry), resources: entry.resources, reasons }));
}

/** `stagingBucket` and `claims/*` as `StagingBucketClaims`; what is allowed on everything is named after its operation. */
function sid({ resource, path, operation }: Permission): string {
  const words = resource === '*' ? operation : `${resource} ${operation.startsWith('s3:ListBucket') ? 'list' : path ?? ''}`;
  return words.split(/[^A-Za-z0-9]+/).map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}
