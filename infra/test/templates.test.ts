import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Validations } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import { CfnTopic } from 'aws-cdk-lib/aws-sns';
import { AwsSolutionsChecks } from 'cdk-nag';
import { EVERYTHING, MINIMAL, configOf, stackOf } from './support';

const CONFIGURATIONS = { minimal: MINIMAL, everything: EVERYTHING };

for (const [name, yaml] of Object.entries(CONFIGURATIONS)) {
  test(`snapshot: ${name}`, () => {
    const file = join(__dirname, 'snapshots', `${name}.template.json`);
    // Names of assets are digests of what they hold: a changed map is no change of the template.
    const found = JSON.stringify(Template.fromStack(stackOf(configOf(yaml)).stack).toJSON(), null, 1)
      .replaceAll(/[0-9a-f]{64}/g, 'DIGEST').replaceAll(/Mapping files [0-9a-f]{12}/g, 'Mapping files DIGEST').replaceAll(/Mappings[0-9A-F]{8}/g, 'Mappings') + '\n';
    if (process.env.TRIBUTARY_WRITE_SNAPSHOTS === '1') writeFileSync(file, found);
    assert.equal(found, readFileSync(file, 'utf8'), 'the template changed: look at the difference, then npm run snapshots');
  });

  test(`cdk-nag: ${name} is clean`, () => {
    assert.deepEqual(findings(yaml, () => {}), []);
  });
}

/** Rules of AwsSolutions that a configuration's stack breaks, with what `plant` adds to it. */
function findings(yaml: string, plant: (stack: ReturnType<typeof stackOf>['stack']) => void): string[] {
  const { app, stack } = stackOf(configOf(yaml));
  plant(stack);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  const before = process.exitCode;
  try {
    app.synth();
    assert.equal(process.exitCode, before, 'a failed synthesis throws');
    return [];
  } catch (error) {
    const [, file] = /can be found in: (\S+)/.exec((error as Error).message) ?? [];
    if (file === undefined) throw error;
    return [...readFileSync(file, 'utf8').matchAll(/AwsSolutions-[A-Z0-9]+(\[[^\]"]*\])?/g)].map(([rule]) => rule);
  } finally {
    process.exitCode = before;
  }
}

test('cdk-nag sees what is planted: a bare topic, and one wildcard more in a role', () => {
  assert.match(findings(MINIMAL, (stack) => new CfnTopic(stack, 'Bare')).join(), /SNS3/);
  const wider = findings(MINIMAL, (stack) => {
    const role = stack.node.findChild('EventTransformer').node.findChild('Role') as iam.Role;
    role.addToPolicy(new iam.PolicyStatement({ actions: ['s3:GetObject'], resources: ['*'] }));
  });
  assert.match(wider.join(), /IAM5\[Resource::\*\]/);
});
