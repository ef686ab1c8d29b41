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

/** One word in each KiB is looked at, up to a gap that no allocation has left untouched. */
function lastWritten(buffer: ArrayBuffer): number {
  const words = new Uint32Array(buffer);
  let last = 0;
  for (let i = 0; i < words.length && i - last < GAP / 4; i += WORDS_BETWEEN) {
    if (words[i] !== 0) last = i;
  }
  return 4 * (last + WORDS_BETWEEN);
}

const WORDS_BETWEEN = 256;
const GAP = 2 ** 28; // 256 MiB: to read all of 4 GiB takes ten seconds of page faults
