import { ConfigError, load } from '../lib/config';

const file = process.argv[2] ?? 'config.yaml';
try {
  load(file);
  console.log(`${file}: valid`);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
