import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { page } from '../lib/page';

writeFileSync(join(__dirname, '../../docs/CONFIGURATION.md'), page());
