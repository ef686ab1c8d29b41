/**
 * Memory reserved ahead for the threaded WebAssembly runtime.
 *
 * In Deno, a pthread of onnxruntime-web 1.30 traps when the shared memory grows under it, and the run
 * that waits for it spins for ever. So the memory is made at its full size while the runtime
 * initialises (untouched pages cost no RAM), and growing later is an error instead of a hang.
 */

/** The most that can be reserved: 65,536 pages throw. */
const MAX_PAGES = 65_535;

/**
 * Runs `initialise` while every shared `WebAssembly.Memory` starts at the largest size that can be had
 * and cannot grow; then restores the original.
 */
export async function withReservedMemory<T>(initialise: () => Promise<T>): Promise<T> {
  const Original = WebAssembly.Memory;
  WebAssembly.Memory = class extends Original {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(reserved(Original, descriptor));
      if (descriptor.shared === true) this.grow = refuseToGrow;
    }
  };
  try {
    return await initialise();
  } finally {
    WebAssembly.Memory = Original;
  }
}

function reserved(
  Memory: typeof WebAssembly.Memory,
  descriptor: WebAssembly.MemoryDescriptor,
): WebAssembly.MemoryDescriptor {
  if (descriptor.shared !== true) return descriptor;
  for (let pages = MAX_PAGES; pages > descriptor.initial; pages >>= 1) {
    const larger = { ...descriptor, initial: pages };
    if (canAllocate(Memory, larger)) return larger;
  }
  return descriptor;
}

function canAllocate(
  Memory: typeof WebAssembly.Memory,
  descriptor: WebAssembly.MemoryDescriptor,
): boolean {
  try {
    new Memory(descriptor);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false; // not enough address space: ask for half
    throw error;
  }
}

function refuseToGrow(): never {
  throw new RangeError("Cannot grow WebAssembly memory: all that was reserved is in use");
}
