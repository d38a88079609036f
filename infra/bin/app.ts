import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { addStack } from '../lib/app';
import { ConfigError, load } from '../lib/config';

const app = new App();
try {
  addStack(app, load(String(app.node.tryGetContext('configFile') ?? 'config.yaml')));
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
