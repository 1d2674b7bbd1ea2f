/**
 * Configuration reader shared by all programs: defaults < TOML file < environment < flags, checked by a zod schema.
 *
 * Every problem is listed at once with its key, what was expected and what was found. Unknown keys are refused (the
 * schemas are strict objects). Secrets are given as names of files; their values never stand in a configuration.
 */
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';

import { parse as parseToml } from 'smol-toml';
import type { z } from 'zod';

import { SwapError } from './errors.js';
import { plainWords } from './zodWords.js';

/** Nested plain values as they come out of TOML. */
export type ConfigTree = { [key: string]: unknown };

/** Where the values come from, weakest first. */
export type ConfigSources<S extends z.ZodType> = {
  readonly schema: S;
  /** E.g. `SWAPD`: the variable `SWAPD_GRPC__LISTEN` sets `grpc.listen`. */
  readonly envPrefix: string;
  /** TOML file, if one was named. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Values of command line flags. */
  readonly overrides?: ConfigTree | undefined;
};

/**
 * Reads, merges and checks a configuration.
 *
 * @throws SwapError `bad_config` whose message has one line per problem.
 */
export function loadConfig<S extends z.ZodType>(sources: ConfigSources<S>): z.output<S> {
  const fromFile = sources.file === undefined ? {} : readTomlFile(sources.file);
  const fromEnv = envTree(sources.envPrefix, sources.env);
  const parsed = (env: ConfigTree) =>
    sources.schema.safeParse(merge(merge(fromFile, env), sources.overrides ?? {}), {
      reportInput: true,
      error: plainWords,
    });
  let result = parsed(fromEnv.coerced);
  if (!result.success && fromEnv.isCoerced) {
    const asText = parsed(fromEnv.text); // e.g. a name made of digits only
    if (asText.success) result = asText;
  }
  if (result.success) return result.data;
  const problems = result.error.issues.map(describeIssue);
  throw new SwapError('bad_config', `configuration refused:\n${problems.map((line) => `  ${line}`).join('\n')}`);
}

function readTomlFile(path: string): ConfigTree {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new SwapError('bad_config', `configuration file ${path}: expected a readable file, found ${codeOf(cause)}`, {
      cause,
    });
  }
  try {
    return parseToml(text, { integersAsBigInt: 'asNeeded' });
  } catch (cause) {
    const [line] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new SwapError('bad_config', `configuration file ${path}: expected TOML, found: ${line ?? ''}`, { cause });
  }
}

/** The system's code of an error, or its words. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function envTree(
  prefix: string,
  env: ConfigSources<z.ZodType>['env'],
): { coerced: ConfigTree; text: ConfigTree; isCoerced: boolean } {
  const coerced: ConfigTree = {};
  const text: ConfigTree = {};
  let isCoerced = false;
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || !name.startsWith(`${prefix}_`) || !name.includes('__')) continue;
    const path = name
      .slice(prefix.length + 1)
      .toLowerCase()
      .split('__');
    const plain = plainValue(value);
    if (typeof plain !== 'string') isCoerced = true;
    setAt(coerced, path, plain);
    setAt(text, path, Array.isArray(plain) ? plain : value);
  }
  return { coerced, text, isCoerced };
}

/** A number, boolean or array in TOML's notation; anything else is text. */
function plainValue(value: string): unknown {
  try {
    const plain = parseToml(`value = ${value}`, { integersAsBigInt: 'asNeeded' })['value'];
    return typeof plain === 'object' && !Array.isArray(plain) ? value : plain;
  } catch {
    return value;
  }
}

function setAt(tree: ConfigTree, path: readonly string[], value: unknown): void {
  const [head, ...rest] = path;
  if (head === undefined) return;
  if (rest.length === 0) {
    tree[head] = value;
    return;
  }
  const child = tree[head];
  const next: ConfigTree = isTree(child) ? child : {};
  tree[head] = next;
  setAt(next, rest, value);
}

const isTree = (value: unknown): value is ConfigTree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function merge(base: ConfigTree, over: ConfigTree): ConfigTree {
  const result: ConfigTree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const old = result[key];
    result[key] = isTree(old) && isTree(value) ? merge(old, value) : value;
  }
  return result;
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const key = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys
      .map((name) => `${key === '' ? name : `${key}.${name}`}: expected a known key, found an unknown one`)
      .join('\n  ');
  }
  const found = issue.input === undefined ? 'nothing' : shown(key, issue.input);
  return `${key}: expected ${issue.message.replace(/^(?:Invalid input: )?expected /, '').replace(/, received .*$/, '')}, found ${found}`;
}

function shown(key: string, value: unknown): string {
  if (/(password|secret|mnemonic|token)(?!_file)$/.test(key)) return `a ${typeof value}`;
  const text =
    typeof value === 'bigint'
      ? value.toString()
      : JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? part.toString() : part));
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}

/**
 * Reads a secret from a file that nobody else can read; surrounding white space is dropped.
 *
 * @throws SwapError `bad_config` if it is missing, empty or readable by group or others.
 */
export function readSecretFile(key: string, path: string): string {
  let text: string;
  let mode: number;
  try {
    mode = statSync(path).mode & 0o777;
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new SwapError('bad_config', `${key}: expected a readable file at ${path}, found ${codeOf(cause)}`, { cause });
  }
  if ((mode & 0o077) !== 0) {
    throw new SwapError('bad_config', `${key}: expected mode 0600 on ${path}, found 0${mode.toString(8)}`);
  }
  if (text === '') throw new SwapError('bad_config', `${key}: expected a secret in ${path}, found an empty file`);
  return text;
}

/** Reads a file that a key names. @throws SwapError `bad_config` */
export function readNamedFile(key: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new SwapError('bad_config', `${key}: expected a readable file at ${path}, found ${codeOf(cause)}`, { cause });
  }
}

/** Reads a secret file, or makes it (mode 0600, fsynced) with `create` if there is none. */
export function readOrCreateSecretFile(key: string, path: string, create: () => string): string {
  try {
    const file = openSync(path, 'wx', 0o600);
    try {
      writeSync(file, `${create()}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    chmodSync(path, 0o600);
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') {
      throw new SwapError('bad_config', `${key}: expected a writable place at ${path}, found ${codeOf(cause)}`, {
        cause,
      });
    }
  }
  return readSecretFile(key, path);
}
