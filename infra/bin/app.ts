import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { addStack } from '../lib/app';
import { ConfigError } from '../lib/config/judge';
import { type Loaded, load } from '../lib/config/load';
import type { CoreStack } from '../lib/core/core-stack';
import { MappingsError } from '../lib/framework/mappings';
import { IntegrationError } from '../lib/framework/registry';

const app = new App();
let loaded: Loaded | undefined;
let stack: CoreStack | undefined;
try {
  loaded = load(String(app.node.tryGetContext('configFile') ?? 'config.yaml'));
  stack = addStack(app, loaded);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
} catch (error) {
  // Whoever writes a module wants to see where it failed; a fault of the configuration is told in words alone.
  const cause = error instanceof IntegrationError ? error.cause : error;
  if (!(cause instanceof ConfigError || cause instanceof MappingsError || error instanceof IntegrationError)) throw error;
  console.error((error as Error).message);
  if (error instanceof IntegrationError && !(cause instanceof ConfigError) && cause instanceof Error) console.error(cause.stack);
  process.exitCode = 1;
} finally {
  for (const failed of loaded?.registry.cleanup() ?? []) {
    console.error(failed.message);
    process.exitCode = 1;
  }
  stack?.mappings?.remove();
}
