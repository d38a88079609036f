// A fresh clone: what README says to do there, as far as it needs no network (npm ci stands before it).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { clone, packageIn } from './support';

/** Longest that a synthesis may take, as users are promised. */
const PATIENCE_MS = 120_000;

/** `npx cdk synth -c configFile=config.example.yaml`, without a way to any network or credentials. */
function synth(at: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['node_modules/aws-cdk/bin/cdk', 'synth', '-c', 'configFile=config.example.yaml'], {
    cwd: join(at, 'infra'), encoding: 'utf8', timeout: PATIENCE_MS,
    env: {
      PATH: process.env.PATH ?? '', HOME: at, HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: 'http://127.0.0.1:9',
      AWS_EC2_METADATA_DISABLED: 'true', CDK_DISABLE_VERSION_CHECK: '1', CDK_DISABLE_CLI_TELEMETRY: 'true',
    },
  });
  return { status, stdout, stderr };
}

test('from a fresh clone: without the package it is said what to make, with it the template is there, and the same again', () => {
  const at = clone();
  const without = synth(at);
  assert.equal(without.status, 1);
  assert.match(without.stderr, /dist\/functions-x86_64\.zip is not there: make it by `make package ARCHITECTURES=x86_64` in the project's folder/);
  packageIn(at);
  const template = () => {
    const { status, stderr } = synth(at);
    assert.equal(status, 0, stderr);
    return readFileSync(join(at, 'infra/cdk.out/tributary-dev.template.json'), 'utf8');
  };
  const first = template();
  assert.ok(Object.keys(JSON.parse(first).Resources).length > 50);
  assert.equal(template(), first, 'two deployments of one configuration are one template');
});
