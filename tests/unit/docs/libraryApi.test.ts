import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { libraryApi, renderLibraryApi } from '../../support/libraryApi.js';

describe('docs/buyer-api.md', () => {
  const groups = libraryApi();

  it('describes every export', () => {
    const silent = groups.flatMap(({ items }) => items.filter(({ text }) => text === '').map(({ name }) => name));
    expect(silent).toEqual([]);
  });

  it('is what the sources say (UPDATE_DOCS=1 writes it anew)', async () => {
    const path = fileURLToPath(new URL('../../../docs/buyer-api.md', import.meta.url));
    const page = await renderLibraryApi(groups);
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(path, page);
    expect(existsSync(path) ? readFileSync(path, 'utf8') : 'missing').toBe(page);
  });
});
