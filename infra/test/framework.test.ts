import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { judge } from '../lib/config/load';
import { loadModule } from '../lib/framework/loader';
import { ModuleRegistry } from '../lib/framework/registry';
import { shipped } from '../lib/shipped';
import { configOf, folder, functionNamed, ofType, stackOf, template } from './support';

/** A module at a place of its own, outside the project. `body` replaces members of one that works. */
function moduleAt(body = '', name = 'own'): string {
  const at = join(folder(), name);
  mkdirSync(join(at, 'infra'), { recursive: true });
  writeFileSync(join(at, 'infra/index.ts'), `
    import { BaseIntegrationModule, type CoreResources, required, section, key } from '@tributary/infra';
    import * as sqs from 'aws-cdk-lib/aws-sqs';
    import * as iam from 'aws-cdk-lib/aws-iam';
    import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
    import type { Construct } from 'constructs';
    import { z } from 'zod';
    const schema = section({ word: key(z.string().default('none'), 'A word.') });
    const calls: string[] = (globalThis as any).calls ??= [];
    export default class Own extends BaseIntegrationModule<typeof schema> {
      moduleId = 'own'; moduleName = 'Own'; moduleVersion = '1.2.3'; moduleDescription = 'A module of the test.'; configSchema = schema;
      override validateConfig(config: unknown) { calls.push('validateConfig'); return super.validateConfig(config); }
      protected create(scope: Construct, core: CoreResources, config: { word: string }) {
        calls.push('createResources ' + core.instanceId + ' ' + config.word);
        new sqs.CfnQueue(scope, 'Queue', { queueName: core.named('queue', core.instanceId + '-' + config.word) });
      }
      getRequiredPermissions() { calls.push('getRequiredPermissions'); return [{ operation: 'sqs:SendMessage', why: 'x' }]; }
      override getHealthCheckConfig() { calls.push('getHealthCheckConfig'); return { alarms: [{ name: 'Own', description: 'x', threshold: 1,
        metric: new cloudwatch.Metric({ namespace: 'Own', metricName: 'Own' }) }] }; }
      override getModuleOutputs() { calls.push('getModuleOutputs'); return { OwnWord: { value: 'w', description: 'x' } }; }
      override cleanup() { calls.push('cleanup'); }
      ${body}
    }`);
  return at;
}

const calls: string[] = (globalThis as { calls?: string[] }).calls ??= [];
const using = (at: string, config = '{}') => `integrations: { own: { modulePath: "${at}", config: ${config} } }`;

test('a module from another path: every member is called, in order, and what it makes is in the stack', () => {
  calls.length = 0;
  const loaded = judge(configOf(using(moduleAt(), '{ word: bird }')));
  assert.deepEqual(calls, ['validateConfig']);
  const t = template(using(moduleAt(), '{ word: bird }'));
  const { registry } = loaded;
  assert.deepEqual(registry.cleanup(), []);
  assert.deepEqual([...new Set(calls)], ['validateConfig', 'createResources own bird', 'getRequiredPermissions', 'getHealthCheckConfig', 'getModuleOutputs', 'cleanup']);
  t.hasResourceProperties('AWS::SQS::Queue', { QueueName: 'own-bird-dev' });
  t.hasResourceProperties('AWS::CloudWatch::Alarm', { AlarmName: 'tributary-own-Own-dev' });
  t.hasOutput('OwnWord', { Value: 'w' });
  assert.deepEqual([registry.instances[0]?.module.moduleName, registry.instances[0]?.module.moduleDescription], ['Own', 'A module of the test.']);
});

test('a path is from the configuration\'s folder; the folder infra may be named too', () => {
  const at = moduleAt();
  for (const path of ['own', './own/infra', 'own/']) {
    const { registry } = judge(configOf(`integrations: { own: { modulePath: ${path} } }`), join(at, '..'));
    assert.equal(registry.instances[0]?.module.moduleVersion, '1.2.3');
  }
});

test('two instances of one module are two objects with their own configuration', () => {
  calls.length = 0;
  const at = moduleAt();
  const t = template(`integrations: { own: { modulePath: "${at}", config: { word: a } }, own-2: { modulePath: "${at}", config: { word: b } } }`);
  assert.deepEqual(calls.filter((call) => call.startsWith('createResources')), ['createResources own a', 'createResources own-2 b']);
  t.hasOutput('OwnWord', {});
  t.hasOutput('Own2OwnWord', {});
});

test('every resource that may send events has a statement of its own, whatever the entries are called', () => {
  const at = moduleAt(`protected override create(_scope: Construct, core: CoreResources) {
    for (const name of ['a', 'b']) core.acceptEventsFrom('events.amazonaws.com', 'arn:aws:events:us-east-1:111122223333:rule/' + core.instanceId + name); }`);
  const t = template(`integrations: { own: { modulePath: "${at}" }, o-wn: { modulePath: "${at}" } }`);
  for (const type of ['AWS::SQS::QueuePolicy', 'AWS::KMS::Key']) {
    const sids = ofType(t, type).flatMap(([, { Properties: of }]) => (of.PolicyDocument ?? of.KeyPolicy).Statement as { Sid?: string }[])
      .flatMap(({ Sid }) => (Sid?.startsWith('EventsOf') ? [Sid] : []));
    assert.deepEqual(sids, ['EventsOfOwn', 'EventsOfOwn2', 'EventsOfOWn', 'EventsOfOWn2'], type);
  }
});

test('the longest names that are allowed are names to AWS too', () => {
  const id = `a${'b'.repeat(27)}`;
  const t = template(`environment: staging
integrations: { ${id}: { modulePath: modules/azure, config: { flowLogProcessor: { enabled: true } } }, azure: { config: { eventHubProcessor: { functionName: ${'f'.repeat(47)} } } } }`);
  for (const [type, property] of [['AWS::Events::Rule', 'Name'], ['AWS::Lambda::Function', 'FunctionName'], ['AWS::IAM::Role', 'RoleName']] as const) {
    for (const [, { Properties }] of ofType(t, type)) assert.ok((Properties[property] as string).length <= 64, Properties[property]);
  }
  assert.throws(() => judge(configOf(`integrations: { ${id}b: {} }`)), /at most 28/);
});

test('a failure in any member names instance, module and member', () => {
  const failing: Record<string, [string, RegExp]> = {
    validateConfig: ['override validateConfig(): never { throw new Error("no luck"); }', /integrations\.own \(module own 1\.2\.3\): validateConfig failed: no luck/],
    create: ['override createResources(): never { throw new Error("no luck"); }', /integrations\.own \(module own 1\.2\.3\): createResources failed: no luck/],
    permissions: ['override getRequiredPermissions(): never { throw new Error("no luck"); }', /integrations\.own .*getRequiredPermissions failed: no luck/],
    health: ['override getHealthCheckConfig(): never { throw new Error("no luck"); }', /integrations\.own .*getHealthCheckConfig failed: no luck/],
    outputs: ['override getModuleOutputs(): never { throw new Error("no luck"); }', /integrations\.own .*getModuleOutputs failed: no luck/],
  };
  for (const [member, [body, message]] of Object.entries(failing)) {
    // The class has the member twice: the later one counts, which TypeScript would refuse and esbuild does not.
    assert.throws(() => template(using(moduleAt(body))), message, member);
  }
  const { registry } = judge(configOf(using(moduleAt('override cleanup(): never { throw new Error("no luck"); }'))));
  assert.match(registry.cleanup()[0]?.message ?? '', /integrations\.own .*cleanup failed: no luck/);
});

test('faults of a module\'s configuration have whole keys; a refusal without a reason is told as one', () => {
  assert.throws(() => template(using(moduleAt(), '{ word: 1 }')), /^Error: integrations\.own\.config\.word: |integrations\.own\.config\.word: /);
  assert.throws(() => template(using(moduleAt('override validateConfig() { return { valid: false }; }'))), /integrations\.own\.config: module own refuses it without saying why/);
  const { warnings } = judge(configOf(using(moduleAt('override validateConfig() { return { valid: true, warnings: ["word: is old"] }; }'))));
  assert.deepEqual(warnings, ['integrations.own.config.word: is old']);
});

test('a role that may call more than the module declares fails the synthesis', () => {
  const role = (how: string) => `protected override create(scope: Construct) {
    const role = new iam.Role(scope, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') }); ${how} }`;
  const policy = (action: string) => `role.addToPolicy(new iam.PolicyStatement({ actions: ['${action}'], resources: ['*'] }));`;
  template(using(moduleAt(role(policy('sqs:SendMessage')))));
  assert.throws(() => template(using(moduleAt(role(policy('s3:GetObject'))))), /integrations\.own .*a role may call what getRequiredPermissions does not declare: s3:GetObject/);
  assert.throws(() => template(using(moduleAt(role(policy('sqs:*'))))), /does not declare: sqs:\*/);
  assert.throws(() => template(using(moduleAt(role('role.addManagedPolicy(iam.ManagedPolicy.fromAwsManagedPolicyName("AdministratorAccess"));')))),
    /does not declare: managed policy .*AdministratorAccess/);
  assert.throws(() => template(using(moduleAt(`protected override create(scope: Construct) {
    new iam.Role(scope, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'), inlinePolicies: { p: new iam.PolicyDocument({ statements: [
      new iam.PolicyStatement({ actions: ['kms:Decrypt'], resources: ['*'] })] }) } }); }`))), /does not declare: kms:Decrypt/);
});

test('what is no module is told with its file', () => {
  const broken = (code: string) => {
    const at = join(folder(), 'broken');
    mkdirSync(join(at, 'infra'), { recursive: true });
    writeFileSync(join(at, 'infra/index.ts'), code);
    return at;
  };
  const refused = (at: string, message: RegExp) => assert.throws(() => judge(configOf(using(at))), message);
  refused('/nowhere', /integrations\.own: its module cannot be had: no folder \/nowhere/);
  assert.throws(() => judge(configOf('integrations: { nothing: {} }')), /integrations\.nothing: its module cannot be had: no folder .*modules\/nothing; name the module's folder by modulePath/);
  refused(folder(), /holds no infra\/index\.ts/);
  refused(broken('export const x = 1;'), /infra\/index\.ts has no class as its default export/);
  refused(broken('throw new Error("at once");'), /infra\/index\.ts cannot be loaded: at once/);
  refused(broken('export default class { moduleId = "a"; }'), /is no IIntegrationModule: it lacks validateConfig, createResources/);
  refused(moduleAt('moduleVersion = "1";'), /moduleVersion "1": expected MAJOR\.MINOR\.PATCH/);
  refused(moduleAt('moduleId = "Own";'), /moduleId "Own": expected lower case/);
});

test('a disabled integration is neither loaded nor judged', () => {
  assert.deepEqual(judge(configOf('integrations: { own: { enabled: false, modulePath: /nowhere, config: { a: 1 } } }')).registry.instances, []);
});

test('the shipped modules are whole, and the example is a rule that fills the event queue', () => {
  assert.deepEqual(shipped().map((module) => module.moduleId), ['azure', 'example']);
  for (const module of shipped()) assert.match(module.moduleDescription, /^[A-Z].*\.$/);
  const t = template('integrations: { example: { config: { sources: [my.app] } } }');
  t.hasResourceProperties('AWS::Events::Rule', { Name: 'example-events-dev', EventPattern: { source: ['my.app'] } });
  const statements = ofType(t, 'AWS::SQS::QueuePolicy').flatMap(([, policy]) => policy.Properties.PolicyDocument.Statement as { Sid?: string; Condition?: object; Action: unknown }[]);
  const send = statements.find((statement) => statement.Sid === 'EventsOfExample');
  assert.match(JSON.stringify(send?.Condition), /ArnEquals.*rule\/example-events-dev.*aws:SourceAccount/);
  t.hasOutput('ExampleRuleName', { Value: 'example-events-dev' });
  assert.ok(functionNamed(t, 'event-transformer-dev').Properties.Layers);
});

test('an empty registry makes nothing', () => {
  const { stack } = stackOf(configOf());
  new ModuleRegistry().create(stack, () => assert.fail(), () => assert.fail());
  assert.ok(loadModule(join(__dirname, '../../modules/azure')));
});
