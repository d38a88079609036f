import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError, judge, load } from '../lib/config';
import { page } from '../lib/page';

const refused = (input: unknown, text: RegExp) =>
  assert.throws(() => judge(input), (error) => error instanceof ConfigError && text.test(error.message));

test('the example is valid', () => {
  assert.equal(load(join(__dirname, '../config.example.yaml')).environment, 'dev');
});

test('an empty file is every default', () => {
  assert.equal(judge(null).sqsQueue.deadLetterQueue.maxReceiveCount, 5);
});

test('unknown keys are errors with a suggestion, at every depth', () => {
  refused({ enviroment: 'dev' }, /^enviroment: unknown key: did you mean environment\?$/);
  refused({ sqsQueue: { deadLetterQueue: { maxRecieveCount: 3 } } },
    /^sqsQueue\.deadLetterQueue\.maxRecieveCount: unknown key: did you mean maxReceiveCount\?$/);
  refused({ zebra: 1 }, /zebra: unknown key; known here: projectName, /);
});

test('rules hold', () => {
  refused({ environment: 'production' }, /^environment: /);
  refused({ sqsQueue: { queueName: 'asff-queue' } }, /^sqsQueue\.queueName: .*not the name of another queue/);
  refused({ accountId: 123456789012 }, /^accountId: /);
  refused({ encryption: { keyPendingWindowInDays: 6 } }, /^encryption\.keyPendingWindowInDays: /);
});

test('every fault is told at once', () => {
  refused({ environment: 'x', awsRegion: 'x' }, /environment: [^\n]*\nawsRegion: /);
});

test('a file that is not there is named', () => {
  assert.throws(() => load('/nowhere.yaml'), /nowhere\.yaml: cannot be read/);
});

test('docs/CONFIGURATION.md is what the schema says', () => {
  assert.equal(readFileSync(join(__dirname, '../../docs/CONFIGURATION.md'), 'utf8'), page());
});
