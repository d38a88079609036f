// docs/MODULE-DEVELOPMENT.md, command by command, in a clone.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../lib/framework/loader';
import { clone, folder, packageIn, skipped } from './support';

const PAGE = readFileSync(join(ROOT, 'docs/MODULE-DEVELOPMENT.md'), 'utf8');
/** Blocks with what their first line says of them. */
const blocks = [...PAGE.matchAll(/^```sh\n(?:# (needs a cloud account|once)\n)?([^]*?)^```$/gm)].map(([, mark = '', script = '']) => ({ mark, script }));

test('the page\'s commands run in their order, and end in a template with the module\'s rule and maps', (t) => {
  const program = process.env.TRIBUTARY_BIN;
  if (!program || !existsSync(program)) {
    skipped('walkthrough of a module', 'TRIBUTARY_BIN names no command (cargo build -p tributary-cli)');
    return t.skip('no command');
  }
  assert.deepEqual([...new Set(blocks.map(({ mark }) => mark))].sort(), ['', 'needs a cloud account', 'once']);
  const at = clone();
  packageIn(at);
  const commands = folder();
  mkdirSync(join(commands, 'bin'));
  symlinkSync(resolve(program), join(commands, 'bin/tributary'));
  const script = blocks.filter(({ mark }) => mark === '').map((block) => block.script).join('\n');
  const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: at, encoding: 'utf8', timeout: 300_000,
    env: { ...process.env, PATH: `${join(commands, 'bin')}:${process.env.PATH}`, TRIBUTARY_BIN: '', CDK_DISABLE_CLI_TELEMETRY: 'true', CDK_DISABLE_VERSION_CHECK: '1' },
  });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /config\.yaml: valid/);
  assert.match(stdout, /"acme-events-dev"/);
  assert.doesNotMatch(stdout + stderr, /deployed without a check/);
  const { Resources } = JSON.parse(readFileSync(join(at, 'infra/cdk.out/tributary-dev.template.json'), 'utf8')) as { Resources: Record<string, { Type: string }> };
  assert.equal(Object.values(Resources).filter((resource) => resource.Type === 'AWS::Lambda::LayerVersion').length, 1);
});

test('every member of the contract and of what a module is given is on the page', () => {
  const contract = readFileSync(join(ROOT, 'infra/lib/framework/integration-module.ts'), 'utf8');
  const of = (name: string) => new RegExp(`interface ${name} \\{\\n([^]*?)\\n\\}`).exec(contract)?.[1] ?? '';
  for (const name of ['IIntegrationModule', 'CoreResources']) {
    const members = [...of(name).matchAll(/^ {2}(?:readonly )?(\w+)[?(:]/gm)].map(([, member]) => member);
    assert.ok(members.length > 8, name);
    for (const member of members) assert.match(PAGE, new RegExp(`\\b${member}\\b`), `${name}.${member}`);
  }
});
