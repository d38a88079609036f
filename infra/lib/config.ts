// Reads config.yaml and judges it by the schema.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Config, schema } from './schema';

/** Every fault of a configuration, one a line: key, what is wrong, what was meant. */
export class ConfigError extends Error {}

type Node = { def: { type: string; innerType?: Node }; shape?: Record<string, Node> };

/** What lies within defaults and optionals. */
export function unwrapped(node: Node): Node {
  return node.def.innerType ? unwrapped(node.def.innerType) : node;
}

function keysAt(path: PropertyKey[]): string[] {
  let node = unwrapped(schema as unknown as Node);
  for (const part of path) {
    const next = node.shape?.[String(part)];
    if (!next) return [];
    node = unwrapped(next);
  }
  return Object.keys(node.shape ?? {});
}

/** Edits between two words (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, swap));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function suggestion(key: string, known: string[]): string {
  const near = known.map((k) => ({ k, d: distance(key.toLowerCase(), k.toLowerCase()) })).sort((a, b) => a.d - b.d)[0];
  return near && near.d <= Math.max(2, key.length / 3) ? `: did you mean ${near.k}?` : `; known here: ${known.join(', ')}`;
}

function lines(issue: z.core.$ZodIssue): string[] {
  if (issue.code !== 'unrecognized_keys') return [`${issue.path.join('.') || 'configuration'}: ${issue.message}`];
  return issue.keys.map((key) => `${[...issue.path, key].join('.')}: unknown key${suggestion(key, keysAt(issue.path))}`);
}

/** Judges a configuration that was read, and fills its defaults in. */
export function judge(input: unknown): Config {
  const result = schema.safeParse(input ?? {});
  if (!result.success) throw new ConfigError(result.error.issues.flatMap(lines).join('\n'));
  return result.data;
}

/** Reads and judges a file. */
export function load(file: string): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new ConfigError(`${file}: cannot be read; name the configuration by -c configFile=PATH`);
  }
  let input: unknown;
  try {
    input = parse(text, { maxAliasCount: 10 });
  } catch (error) {
    throw new ConfigError(`${file}: not YAML: ${(error as Error).message}`);
  }
  return judge(input);
}
