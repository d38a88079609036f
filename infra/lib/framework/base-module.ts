// What most modules share: keys judged by a schema, and nothing to say where there is nothing.
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import type { Construct } from 'constructs';
import type { z } from 'zod';
import { judged } from '../config/judge';
import type {
  CoreResources, HealthCheckConfig, IIntegrationModule, ModuleOutput, RequiredPermission, ValidationResult,
} from './integration-module';

export abstract class BaseIntegrationModule<S extends z.ZodType> implements IIntegrationModule {
  abstract readonly moduleId: string;
  abstract readonly moduleName: string;
  abstract readonly moduleVersion: string;
  abstract readonly moduleDescription: string;
  abstract readonly configSchema: S;

  /** @param folder the module's own, where `mappings/` may lie */
  constructor(protected readonly folder: string) {}

  get mappingsFolder(): string | undefined {
    const folder = join(this.folder, 'mappings');
    return existsSync(folder) ? folder : undefined;
  }

  validateConfig(config: unknown): ValidationResult {
    const result = judged(this.configSchema, config);
    const errors = 'faults' in result ? result.faults : this.between(result.value);
    return { valid: errors.length === 0, errors };
  }

  /** Rules between keys that are right by themselves. */
  protected between(_config: z.output<S>): string[] {
    return [];
  }

  createResources(scope: Construct, core: CoreResources, config: unknown): void {
    this.create(scope, core, this.configSchema.parse(config) as z.output<S>);
  }

  /** Makes the resources, of a configuration that is right and whole. */
  protected abstract create(scope: Construct, core: CoreResources, config: z.output<S>): void;

  abstract getRequiredPermissions(): RequiredPermission[];

  getHealthCheckConfig(): HealthCheckConfig | undefined {
    return undefined;
  }

  getModuleOutputs(): Record<string, ModuleOutput> {
    return {};
  }

  cleanup(): void {}
}
