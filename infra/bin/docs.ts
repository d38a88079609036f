import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { page } from '../lib/config/page';
import { shipped } from '../lib/shipped';

writeFileSync(join(__dirname, '../../docs/CONFIGURATION.md'), page(shipped()));
