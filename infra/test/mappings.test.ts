import assert from 'node:assert/strict';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MappingSet, digest, joined, readMappings } from '../lib/framework/mappings';
import { ROOT } from '../lib/framework/loader';
import { configOf, folder, functionNamed, ofType, stackOf, template, variables, allowing } from './support';

const AZURE = join(ROOT, 'modules/azure/mappings');

function files(content: Record<string, string>): string {
  const at = folder();
  for (const [path, text] of Object.entries(content)) {
    mkdirSync(join(at, path, '..'), { recursive: true });
    writeFileSync(join(at, path), text);
  }
  return at;
}

/** A command in place of tributary. */
function command(script: string): string {
  const file = join(folder(), 'tributary');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

function withCommand<T>(path: string, work: () => T): T {
  const before = process.env.TRIBUTARY_BIN;
  process.env.TRIBUTARY_BIN = path;
  try {
    return work();
  } finally {
    if (before === undefined) delete process.env.TRIBUTARY_BIN;
    else process.env.TRIBUTARY_BIN = before;
  }
}

test('the digest is over paths and contents; cases, hidden and other files do not count', () => {
  const at = files({ 'b.yaml': 'kind: b\n', 'lookups/a.yaml': 'table: a\n', 'b.cases/x.yaml': 'no', '.hidden.yaml': 'no', 'README.md': 'no' });
  assert.deepEqual([...readMappings(at).keys()], ['b.yaml', 'lookups/a.yaml']);
  // sha256 of "6:8:b.yamlkind: b\n14:9:lookups/a.yamltable: a\n"
  assert.equal(digest(readMappings(at)), '4a70434a9cb49cf77ca232d6979df25fbdefe4297248384064db75705934eaf6');
  assert.throws(() => readMappings('/nowhere'), /mapping files of \/nowhere/);
  assert.throws(() => readMappings(files({ 'a.txt': '' })), /holds no \*\.yaml file/);
  assert.throws(() => readMappings(files({ 'a.yaml': 'x'.repeat((1 << 20) + 1) })), /a\.yaml has more than 1048576 bytes/);
});

test('sets join: what two modules say of all records, list by list; one kind in two of them is an error', () => {
  const set = joined([
    { name: 'one', files: new Map([['module.yaml', 'wrappers: [records]\nskip: [{ rule: a }]\n'], ['a.yaml', 'kind: a\n']]) },
    { name: 'two', files: new Map([['module.yaml', 'wrappers: [records, items]\n'], ['b.yaml', 'kind: b\n'], ['a.yaml', 'kind: a\n']]) },
  ]);
  assert.equal(set.get('module.yaml'), 'wrappers:\n  - records\n  - items\nskip:\n  - rule: a\n');
  assert.throws(() => joined([{ name: 'one', files: new Map([['a.yaml', '1']]) }, { name: 'two', files: new Map([['a.yaml', '2']]) }]),
    /a\.yaml is a file of one and of two: rename one/);
});

test('the command checks the set where it is there: what it refuses is not deployed', () => {
  const set = new Map([['a.yaml', 'kind: a\n']]);
  const passed = withCommand(command(`echo ${digest(set)}`), () => new MappingSet(set));
  assert.equal(passed.checked, true);
  passed.remove();
  assert.equal(existsSync(passed.layerFolder), false);
  assert.throws(() => withCommand(command('echo "a.yaml:1:1: no class" >&2; exit 1'), () => new MappingSet(set)), /do not pass:\na\.yaml:1:1: no class/);
  assert.throws(() => withCommand(command('echo 0123'), () => new MappingSet(set)), /are they of one version\?/);
  const unchecked = withCommand('/nowhere/tributary', () => new MappingSet(set));
  assert.equal(unchecked.checked, false);
  unchecked.remove();
});

test('functions may read the files whatever umask they are deployed with', () => {
  const before = process.umask(0o077);
  try {
    const set = withCommand('/nowhere/tributary', () => new MappingSet(new Map([['lookups/a.yaml', 'table: a\n']])));
    const modes = ['mappings', 'mappings/lookups', 'mappings/lookups/a.yaml'].map((path) => (statSync(join(set.layerFolder, path)).mode & 0o777).toString(8));
    set.remove();
    assert.deepEqual(modes, ['755', '755', '644']);
  } finally {
    process.umask(before);
  }
});

test('without the command the set is deployed and said to be unchecked', () => {
  const loaded = withCommand('/nowhere/tributary', () => stackOf(configOf('integrations: { example: {} }')));
  const said = loaded.stack.node.metadata.map((entry) => String(entry.data));
  assert.ok(said.some((text) => text.includes('deployed without a check')), said.join());
});

test('a module\'s maps join the built-in ones and are deployed beside the functions, pinned by their digest', () => {
  const t = template('integrations: { azure: {}, example: {} }');
  const set = variables(t, 'event-transformer-dev');
  assert.equal(set.MAPPINGS_URI, '/opt/mappings');
  const expected = joined([AZURE, join(ROOT, 'modules/example/mappings')].map((name) => ({ name, files: readMappings(name) })));
  assert.equal(set.MAPPINGS_DIGEST, digest(expected));
  assert.equal((functionNamed(t, 'event-transformer-dev').Properties.Layers as unknown[]).length, 1);
  assert.equal(ofType(t, 'AWS::Lambda::LayerVersion').length, 1);
  assert.equal(allowing(t, 'event-transformer-dev', 's3:GetObject').length, 2, 'no right to read maps from S3');
});

test('the shipped maps alone are built in: nothing is deployed for them', () => {
  const t = template('integrations: { azure: {} }');
  assert.equal(variables(t, 'event-transformer-dev').MAPPINGS_URI, undefined);
  assert.equal(ofType(t, 'AWS::Lambda::LayerVersion').length, 0);
});

test('maps in S3: URI and digest are the function\'s, and its role may read them alone', () => {
  const wanted = 'ab'.repeat(32);
  const t = template(`mappings: { uri: "s3://maps/current/", digest: ${wanted} }`);
  assert.deepEqual([variables(t, 'event-transformer-dev').MAPPINGS_URI, variables(t, 'event-transformer-dev').MAPPINGS_DIGEST], ['s3://maps/current/', wanted]);
  const read = allowing(t, 'event-transformer-dev', 's3:GetObject').map((statement) => JSON.stringify(statement.Resource));
  assert.ok(read.some((resource) => resource.includes(':s3:::maps/current/*')), read.join());
  assert.throws(() => template(`mappings: { uri: "s3://maps/current/", digest: ${wanted} }\nintegrations: { example: {} }`), /the set in S3 is whole/);
});

test('maps of a folder: whole, from the configuration\'s folder, compared with the approved digest', () => {
  const at = folder();
  cpSync(AZURE, join(at, 'maps'), { recursive: true });
  const t = template('mappings: { uri: maps }', at);
  const found = variables(t, 'event-transformer-dev').MAPPINGS_DIGEST;
  assert.equal(found, digest(readMappings(AZURE)));
  assert.equal(variables(template(`mappings: { uri: maps, digest: ${found} }`, at), 'event-transformer-dev').MAPPINGS_DIGEST, found);
  assert.throws(() => template(`mappings: { uri: maps, digest: "${'0'.repeat(64)}" }`, at), /mappings\.digest: the files' digest is [0-9a-f]{64}/);
});

test('nothing is left of a set that is refused', () => {
  const before = () => readdirSync(join(folder(), '..')).filter((name) => name.startsWith('tributary-mappings-')).length;
  const count = before();
  assert.throws(() => withCommand(command('exit 1'), () => new MappingSet(new Map([['a.yaml', 'x']]))));
  assert.equal(before(), count);
});
