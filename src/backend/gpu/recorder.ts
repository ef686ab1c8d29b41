/**
 * Records what a runtime asks of a WebGPU device, so that it can be asked again without the runtime.
 *
 * onnxruntime-web's own capture (`enableGraphCapture`) aborts in its JSPI build, and its replays were seen to bind a wrong
 * uniform buffer (microsoft/onnxruntime#29594). But the runtime calls the device that we know, so its pipelines, bind
 * groups and dispatches pass by here: methods are replaced on that one object, for as long as a recording lasts.
 */

import type { Command } from "./command.ts";
import { replaceMethod } from "./replace_method.ts";
import { Tape } from "./tape.ts";

/** How a recording is made. */
export interface RecordOptions {
  /** `muted` keeps dispatches from the device: shaders are compiled and nothing is computed. */
  readonly sound: "heard" | "muted";
}

/** A device whose pipelines are known, so that what runs on it can be recorded. */
export class Recorder {
  readonly #shaders = new WeakMap<GPUShaderModule, string>();
  readonly #written = new WeakMap<GPUComputePipeline, ReadonlySet<string>>();

  /** Notes pipelines from now on. */
  constructor(readonly device: GPUDevice) {
    replaceMethod(device, "createShaderModule", (original) => (descriptor) => {
      const module = original(descriptor);
      this.#shaders.set(module, descriptor.code);
      return module;
    });
    const note = (
      pipeline: GPUComputePipeline,
      { compute }: GPUComputePipelineDescriptor,
    ): GPUComputePipeline => {
      this.#written.set(pipeline, writtenBindings(this.#shaders.get(compute.module) ?? ""));
      return pipeline;
    };
    replaceMethod(
      device,
      "createComputePipeline",
      (original) => (descriptor) => note(original(descriptor), descriptor),
    );
    replaceMethod(
      device,
      "createComputePipelineAsync",
      (original) => async (descriptor) => note(await original(descriptor), descriptor),
    );
  }

  /**
   * Runs a task and returns what it asked of the device; nobody else may use the device meanwhile.
   *
   * @throws {BackendError} When it did what cannot be repeated, such as copying new numbers to the device.
   */
  async record(task: () => Promise<void>, { sound }: RecordOptions): Promise<readonly Command[]> {
    const tape = new Tape(this.#written, sound === "muted");
    const restore = tape.listen(this.device);
    try {
      await task();
    } finally {
      restore();
    }
    return tape.finish();
  }
}

/** Which bindings a shader may write to, as `group binding`. */
function writtenBindings(code: string): ReadonlySet<string> {
  const pattern = /@group\((\d+)\)\s*@binding\((\d+)\)\s*var<storage,\s*read_write>/g;
  return new Set([...code.matchAll(pattern)].map(([, group, binding]) => `${group} ${binding}`));
}
