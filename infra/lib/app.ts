// The app, from a configuration.
import { App } from 'aws-cdk-lib';
import { CoreStack } from './core-stack';
import type { Config } from './schema';

/** Adds the stack of a configuration to an app. */
export function addStack(app: App, config: Config): CoreStack {
  const env = { region: config.awsRegion, ...(config.accountId ? { account: config.accountId } : {}) };
  return new CoreStack(app, `${config.projectName}-${config.environment}`, config, { env });
}
