/** Results of the control commands as text for a person: `key  value`, nested values indented. */
import type { ControlResult } from './control.js';

/** One line per value. */
export function describeResult(result: ControlResult): string {
  return linesOf(result, '').join('\n');
}

function linesOf(value: object, indent: string): string[] {
  const entries = Object.entries(value);
  const width = Math.max(...entries.map(([key]) => key.length));
  return entries.flatMap(([key, item]: [string, unknown]) => {
    if (typeof item !== 'object' || item === null) return [`${indent}${key.padEnd(width)}  ${textOf(item)}`];
    if (Array.isArray(item)) return [`${indent}${key.padEnd(width)}  ${item.map(textOf).join(' ')}`];
    return [`${indent}${key}`, ...linesOf(item, `${indent}  `)];
  });
}

function textOf(item: unknown): string {
  if (typeof item === 'string') return item;
  return item === null ? '-' : JSON.stringify(item);
}
