// Servers of the deployment's test, each on 127.0.0.1 and ended with it: AWS (ministack), the hub, and whoever calls AWS.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../../lib/framework/loader';
import { skipped, zipOf } from '../support';

/** What the test needs of this machine; undefined, said aloud, where it is not there. */
export function tools(): { python: string; bootstrap: string; tributary: string } | undefined {
  const { TRIBUTARY_PYTHON: python, TRIBUTARY_TARGET: target } = process.env;
  const found = { python, bootstrap: target && join(target, 'bootstrap'), tributary: target && join(target, 'tributary') };
  for (const [name, path] of Object.entries(found)) {
    if (path !== undefined && existsSync(path)) continue;
    const hint = name === 'python' ? 'TRIBUTARY_PYTHON (make peers)' : 'TRIBUTARY_TARGET (cargo build -p tributary-functions -p tributary-cli)';
    skipped('deployment on this machine', `no ${name}: ${hint}`);
    return undefined;
  }
  return found as { python: string; bootstrap: string; tributary: string };
}

/** Settings of every process that talks to ministack. */
export const KEYS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1', AWS_DEFAULT_REGION: 'us-east-1', AWS_EC2_METADATA_DISABLED: 'true' };
/** The account of those keys. */
export const ACCOUNT = '000000000000';

/** A process that ends with the test. */
export class Server {
  readonly process: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;

  constructor(program: string, args: string[], environment: Record<string, string> = {}) {
    this.process = spawn(program, args, { env: { ...process.env, ...environment } });
    this.process.stderr.on('data', (said: Buffer) => process.stderr.write(said));
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`${this.process.spawnargs.join(' ')} ended`);
    return value;
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.stdin.end();
    const { spawnfile } = this.process;
    if (!spawnfile.includes('python')) this.process.kill('SIGTERM');
    if (this.process.exitCode === null) await ended;
  }
}

export type Credentials = { AccessKeyId: string; SecretAccessKey: string; SessionToken: string };

/** AWS on this machine by TLS, with policies enforced: those of queues and buckets refuse whoever comes without TLS. */
export class Aws {
  private constructor(readonly endpoint: string, readonly certificate: string, private readonly server: Server, private readonly caller: Server) {}

  static async start(python: string): Promise<Aws> {
    const server = new Server(python, [join(ROOT, 'tests/peers/ministack_server.py')], { AUTH: 'true', USE_SSL: '1' });
    const [endpoint = '', certificate = ''] = (await server.line()).split(' ');
    const caller = new Server(python, [join(ROOT, 'tests/peers/aws_call.py'), endpoint], { AWS_CA_BUNDLE: certificate });
    return new Aws(endpoint, certificate, server, caller);
  }

  /** What a call answers; its error's code where it fails. */
  async ask(service: string, operation: string, parameters: object = {}, credentials?: Credentials): Promise<{ answer?: any; error?: string; message?: string }> {
    this.caller.process.stdin.write(`${JSON.stringify({ service, operation, parameters, credentials })}\n`);
    return JSON.parse(await this.caller.line());
  }

  /** What a call answers that must not fail. */
  async call(service: string, operation: string, parameters: object = {}): Promise<any> {
    const { answer, error, message } = await this.ask(service, operation, parameters);
    if (error !== undefined) throw new Error(`${service} ${operation}: ${error}: ${message}`);
    return answer;
  }

  /** `cdk bootstrap` fails on ministack: the bucket of assets and the version are made by hand. */
  async bootstrap(): Promise<void> {
    await this.call('s3', 'create_bucket', { Bucket: `cdk-hnb659fds-assets-${ACCOUNT}-us-east-1` });
    await this.call('ssm', 'put_parameter', { Name: '/cdk-bootstrap/hnb659fds/version', Value: '31', Type: 'String' });
  }

  /** The objects of a bucket. */
  async objects(bucket: string, prefix = ''): Promise<string[]> {
    const { Contents = [] } = await this.call('s3', 'list_objects_v2', { Bucket: bucket, Prefix: prefix }) as { Contents?: { Key: string }[] };
    return Contents.map((object) => object.Key);
  }

  /** Everything that a function wrote. */
  async log(name: string): Promise<string> {
    const { events } = await this.call('logs', 'filter_log_events', { logGroupName: `/aws/lambda/${name}`, limit: 10000 }) as { events: { message: string }[] };
    return events.map((event) => event.message.trimEnd()).join('\n');
  }

  async end(): Promise<void> {
    await this.caller.end();
    await this.server.end();
  }
}

/** Runs `cdk` against it; what it said. */
export function cdk(aws: Aws, args: string[]): string {
  const result = spawnSync(process.execPath, [join(ROOT, 'infra/node_modules/aws-cdk/bin/cdk'), ...args], {
    cwd: join(ROOT, 'infra'), encoding: 'utf8', timeout: 300_000,
    env: { ...process.env, ...KEYS, AWS_ENDPOINT_URL: aws.endpoint, NODE_EXTRA_CA_CERTS: aws.certificate, AWS_CA_BUNDLE: aws.certificate, CDK_DISABLE_CLI_TELEMETRY: 'true', CDK_DISABLE_VERSION_CHECK: '1', CI: 'true' },
  });
  const said = `${result.stdout}${result.stderr}`;
  if (result.status !== 0) throw new Error(`cdk ${args.join(' ')} ended with ${result.status}:\n${said}`);
  return said;
}

/** A package that starts the program where it lies. */
export function packageOf(file: string, bootstrap: string): void {
  writeFileSync(file, zipOf('bootstrap', `#!/bin/sh\nexec '${bootstrap}'\n`));
}
