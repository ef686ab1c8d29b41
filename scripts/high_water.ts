/**
 * How much of WebAssembly's memory was ever written: exact where `byteLength` only says what was reserved.
 */

/** Remembers the memories that are made from now on; call it before the runtime is loaded. */
export function watchMemories(): {
  /** The last byte ever written of the memory made last, in bytes from its begin. */
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

/** Untouched pages are zeros, and reading them takes no memory. */
function lastWritten(buffer: ArrayBuffer): number {
  const words = new BigUint64Array(buffer);
  let index = words.length - 1;
  while (index >= 0 && words[index] === 0n) index--;
  return 8 * (index + 1);
}
