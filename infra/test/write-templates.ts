// Writes the templates of the two configurations that the tests judge, for cfn-lint.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import { EVERYTHING, MINIMAL, configOf, stackOf } from './support';

const [folder = '.'] = process.argv.slice(2);
for (const [name, yaml] of Object.entries({ minimal: MINIMAL, everything: EVERYTHING })) {
  const { stack } = stackOf(configOf(yaml));
  writeFileSync(join(folder, `${name}.template.json`), JSON.stringify(Template.fromStack(stack).toJSON()));
}
