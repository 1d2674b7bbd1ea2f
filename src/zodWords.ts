/** What zod asks for, in words for people; hand it to `safeParse` as `error`. A schema's own message goes first. */
import type { z } from 'zod';

const UNITS: Readonly<Record<string, string>> = { string: ' characters', array: ' items' };

/** "expected ..." for issues whose usual message names zod's own terms; undefined keeps that. */
export function plainWords(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'too_small': {
      const unit = UNITS[issue.origin] ?? '';
      return `expected ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unit}`;
    }
    case 'too_big': {
      const unit = UNITS[issue.origin] ?? '';
      return `expected ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unit}`;
    }
    case 'invalid_value':
      return `expected one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'invalid_format':
      return issue.format === 'url' ? 'expected a URL' : undefined;
    case 'invalid_type':
      return TYPES[issue.expected];
    default:
      return undefined;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  object: 'expected a section',
  string: 'expected text',
  int: 'expected an integer',
};
