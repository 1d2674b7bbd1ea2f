/** Examples below the help of a command. */
import type { Command } from 'commander';

/** Adds command lines that can be typed as they stand, but for names in capital letters. */
export function examples(command: Command, ...lines: readonly string[]): Command {
  const text = lines.map((line) => `  swap ${line}`).join('\n');
  return command.addHelpText('after', `\nExamples:\n${text}`);
}
