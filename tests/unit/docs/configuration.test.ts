import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';
import type { z } from 'zod';

import { swapSchema } from '../../../src/cli/settings.js';
import { configSchema as lnnodedSchema } from '../../../src/lnnode/config.js';
import { swapdSchema } from '../../../src/swapdConfig.js';

/** One key as the schema has it, in the words of docs/configuration.md. */
type Entry = { readonly key: string; readonly type: string; readonly default: string };

const PAGE = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');

/** The schema behind defaults, options and transformations. */
function inner(schema: z.core.$ZodType): { readonly core: z.core.$ZodType; readonly default: string } {
  let core = schema;
  let value = 'required';
  for (;;) {
    const { def } = core._zod as { def: z.core.$ZodTypes['_zod']['def'] };
    switch (def.type) {
      case 'optional':
        value = 'none';
        core = def.innerType;
        continue;
      case 'default':
        value = `\`${shown(def.defaultValue)}\``;
        core = def.innerType;
        continue;
      case 'prefault':
        core = def.innerType;
        continue;
      case 'pipe':
        core = def.in;
        continue;
      default:
        return { core, default: value };
    }
  }
}

const endpoint = (value: unknown): value is { host: string; port: number } =>
  typeof value === 'object' && value !== null && 'host' in value && 'port' in value;

function shown(value: unknown): string {
  if (endpoint(value)) return `${value.host}:${value.port}`;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const choice = (values: readonly unknown[]): string =>
  `one of ${values.map((value) => JSON.stringify(value)).join(', ')}`;

function typeOf(schema: z.core.$ZodType): string {
  const { def } = schema._zod as { def: z.core.$ZodTypes['_zod']['def'] };
  switch (def.type) {
    case 'string':
      return 'text';
    case 'number':
    case 'bigint':
      return 'integer';
    case 'boolean':
      return 'boolean';
    case 'enum':
      return choice(Object.values(def.entries));
    case 'literal':
      return choice(def.values);
    case 'array':
      return `list of ${typeOf(inner(def.element).core)}`;
    case 'union':
      return [...new Set(def.options.map((option) => typeOf(inner(option).core)))].join(' or ');
    default:
      throw new Error(`a configuration key of type ${def.type} has no words yet`);
  }
}

/** Every key of a schema in its order; keys of a list of tables get `[]`. */
function entriesOf(schema: z.core.$ZodType, key = ''): Entry[] {
  const { core, default: value } = inner(schema);
  const { def } = core._zod as { def: z.core.$ZodTypes['_zod']['def'] };
  if (def.type === 'object') {
    return Object.entries(def.shape).flatMap(([name, child]) => entriesOf(child, key === '' ? name : `${key}.${name}`));
  }
  if (def.type === 'array' && inner(def.element).core._zod.def.type === 'object') {
    return entriesOf(def.element, `${key}[]`);
  }
  return [{ key, type: typeOf(core), default: value }];
}

/** The rows of a program's table: key, type and default. */
function documented(program: string): Entry[] {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(`${program}\n`)) ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [key = '', type = '', , value = ''] = line
        .slice(1)
        .split('|')
        .map((cell) => cell.trim());
      return { key: key.replaceAll('`', ''), type, default: value };
    });
}

describe('docs/configuration.md', () => {
  it.each([
    ['swapd', swapdSchema],
    ['lnnoded', lnnodedSchema],
    ['swap', swapSchema],
  ] as const)('has every key of %s with its type and default, and no other', (program, schema) => {
    expect(documented(program)).toEqual(entriesOf(schema));
  });

  it('says what every key means', () => {
    const rows = PAGE.split('\n').filter((line) => line.startsWith('| `') && line.split('|').length >= 7);
    const silent = rows.filter((line) => (line.split('|')[5] ?? '').trim() === '');
    expect(rows.length).toBeGreaterThan(60);
    expect(silent).toEqual([]);
  });
});
