// Reads config.yaml and judges it, the integrations' own keys included.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { ModuleRegistry } from '../framework/registry';
import { ConfigError, judged } from './judge';
import { isOlder } from './migrate';
import { between } from './rules';
import { type Config, schema } from './schema';

/** A configuration that is right, and the modules of its integrations. */
export interface Loaded {
  readonly config: Config;
  readonly registry: ModuleRegistry;
  /** Where relative paths of the configuration begin. */
  readonly folder: string;
  /** What is no fault and ought to be known. */
  readonly warnings: string[];
}

/** A file's content. */
export function read(file: string): unknown {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch {
    throw new ConfigError(`${file}: cannot be read; name the configuration by -c configFile=PATH`);
  }
  try {
    return parse(content, { maxAliasCount: 10 });
  } catch (error) {
    throw new ConfigError(`${file}: not YAML: ${(error as Error).message}`);
  }
}

/**
 * Judges a configuration that was read, fills its defaults in, and loads its modules.
 *
 * @param folder where relative paths of it begin
 */
export function judge(input: unknown, folder = process.cwd()): Loaded {
  if (isOlder(input)) {
    throw new ConfigError('the configuration has the older shape (azureIntegration, lambdaFunctions): '
      + '`npm run migrate-config -- FILE` prints it in the new one');
  }
  const result = judged(schema, input);
  // What is within the integrations is told beside the rest, as far as it can be read.
  if ('faults' in result) throw new ConfigError(result.faults.join('\n'));
  const config = result.value;
  const faults = between(config);
  const registry = new ModuleRegistry();
  const warnings: string[] = [];
  for (const [id, integration] of Object.entries(config.integrations)) {
    if (!integration.enabled) continue;
    const found = registry.add(id, integration, folder);
    faults.push(...found.errors);
    warnings.push(...found.warnings);
  }
  if (faults.length > 0) throw new ConfigError(faults.join('\n'));
  return { config, registry, folder, warnings };
}

/** Reads and judges a file. */
export function load(file: string): Loaded {
  return judge(read(file), dirname(resolve(file)));
}
