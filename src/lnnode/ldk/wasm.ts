/** Loads LDK's WebAssembly module once per process and watches its memory. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import * as ldk from 'lightningdevkit';
import * as bindings from 'lightningdevkit/bindings.mjs';

import type { Logger } from '../../log.js';

type Instantiate = (bytes: Uint8Array, imports: object) => Promise<{ instance: { exports: Record<string, unknown> } }>;
type Memory = { readonly buffer: ArrayBuffer };

let memory: Memory | undefined;
let loading: Promise<void> | undefined;

/** Bytes of WebAssembly memory; they never shrink, and LDK's glue breaks above 2 GiB. */
export const heapBytes = (): number => memory?.buffer.byteLength ?? 0;

/** What LDK says of itself, e.g. "v0.1.2"; the module must be loaded. */
export function ldkVersion(): string {
  const glue = bindings as unknown as {
    _ldk_get_compiled_version(): number;
    decodeString(pointer: number): string;
  };
  return glue.decodeString(glue._ldk_get_compiled_version());
}

/** Loads the module. From then on console.log goes to the log: LDK prints its panics there, and stdout is ours. */
export function loadLdk(log: Logger): Promise<void> {
  console.log = (...words: unknown[]) => {
    log.debug({ words: words.map(String) }, 'LDK says');
  };
  loading ??= load();
  return loading;
}

async function load(): Promise<void> {
  const path = createRequire(import.meta.url).resolve('lightningdevkit/liblightningjs.wasm');
  // The package keeps its memory to itself, so it is taken at the one moment when it can be seen.
  const host = globalThis as unknown as { WebAssembly: { instantiate: Instantiate } };
  const { instantiate } = host.WebAssembly;
  host.WebAssembly.instantiate = async (bytes, imports) => {
    const result = await instantiate(bytes, imports);
    memory = result.instance.exports['memory'] as Memory;
    return result;
  };
  try {
    await ldk.initializeWasmFromBinary(await readFile(path));
  } finally {
    host.WebAssembly.instantiate = instantiate;
  }
}
