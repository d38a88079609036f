// Mapping files in place of the built-in ones: one whole set, deployed beside the functions, and pinned by its digest.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { parse, stringify } from 'yaml';

/** Where a layer's content lies for a function. */
export const LAYER_FOLDER = 'mappings';
const MOUNTED = `/opt/${LAYER_FOLDER}`;

/** What the functions read at most (docs/MAPPING-LANGUAGE.md): a larger set would be refused there. */
const MAX_FILES = 1000;
const MAX_FILE_BYTES = 1 << 20;
const MAX_BYTES = 8 << 20;

/** Files by their path in the set. */
export type MappingFiles = ReadonlyMap<string, string>;

/** Why a set cannot be deployed. */
export class MappingsError extends Error {}

/** Every `*.yaml` of a folder; cases and hidden files do not count. */
export function readMappings(folder: string): MappingFiles {
  const files = new Map<string, string>();
  const walk = (at: string, below: string) => {
    for (const entry of readdirSync(at, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = below ? `${below}/${entry.name}` : entry.name;
      if (entry.name.startsWith('.') || entry.name.endsWith('.cases')) continue;
      if (entry.isDirectory()) walk(join(at, entry.name), path);
      else if (entry.isFile() && entry.name.endsWith('.yaml')) {
        if (statSync(join(at, entry.name)).size > MAX_FILE_BYTES) throw new MappingsError(`${path} has more than ${MAX_FILE_BYTES} bytes`);
        files.set(path, readFileSync(join(at, entry.name), 'utf8'));
      }
    }
  };
  try {
    walk(folder, '');
  } catch (error) {
    throw new MappingsError(`mapping files of ${folder}: ${(error as Error).message}`);
  }
  if (files.size === 0) throw new MappingsError(`${folder} holds no *.yaml file`);
  return files;
}

/** What `tributary mappings check --digest` prints: SHA-256 over paths and contents, in the paths' order. */
export function digest(files: MappingFiles): string {
  const hash = createHash('sha256');
  const bytes = (word: string) => Buffer.byteLength(word);
  for (const [path, content] of [...files].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
    hash.update(`${bytes(path)}:${bytes(content)}:`).update(path).update(content);
  }
  return hash.digest('hex');
}

/** One set of several modules' files. `module.yaml` says what holds for all records, so those of two modules are joined list by list. */
export function joined(sets: { name: string; files: MappingFiles }[]): MappingFiles {
  const all = new Map<string, string>();
  const from = new Map<string, string>();
  for (const { name, files } of sets) {
    for (const [path, content] of files) {
      const known = all.get(path);
      if (known === undefined || known === content) {
        all.set(path, content);
        from.set(path, name);
      } else if (path === 'module.yaml') {
        all.set(path, bothRules(known, content));
      } else {
        throw new MappingsError(`${path} is a file of ${from.get(path)} and of ${name}: rename one, and its kind`);
      }
    }
  }
  return all;
}

type Rules = Record<string, unknown[]>;

/** Two texts of `module.yaml` as one: every list has what either has. */
function bothRules(first: string, second: string): string {
  const rules = (parse(first) ?? {}) as Rules;
  for (const [word, list] of Object.entries((parse(second) ?? {}) as Rules)) {
    const known = new Set((rules[word] ?? []).map((item) => JSON.stringify(item)));
    rules[word] = [...(rules[word] ?? []), ...list.filter((item) => !known.has(JSON.stringify(item)))];
  }
  return stringify(rules);
}

/** The command that checks a set: TRIBUTARY_BIN, else `tributary` of the PATH. */
const command = () => process.env.TRIBUTARY_BIN || 'tributary';

/** A set on this machine, checked as far as it can be here. */
export class MappingSet {
  readonly digest: string;
  readonly variables: { MAPPINGS_URI: string; MAPPINGS_DIGEST: string };
  /** Whether the product's own command passed it. Where it is not installed the functions check it, and keep the built-in set. */
  readonly checked: boolean;
  private readonly folder: string;

  constructor(readonly files: MappingFiles, wanted?: string) {
    const bytes = [...files.values()].reduce((sum, content) => sum + Buffer.byteLength(content), 0);
    if (files.size > MAX_FILES || bytes > MAX_BYTES) {
      throw new MappingsError(`${files.size} mapping files of ${bytes} bytes: the functions read ${MAX_FILES} and ${MAX_BYTES} bytes at most`);
    }
    this.digest = digest(files);
    if (wanted !== undefined && wanted !== this.digest) {
      throw new MappingsError(`mappings.digest: the files' digest is ${this.digest}: put the approved files there, or approve these`);
    }
    this.folder = mkdtempSync(join(tmpdir(), 'tributary-mappings-'));
    for (const [path, content] of files) {
      const file = join(this.folder, LAYER_FOLDER, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      // A function is not who deploys: whatever this machine's umask is, it may read them.
      chmodSync(file, 0o644);
      for (let folder = dirname(file); folder !== this.folder; folder = dirname(folder)) chmodSync(folder, 0o755);
    }
    this.variables = { MAPPINGS_URI: MOUNTED, MAPPINGS_DIGEST: this.digest };
    this.checked = this.check();
  }

  /** The layer's content. */
  get layerFolder(): string {
    return this.folder;
  }

  private check(): boolean {
    const result = spawnSync(command(), ['mappings', 'check', '--dir', join(this.folder, LAYER_FOLDER), '--digest'], { encoding: 'utf8' });
    if (result.error) return false;
    if (result.status !== 0) {
      this.remove();
      throw new MappingsError(`the mapping files do not pass:\n${result.stderr || result.stdout}`);
    }
    const printed = result.stdout.trim().split(/\s+/).at(-1);
    if (printed !== this.digest) {
      this.remove();
      throw new MappingsError(`${command()} reckons the digest ${printed}, this stack ${this.digest}: are they of one version?`);
    }
    return true;
  }

  /** Removes the copy on this machine. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
