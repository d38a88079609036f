// docs/CONFIGURATION.md, from the schema.
import { z } from 'zod';
import { schema } from './schema';

type Json = {
  type?: string; description?: string; default?: unknown; enum?: string[]; pattern?: string;
  minimum?: number; maximum?: number; properties?: Record<string, Json>;
};

function rule(node: Json): string {
  if (node.enum) return node.enum.join(', ');
  if (node.pattern) return `\`${node.pattern.replaceAll('|', '\\|')}\``;
  if (node.minimum !== undefined) return `${node.minimum} to ${node.maximum}`;
  return node.type ?? '';
}

function rows(node: Json, path: string): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const at = path ? `${path}.${key}` : key;
    if (child.properties) return rows(child, at);
    const initial = child.default === undefined ? '' : `\`${JSON.stringify(child.default)}\``;
    return [`| \`${at}\` | ${initial} | ${rule(child)} | ${child.description ?? ''} |`];
  });
}

/** The page's text. */
export function page(): string {
  const json = z.toJSONSchema(schema, { io: 'input' }) as Json;
  return ['# Configuration', '',
    'Generated from `infra/lib/schema.ts` by `npm run configuration-page` in `infra/`. Unknown keys are errors.',
    '`npm run validate-config -- FILE` judges a file.', '',
    '| key | default | rule | |', '|---|---|---|---|', ...rows(json, ''), ''].join('\n');
}
