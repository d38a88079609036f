// The modules of a deployment, each called in its turn; whatever fails names the instance and its module.
import { Annotations, CfnOutput } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import type { Config } from '../config/schema';
import { undeclared } from './declared';
import type { CoreResources, HealthAlarm, IIntegrationModule } from './integration-module';
import { loadModule, moduleFolder } from './loader';

/** One entry under `integrations`. */
export interface Instance {
  readonly id: string;
  readonly module: IIntegrationModule;
  readonly folder: string;
  readonly config: unknown;
}

/** A failure of a module, with its name. */
export class IntegrationError extends Error {
  constructor(instance: { id: string; module?: IIntegrationModule }, doing: string, cause: unknown) {
    const of = instance.module ? ` (module ${instance.module.moduleId} ${instance.module.moduleVersion})` : '';
    const said = cause instanceof Error ? cause.message : String(cause);
    super(`integrations.${instance.id}${of}: ${doing}: ${said}`, { cause });
  }
}

/** `azure-eu` as a part of logical ids: `AzureEu`. */
export const pascal = (id: string) => id.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');

export class ModuleRegistry {
  readonly instances: Instance[] = [];

  /** Loads an instance's module and lets it judge its configuration. Faults come back by their whole keys. */
  add(id: string, integration: Config['integrations'][string], from: string): { errors: string[]; warnings: string[] } {
    const at = `integrations.${id}`;
    let module: IIntegrationModule;
    let folder: string;
    try {
      folder = moduleFolder(id, integration.modulePath, from);
      module = loadModule(folder);
    } catch (error) {
      return { errors: [new IntegrationError({ id }, 'its module cannot be had', error).message], warnings: [] };
    }
    const instance = { id, module, folder, config: integration.config };
    this.instances.push(instance);
    let judged;
    try {
      judged = module.validateConfig(integration.config);
    } catch (error) {
      return { errors: [new IntegrationError(instance, 'validateConfig failed', error).message], warnings: [] };
    }
    const errors = (judged.errors ?? []).map((fault) => `${at}.config.${fault}`);
    if (!judged.valid && errors.length === 0) errors.push(`${at}.config: module ${module.moduleId} refuses it without saying why`);
    return { errors, warnings: (judged.warnings ?? []).map((warning) => `${at}.config.${warning}`) };
  }

  /** Makes everything of every instance. */
  create(scope: Construct, coreOf: (instance: Instance) => CoreResources, alarm: (scope: Construct, alarm: HealthAlarm) => void): void {
    for (const instance of this.instances) {
      const { module } = instance;
      const inside = new Construct(scope, `Integration${pascal(instance.id)}`);
      const step = <T>(doing: string, work: () => T): T => {
        try {
          return work();
        } catch (error) {
          throw new IntegrationError(instance, `${doing} failed`, error);
        }
      };
      step('createResources', () => module.createResources(inside, coreOf(instance), instance.config));
      const required = step('getRequiredPermissions', () => module.getRequiredPermissions());
      const beyond = undeclared(inside, new Set(required.map((permission) => permission.operation)));
      if (beyond.length > 0) {
        throw new IntegrationError(instance, 'a role may call what getRequiredPermissions does not declare', beyond.join(', '));
      }
      const health = step('getHealthCheckConfig', () => module.getHealthCheckConfig());
      for (const one of health?.alarms ?? []) step(`alarm ${one.name}`, () => alarm(inside, one));
      const outputs = step('getModuleOutputs', () => module.getModuleOutputs());
      // The first instance of a module has the outputs' own names, which scripts look for.
      const prefix = instance.id === module.moduleId ? '' : pascal(instance.id);
      for (const [name, output] of Object.entries(outputs)) {
        step(`output ${name}`, () => new CfnOutput(inside, name, output).overrideLogicalId(`${prefix}${name}`));
      }
      if (!module.getHealthCheckConfig()) {
        Annotations.of(inside).addInfo(`integrations.${instance.id}: module ${module.moduleId} has no alarms of its own`);
      }
    }
  }

  /** Lets every module remove what it made on this machine; one that fails keeps no other from it. */
  cleanup(): IntegrationError[] {
    return this.instances.flatMap((instance) => {
      try {
        instance.module.cleanup();
        return [];
      } catch (error) {
        return [new IntegrationError(instance, 'cleanup failed', error)];
      }
    });
  }
}
