// What is wrong with a configuration: every fault at once, each with its key, and what was meant by one that is not known.
import { z } from 'zod';

/** Every fault of a configuration, one a line. */
export class ConfigError extends Error {}

type Node = { def: { type: string; innerType?: Node; valueType?: Node }; shape?: Record<string, Node> };

/** What lies within defaults and optionals. */
function unwrapped(node: Node): Node {
  return node.def.innerType ? unwrapped(node.def.innerType) : node;
}

function keysAt(schema: z.ZodType, path: PropertyKey[]): string[] {
  let node = unwrapped(schema as unknown as Node);
  for (const part of path) {
    const next = node.shape?.[String(part)] ?? node.def.valueType;
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

/** What may have been meant by a word, of those that are known. */
export function suggestion(word: string, known: string[]): string {
  const near = known.map((k) => ({ k, d: distance(word.toLowerCase(), k.toLowerCase()) })).sort((a, b) => a.d - b.d)[0];
  return near && near.d <= Math.max(2, word.length / 3) ? `: did you mean ${near.k}?` : `; known here: ${known.join(', ')}`;
}

function lines(schema: z.ZodType, issue: z.core.$ZodIssue, at: string): string[] {
  const name = (path: PropertyKey[]) => [...(at ? [at] : []), ...path].join('.') || 'configuration';
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((word) => `${name([...issue.path, word])}: unknown key${suggestion(word, keysAt(schema, issue.path))}`);
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map((inner) => `${name(issue.path)}: ${inner.message}`);
  }
  return [`${name(issue.path)}: ${issue.message}`];
}

/** What a schema makes of an input, or every fault of it. `at` is where the input stands in the configuration. */
export function judged<T extends z.ZodType>(schema: T, input: unknown, at = ''): { value: z.output<T> } | { faults: string[] } {
  const result = schema.safeParse(input ?? {});
  return result.success ? { value: result.data } : { faults: result.error.issues.flatMap((issue) => lines(schema, issue, at)) };
}
