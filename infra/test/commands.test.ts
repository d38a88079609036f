import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PACKAGE, folder, zipOf } from './support';

const INFRA = join(__dirname, '..');
const MINIMAL = 'securityLake: { s3Bucket: aws-security-data-lake-us-east-1-0123456789 }\n';

function fileOf(content: string, name = 'config.yaml'): string {
  const file = join(folder(), name);
  writeFileSync(file, content);
  return file;
}

function run(script: string, args: string[], context: Record<string, string> = {}) {
  const out = folder();
  const result = spawnSync(process.execPath, ['--import', 'tsx', join(INFRA, 'bin', script), ...args], {
    cwd: INFRA, encoding: 'utf8', env: { ...process.env, CDK_OUTDIR: out, CDK_CONTEXT_JSON: JSON.stringify(context), TSX_TSCONFIG_PATH: join(INFRA, 'tsconfig.json') },
  });
  return { ...result, out };
}

test('the app takes its file from -c configFile and its package from -c functionPackage', () => {
  const { status, stderr, out } = run('app.ts', [], { configFile: fileOf(MINIMAL), functionPackage: PACKAGE });
  assert.equal(status, 0, stderr);
  assert.ok(JSON.parse(readFileSync(join(out, 'tributary-dev.template.json'), 'utf8')).Resources);
});

test('a missing package, and one that is none, are told with what to do', () => {
  const missing = run('app.ts', [], { configFile: fileOf(MINIMAL), functionPackage: '/nowhere.zip' });
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /\/nowhere\.zip is not there: -c functionPackage names the functions' package/);
  const at = join(folder(), 'other.zip');
  writeFileSync(at, zipOf('main', 'x'));
  assert.match(run('app.ts', [], { configFile: fileOf(MINIMAL), functionPackage: at }).stderr, /is not a package of the functions: expected a zip with one file, bootstrap/);
  writeFileSync(at, 'no zip');
  assert.match(run('app.ts', [], { configFile: fileOf(MINIMAL), functionPackage: at }).stderr, /is not a package of the functions/);
});

test('faults of the configuration end the app with words alone', () => {
  const { status, stderr } = run('app.ts', [], { configFile: fileOf('projctName: x\n') });
  assert.equal(status, 1);
  assert.equal(stderr.trim(), 'projctName: unknown key: did you mean projectName?');
});

test('a module\'s failure names it, with where it failed; cleanup is called all the same', () => {
  const at = join(folder(), 'own');
  mkdirSync(join(at, 'infra'), { recursive: true });
  const mark = join(at, 'cleaned');
  writeFileSync(join(at, 'infra/index.ts'), `
    import { BaseIntegrationModule, section } from '@tributary/infra';
    import { writeFileSync } from 'node:fs';
    const schema = section({});
    export default class Own extends BaseIntegrationModule<typeof schema> {
      moduleId = 'own'; moduleName = 'Own'; moduleVersion = '1.0.0'; moduleDescription = 'x'; configSchema = schema;
      protected create(): void { throw new Error('no luck'); }
      getRequiredPermissions() { return []; }
      override cleanup() { writeFileSync(${JSON.stringify(mark)}, 'x'); }
    }`);
  const { status, stderr } = run('app.ts', [], { configFile: fileOf(`${MINIMAL}integrations: { own: { modulePath: "${at}" } }\n`), functionPackage: PACKAGE });
  assert.equal(status, 1);
  assert.match(stderr, /^integrations\.own \(module own 1\.0\.0\): createResources failed: no luck\n[^]*infra\/index\.ts/);
  assert.equal(readFileSync(mark, 'utf8'), 'x');
});

test('validate-config: right, wrong, and not there', () => {
  const right = run('validate-config.ts', [fileOf(MINIMAL)]);
  assert.deepEqual([right.status, right.stdout.endsWith('config.yaml: valid\n')], [0, true]);
  const wrong = run('validate-config.ts', [fileOf(`${MINIMAL}environment: test\n`)]);
  assert.deepEqual([wrong.status, /^environment: /.test(wrong.stderr)], [1, true]);
  assert.equal(run('validate-config.ts', ['/nowhere.yaml']).status, 1);
});

test('migrate-config prints the new shape, says what it left out, and what is still to do', () => {
  const older = fileOf('tags: [{ key: a, value: b }]\nsecurityLake: { s3Bucket: aws-security-data-lake-us-east-1-0123456789, OCSFEventClass: [] }\nazureIntegration: { enabled: true }\n');
  const { status, stdout, stderr } = run('migrate-config.ts', [older]);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /^securityLake\.OCSFEventClass: left out/m);
  const migrated = run('validate-config.ts', [fileOf(stdout)]);
  assert.equal(migrated.status, 0, migrated.stderr);
  const unfinished = run('migrate-config.ts', [fileOf('azureIntegration: { enabled: true }\n')]);
  assert.equal(unfinished.status, 1);
  assert.match(unfinished.stderr, /still to do:\nsecurityLake\.s3Bucket: needed/);
});
