/**
 * How much of WebAssembly's memory was ever written, to a KiB, where `byteLength` only says what was reserved.
 */

/** Remembers the memories that are made from now on; call it before the runtime is loaded. */
export function watchMemories(): {
  /** Bytes from the begin of the memory made last to the last that was written. */
  highWater(): number;
  /** Ends the watching. */
  restore(): void;
} {
  const Original = WebAssembly.Memory;
  let last: WebAssembly.Memory | undefined;
  WebAssembly.Memory = class extends Original {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      last = this;
    }
  };
  return {
    highWater: () => last === undefined ? 0 : lastWritten(last.buffer),
    restore: () => void (WebAssembly.Memory = Original),
  };
}

/** Untouched pages are zeros, and reading them takes no memory. One word in each KiB is looked at. */
function lastWritten(buffer: ArrayBuffer): number {
  const words = new Uint32Array(buffer);
  let index = words.length - WORDS_BETWEEN;
  while (index >= 0 && words[index] === 0) index -= WORDS_BETWEEN;
  return 4 * (index + WORDS_BETWEEN);
}

const WORDS_BETWEEN = 256;
