// What keys of config.yaml are made of: a rule, a default, and what they say in docs/CONFIGURATION.md.
import { z } from 'zod';

/** A key: its rule and default, and its row in the page. `rule` says in words what the schema says by a pattern. */
export function key<T extends z.ZodType>(schema: T, description: string, rule?: string): T {
  return schema.meta(rule === undefined ? { description } : { description, rule });
}

/** A whole number within bounds. */
export const whole = (low: number, high: number) => z.number().int().min(low).max(high);

/** A text of a form, which `rule` says in words. */
export const text = (pattern: RegExp, rule: string) => z.string().regex(pattern, `expected ${rule}`);

/** A section: its keys, each of which may be left out; unknown ones are refused. */
export const section = <S extends z.core.$ZodLooseShape>(shape: S) => z.strictObject(shape);

/** Letters, digits, - and _, as names of queues, topics, functions and roles have them, with room for the environment. */
export const resourceName = (length = 55) =>
  text(new RegExp(`^[A-Za-z0-9_-]{1,${length}}$`), `letters, digits, - and _, at most ${length}`);

/** An account's number. */
export const account = () => text(/^\d{12}$/, 'twelve digits, in quotes');

/** A region's name. */
export const region = () => text(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region such as eu-central-1');

/** The ARN of a role. */
export const roleArn = () =>
  text(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,128}$/, 'the ARN of a role, arn:aws:iam::111122223333:role/NAME');

/** The ARN of a key. */
export const keyArn = () =>
  text(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[\w-]{1,100}$/, 'the ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID');

/** Variables that the stack sets itself, from other keys: they cannot be given here. */
const RESERVED = /^(AWS_.*|LAMBDA_.*|_HANDLER|MODULE_ID|SQS_QUEUE_URL|CHECKPOINT_.*|DYNAMODB_TABLE_NAME|AZURE_CREDENTIALS_SECRET_NAME|AZURE_FLOWLOGS_SECRET_NAME|AZURE_AUTHENTICATION|STAGING_BUCKET|QUARANTINE_BUCKET|SECURITY_LAKE_.*|SECURITY_HUB_.*|ASFF_.*|CLOUDTRAIL_.*|FLOW_LOG_SQS_QUEUE|OCSF_VERSION|MAPPINGS_.*)$/;

/** What AWS has in place of what it is: `AWS_ENDPOINT_URL…` sends calls to other endpoints, such as those of a VPC or a test. */
const allowed = (name: string) => !RESERVED.test(name) || /^AWS_ENDPOINT_URL(_[A-Z0-9_]+)?$/.test(name);

const LEVELS = ['ERROR', 'WARN', 'INFO', 'DEBUG'];

/** Further variables of a function. */
export const environment = () =>
  z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]*$/, 'expected a variable\'s name'), z.string().max(2048))
    .superRefine((variables, context) => {
      for (const [name, value] of Object.entries(variables)) {
        if (!allowed(name)) {
          context.addIssue({ code: 'custom', path: [name], message: 'the stack sets this variable itself, from other keys' });
        }
        if (name === 'LOGGING_LEVEL' && !LEVELS.includes(value)) {
          context.addIssue({ code: 'custom', path: [name], message: `expected ${LEVELS.join(', ')}` });
        }
      }
    });

/** Longest name of a function: with `-staging` and `-schedule` it is a rule's, which has 64 at most. */
const FUNCTION_NAME = 47;

/** What every function has. */
export const functionKeys = (defaults: {
  functionName?: string; memorySize: number; timeout: number; reservedConcurrentExecutions?: number;
  /** What the name is without the key, where it depends on the instance. */
  otherwise?: string;
}) => ({
  functionName: defaults.functionName === undefined
    ? key(resourceName(FUNCTION_NAME).optional(),
      `Name of the function, its log group and its role; the environment is appended.${defaults.otherwise ? ` ${defaults.otherwise} without it.` : ''}`)
    : key(resourceName(FUNCTION_NAME).default(defaults.functionName),
      'Name of the function, its log group and its role; the environment is appended.'),
  memorySize: key(whole(128, 10240).default(defaults.memorySize), 'Memory of the function, in MB.'),
  timeout: key(whole(1, 900).default(defaults.timeout), 'Longest invocation, in seconds.'),
  reservedConcurrentExecutions: key(
    defaults.reservedConcurrentExecutions === undefined
      ? whole(0, 1000).optional() : whole(0, 1000).default(defaults.reservedConcurrentExecutions),
    'Invocations at a time that are kept for this function, and its limit; none kept without it. 0 stops it.'),
  architecture: key(z.enum(['x86_64', 'arm64']).default('x86_64'),
    'Processor of the function; its package is dist/functions-ARCHITECTURE.zip (make package).'),
  environment: key(environment().default({ LOGGING_LEVEL: 'INFO' }),
    'Further variables of the function, such as LOGGING_LEVEL: ERROR, WARN, INFO or DEBUG.',
    'variables that the stack does not set itself'),
});

/** What a function that a queue feeds has besides. */
export const queueKeys = (batchSize: number, window: number) => ({
  batchSize: key(whole(1, 10000).default(batchSize), 'Messages that an invocation gets at most; above 10 a window is needed.'),
  maximumBatchingWindowInSeconds: key(whole(0, 300).default(window), 'Seconds that messages are gathered for an invocation.'),
});
