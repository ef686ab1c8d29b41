/**
 * Giving commands to a device, which a recorder may be listening to.
 */

/** Adds commands to an encoder. */
export type Encode = (encoder: GPUCommandEncoder) => void;

/** Gives commands to the device, unheard by recordings: while one run is recorded, another may go on. */
export function submit(device: GPUDevice, ...parts: readonly Encode[]): void {
  const { createCommandEncoder }: GPUDevice = Object.getPrototypeOf(device);
  const encoder = createCommandEncoder.call(device); // a recorder replaces the object's own method
  for (const part of parts) part(encoder);
  device.queue.submit([encoder.finish()]);
}
