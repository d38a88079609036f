// The app, from a configuration.
import { type App, Annotations } from 'aws-cdk-lib';
import type { Loaded } from './config/load';
import { CoreStack } from './core/core-stack';

/** Adds the stack of a configuration to an app. */
export function addStack(app: App, loaded: Loaded): CoreStack {
  const { config } = loaded;
  const env = { region: config.awsRegion, ...(config.accountId ? { account: config.accountId } : {}) };
  const stack = new CoreStack(app, `${config.projectName}-${config.environment}`, loaded, {
    env, description: 'Tributary: security telemetry of other clouds into Amazon Security Lake',
    terminationProtection: config.environment === 'prod',
  });
  for (const warning of loaded.warnings) Annotations.of(stack).addInfo(warning);
  return stack;
}
