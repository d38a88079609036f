// docs/CONFIGURATION.md, from the schemas.
import { z } from 'zod';
import type { IIntegrationModule } from '../framework/integration-module';
import { schema } from './schema';

type Json = {
  type?: string; description?: string; default?: unknown; enum?: unknown[]; rule?: string; minimum?: number; maximum?: number;
  properties?: Record<string, Json>; additionalProperties?: Json | boolean;
};

function rule(node: Json): string {
  if (node.rule) return node.rule;
  if (node.enum) return node.enum.join(', ');
  if (node.minimum !== undefined) return `${node.minimum} to ${node.maximum}`;
  return { boolean: 'true, false', string: 'text', array: 'list', object: 'keys' }[node.type ?? ''] ?? '';
}

/** A pattern's words, which the page's reader wants in place of the pattern. */
function inWords(override: { zodSchema: z.core.$ZodTypes; jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  const checks = (override.zodSchema as { _zod: { def: { checks?: { _zod: { def: { error?: (issue: unknown) => unknown } } }[] } } })._zod.def.checks;
  const said = checks?.map((check) => check._zod.def.error?.({})).find((word) => typeof word === 'string');
  const json = override.jsonSchema as Json;
  if (typeof said === 'string' && json.type === 'string') json.rule ??= said.replace(/^expected /, '');
}

function rows(node: Json, path: string): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const at = path ? `${path}.${name}` : name;
    const instances = typeof child.additionalProperties === 'object' && child.additionalProperties.properties ? child.additionalProperties : undefined;
    if (instances) return rows(instances, `${at}.<id>`);
    if (child.properties) return [...(child.description ? [row(at, child)] : []), ...rows(child, at)];
    return [row(at, child)];
  });
}

function row(at: string, node: Json): string {
  const cell = (words: string) => words.replaceAll('|', '\\|');
  const initial = node.default === undefined || node.properties ? '' : `\`${cell(JSON.stringify(node.default))}\``;
  return `| \`${at}\` | ${initial} | ${cell(rule(node))} | ${cell(node.description ?? '')} |`;
}

function table(of: z.ZodType, at: string): string[] {
  const json = z.toJSONSchema(of, { io: 'input', override: inWords, unrepresentable: 'any' }) as Json;
  return ['| key | default | rule | |', '|---|---|---|---|', ...rows(json, at)];
}

/** The page's text, with the keys of these modules. */
export function page(modules: IIntegrationModule[]): string {
  const of = modules.flatMap((module) => {
    const keys = module.configSchema;
    if (!keys) return [];
    return ['', `## ${module.moduleName}: \`integrations.<id>.config\``, '',
      `${module.moduleDescription} Module \`${module.moduleId}\`, version ${module.moduleVersion}.`, '', ...table(keys, '')];
  });
  return [
    '# Configuration', '',
    'Generated from the schemas of `infra/` and `modules/*/infra` by `npm run docs` in `infra/`. Unknown keys are errors. Read by',
    '`npx cdk synth -c configFile=FILE` (`config.yaml` without it); `npm run validate-config -- FILE` judges a file, `npm run',
    'migrate-config -- FILE` prints one of the older shape in this one. `<id>` names an *instance* of a module: two hubs, regions or',
    'tenants are two entries with the same `modulePath` and names of their own.', '',
    ...table(schema, ''), ...of, '',
  ].join('\n');
}
