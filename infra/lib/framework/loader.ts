// Finds a module's code and makes an object of it.
import { existsSync, statSync } from 'node:fs';
import { dirname, basename, isAbsolute, join, resolve } from 'node:path';
import type { IIntegrationModule } from './integration-module';

/** The project's own folder. */
export const ROOT = resolve(__dirname, '../../..');

/** Why a module cannot be had. */
export class ModuleError extends Error {}

const MEMBERS = ['validateConfig', 'createResources', 'getRequiredPermissions', 'getHealthCheckConfig', 'getModuleOutputs', 'cleanup'];
const WORDS = ['moduleId', 'moduleName', 'moduleVersion', 'moduleDescription'];

/** The folder of an instance's module: `modulePath` from the configuration's folder or the project's, else modules/ID. */
export function moduleFolder(id: string, modulePath: string | undefined, from: string): string {
  const wanted = modulePath ?? join('modules', id);
  const places = isAbsolute(wanted) ? [wanted] : [...(modulePath === undefined ? [] : [resolve(from, wanted)]), resolve(ROOT, wanted)];
  const found = places.find((place) => existsSync(place) && statSync(place).isDirectory());
  if (!found) {
    const hint = modulePath === undefined ? '; name the module\'s folder by modulePath' : '';
    throw new ModuleError(`no folder ${places.join(' or ')}${hint}`);
  }
  // The folder of the infrastructure may be named in place of the module's.
  return basename(found) === 'infra' && !existsSync(join(found, 'infra')) ? dirname(found) : found;
}

function entry(folder: string): string {
  const candidates = ['infra/index.ts', 'infra/index.js', 'index.ts', 'index.js'].map((name) => join(folder, name));
  const found = candidates.find(existsSync);
  if (!found) throw new ModuleError(`${folder} holds no infra/index.ts`);
  return found;
}

type Constructor = new (folder: string) => IIntegrationModule;

function missing(module: IIntegrationModule): string[] {
  const members = module as unknown as Record<string, unknown>;
  return [...MEMBERS.filter((name) => typeof members[name] !== 'function'), ...WORDS.filter((name) => typeof members[name] !== 'string')];
}

/** Loads the module of a folder: the default export of its infra/index.ts, a class. */
export function loadModule(folder: string): IIntegrationModule {
  const file = entry(folder);
  let loaded: { default?: unknown };
  try {
    loaded = require(file) as { default?: unknown };
  } catch (error) {
    throw new ModuleError(`${file} cannot be loaded: ${(error as Error).message}`);
  }
  if (typeof loaded.default !== 'function') {
    throw new ModuleError(`${file} has no class as its default export: expected one that implements IIntegrationModule`);
  }
  const module = new (loaded.default as Constructor)(folder);
  const lacks = missing(module);
  if (lacks.length > 0) throw new ModuleError(`${file} is no IIntegrationModule: it lacks ${lacks.join(', ')}`);
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(module.moduleId)) {
    throw new ModuleError(`${file}: moduleId ${JSON.stringify(module.moduleId)}: expected lower case letters, digits and -`);
  }
  if (!/^\d+\.\d+\.\d+$/.test(module.moduleVersion)) {
    throw new ModuleError(`${file}: moduleVersion ${JSON.stringify(module.moduleVersion)}: expected MAJOR.MINOR.PATCH`);
  }
  return module;
}
