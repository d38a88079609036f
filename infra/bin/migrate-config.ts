import { stringify } from 'yaml';
import { ConfigError } from '../lib/config/judge';
import { judge, read } from '../lib/config/load';
import { migrate } from '../lib/config/migrate';

const file = process.argv[2] ?? 'config.yaml';
try {
  const { config, notes } = migrate(read(file));
  process.stdout.write(stringify(config, { lineWidth: 120 }));
  for (const note of notes) console.error(note);
  // What is still wrong is told beside it: the new shape is judged as any other.
  judge(config);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(`still to do:\n${error.message}`);
  process.exitCode = 1;
}
