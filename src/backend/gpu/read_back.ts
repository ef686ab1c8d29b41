/**
 * Copies of device memory on the host.
 */

import type { Place } from "./memory.ts";
import { submit } from "./submit.ts";

const READABLE = 0x8 | 0x1; // COPY_DST | MAP_READ of the WebGPU specification
const MAP_READ = 0x1; // the mode of that name

/** Copies that are on their way: the device makes them in the order of its queue. */
export interface PendingCopies {
  /** Waits for the bytes, one array for each place; the device's memory for them is freed. */
  read(): Promise<readonly ArrayBuffer[]>;
}

/** Begins to copy the first bytes of places, as they are at this point of the queue. */
export function beginReadBack(
  device: GPUDevice,
  places: readonly Pick<Place, "buffer" | "offset" | "size">[],
): PendingCopies {
  const staging = places.map(({ buffer, offset, size }) => {
    const whole = Math.ceil(size / 4) * 4;
    const copy = device.createBuffer({ size: whole, usage: READABLE });
    return { buffer, offset, size, copy };
  });
  submit(device, (encoder) => {
    for (const { buffer, offset, copy } of staging) {
      encoder.copyBufferToBuffer(buffer, offset, copy, 0, copy.size);
    }
  });
  return {
    async read(): Promise<readonly ArrayBuffer[]> {
      try {
        await Promise.all(staging.map(({ copy }) => copy.mapAsync(MAP_READ)));
        return staging.map(({ copy, size }) => copy.getMappedRange().slice(0, size));
      } finally {
        for (const { copy } of staging) copy.destroy();
      }
    },
  };
}

/** How many bytes of places a task changes. */
export async function countChanged(
  device: GPUDevice,
  places: readonly Place[],
  task: () => void,
): Promise<number> {
  const heads = places.map((place) => ({ ...place, size: Math.min(place.size, MOST_COMPARED) }));
  const before = beginReadBack(device, heads);
  task();
  const after = beginReadBack(device, heads);
  const [old, now] = [await before.read(), await after.read()];
  return old.reduce(
    (sum, bytes, i) => sum + differing(new Uint8Array(bytes), new Uint8Array(now[i]!)),
    0,
  );
}

/** Bytes of one place that are compared: 16 MiB. */
const MOST_COMPARED = 2 ** 24;

function differing(a: Uint8Array, b: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count++;
  return count;
}
