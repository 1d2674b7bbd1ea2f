import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';

import { swapProgram } from '../../../src/cli/program.js';

/** Every command with its words, the program itself first. */
function commandsOf(command: Command, words: readonly string[] = []): [string, Command][] {
  const below = command.commands.flatMap((child) => commandsOf(child, [...words, child.name()]));
  return [[words.join(' '), command], ...below];
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

/** The command lines below "Examples:". */
const examplesIn = (help: string): string[] => {
  const [, after = ''] = help.split('\nExamples:\n');
  return after.split('\n').flatMap((line) => (line.startsWith('  swap ') ? [line.slice(2)] : []));
};

const PROGRAM = swapProgram();
const COMMANDS = commandsOf(PROGRAM);

describe('the help', () => {
  it.each(COMMANDS)('of "swap %s" has an example', (words, command) => {
    const examples = examplesIn(helpOf(command));
    expect(examples).not.toEqual([]);
    for (const example of examples)
      expect(example).toMatch(words === 'admin' ? /^swap admin / : `swap ${words}`.trim());
  });

  it.each(COMMANDS.flatMap(([, command]) => examplesIn(helpOf(command))))(
    'shows a command line that the program understands: %s',
    (line) => {
      const [, ...words] = (line.split(' < ')[0] ?? '').split(' > ')[0]?.split(' ') ?? [];
      let command = PROGRAM;
      for (const word of words) {
        const child = command.commands.find((each) => each.name() === word);
        if (child === undefined) break;
        command = child;
      }
      expect(command.commands, `${line} ends at a group`).toEqual([]);
      const known = new Set([...PROGRAM.options, ...command.options].map(({ long }) => long));
      const unknown = words.filter((word) => word.startsWith('--') && !known.has(word));
      expect(unknown).toEqual([]);
      const missing = command.options.filter(({ mandatory, long }) => mandatory && !words.includes(long ?? ''));
      expect(missing.map(({ long }) => long)).toEqual([]);
    },
  );
});
