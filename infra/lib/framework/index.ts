// What a module imports: `@tributary/infra`.
export { judged, suggestion } from '../config/judge';
export { functionKeys, key, queueKeys, resourceName, section, text, whole } from '../config/keys';
export type { Config } from '../config/schema';
export { BaseIntegrationModule } from './base-module';
export { TributaryFunction } from './function';
export { failing, scheduled } from './health';
export type {
  CoreResources, HealthAlarm, HealthCheckConfig, IIntegrationModule, ModuleOutput, RequiredPermission, ValidationResult,
} from './integration-module';
export { metric } from './metrics';
export { acknowledge } from './nag';
export { type Target, type Targets, required } from './permissions';
