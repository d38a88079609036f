// The modules that the project brings.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { IIntegrationModule } from './framework/integration-module';
import { ROOT, loadModule } from './framework/loader';

/** One object of each, in the order of their names. */
export function shipped(): IIntegrationModule[] {
  const folder = join(ROOT, 'modules');
  return readdirSync(folder).sort().filter((name) => existsSync(join(folder, name, 'infra/index.ts'))).map((name) => loadModule(join(folder, name)));
}
