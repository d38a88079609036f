// The functions' program: one zip an architecture, made by `make package`.
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Construct } from 'constructs';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { ConfigError } from '../config/judge';
import { ROOT } from './loader';

/** Context that names another package than dist/functions-ARCHITECTURE.zip, for every architecture. */
export const PACKAGE_CONTEXT = 'functionPackage';

/** The first entry's name of a zip, or undefined where it is none. */
function firstEntry(file: string): string | undefined {
  const head = Buffer.alloc(30 + 255);
  const descriptor = openSync(file, 'r');
  const length = readSync(descriptor, head, 0, head.length, 0);
  closeSync(descriptor);
  if (length < 30 || head.readUInt32LE(0) !== 0x04034b50) return undefined;
  return head.toString('utf8', 30, 30 + head.readUInt16LE(26));
}

/** The package of an architecture. */
export function functionPackage(scope: Construct, architecture: 'x86_64' | 'arm64'): lambda.Code {
  const named = scope.node.tryGetContext(PACKAGE_CONTEXT) as string | undefined;
  const file = named === undefined ? join(ROOT, 'dist', `functions-${architecture}.zip`) : resolve(named);
  if (!existsSync(file)) {
    throw new ConfigError(named === undefined
      ? `dist/functions-${architecture}.zip is not there: make it by \`make package ARCHITECTURES=${architecture}\` in the project's folder, `
        + 'or name another one by -c functionPackage=FILE'
      : `${file} is not there: -c functionPackage names the functions' package`);
  }
  if (firstEntry(file) !== 'bootstrap') {
    throw new ConfigError(`${relative(process.cwd(), file)} is not a package of the functions: expected a zip with one file, bootstrap`);
  }
  return lambda.Code.fromAsset(file);
}
