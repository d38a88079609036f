import { ConfigError } from '../lib/config/judge';
import { load } from '../lib/config/load';

const file = process.argv[2] ?? 'config.yaml';
try {
  const { warnings, registry } = load(file);
  for (const warning of warnings) console.error(`warning: ${warning}`);
  registry.cleanup();
  console.log(`${file}: valid`);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
