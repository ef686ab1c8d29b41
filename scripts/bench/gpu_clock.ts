/**
 * How long the GPU computes, apart from whoever waits for it: timestamps at both ends of every compute pass.
 */

/** Timestamps of one measurement, two for each pass. */
const MOST = 4096;
const [QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ] = [0x200, 0x4, 0x8, 0x1]; // usages of the WebGPU specification

/** A clock of the compute passes of one device. */
export class PassClock {
  readonly #queries: GPUQuerySet;
  #used = 0;
  #runs = false;

  /** The clock of a device; `undefined` where it has none. */
  static of(device: GPUDevice): PassClock | undefined {
    return device.features.has("timestamp-query") ? new PassClock(device) : undefined;
  }

  private constructor(readonly device: GPUDevice) {
    this.#queries = device.createQuerySet({ type: "timestamp", count: MOST });
    const next = (): GPUComputePassTimestampWrites | undefined => {
      if (!this.#runs || this.#used + 2 > MOST) return undefined;
      const querySet = this.#queries;
      return {
        querySet,
        beginningOfPassWriteIndex: this.#used++,
        endOfPassWriteIndex: this.#used++,
      };
    };
    const { prototype } = GPUCommandEncoder;
    const { beginComputePass } = prototype;
    prototype.beginComputePass = function (descriptor): GPUComputePassEncoder {
      const timestampWrites = next();
      const timed = timestampWrites === undefined ? descriptor : { ...descriptor, timestampWrites };
      return beginComputePass.call(this, timed);
    };
  }

  /** Milliseconds in the passes of a task. */
  async measure(task: () => Promise<unknown>): Promise<number> {
    [this.#used, this.#runs] = [0, true];
    await task();
    this.#runs = false;
    const { device } = this;
    const size = 8 * this.#used;
    const resolved = device.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SRC });
    const copy = device.createBuffer({ size, usage: COPY_DST | MAP_READ });
    const encoder = device.createCommandEncoder();
    encoder.resolveQuerySet(this.#queries, 0, this.#used, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, copy, 0, size);
    device.queue.submit([encoder.finish()]);
    await copy.mapAsync(MAP_READ);
    const times = new BigUint64Array(copy.getMappedRange().slice(0));
    copy.destroy();
    resolved.destroy();
    return times.reduce(
      (sum, time, i) => sum + (i % 2 === 0 ? -1 : 1) * Number(time - times[0]!),
      0,
    ) / 1e6;
  }
}
