/**
 * Records what a runtime asks of a WebGPU device, so that it can be asked again without the runtime.
 *
 * onnxruntime-web's own capture (`enableGraphCapture`) aborts in its JSPI build, and its replays were seen to bind a wrong
 * uniform buffer (microsoft/onnxruntime#29594). But the runtime calls the device that we know, so its pipelines, bind
 * groups and dispatches pass by here: methods are replaced on that one object, for as long as a recording lasts.
 */

import type { Command, Shader } from "./command.ts";
import { replaceMethod } from "./replace_method.ts";
import { Tape } from "./tape.ts";

/** How a recording is made. */
export interface RecordOptions {
  /** `muted` keeps dispatches from the device: shaders are compiled and nothing is computed. */
  readonly sound: "heard" | "muted";
}

/** A device whose pipelines are known, so that what runs on it can be recorded. */
export class Recorder {
  readonly #modules = new WeakMap<GPUShaderModule, Shader>();
  readonly #shaders = new WeakMap<GPUComputePipeline, Shader>();

  /** Notes pipelines from now on. */
  constructor(readonly device: GPUDevice) {
    replaceMethod(device, "createShaderModule", (original) => (descriptor) => {
      const module = original(descriptor);
      this.#modules.set(module, shaderOf(descriptor));
      return module;
    });
    const note = (
      pipeline: GPUComputePipeline,
      { compute }: GPUComputePipelineDescriptor,
    ): GPUComputePipeline => {
      const shader = this.#modules.get(compute.module);
      if (shader !== undefined) this.#shaders.set(pipeline, shader);
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
    const tape = new Tape(this.#shaders, sound === "muted");
    const restore = tape.listen(this.device);
    try {
      await task();
    } finally {
      restore();
    }
    return tape.finish();
  }
}

/** Reads the variables of a shader from its source. */
function shaderOf({ label = "", code }: GPUShaderModuleDescriptor): Shader {
  const pattern = /@group\((\d+)\)\s*@binding\((\d+)\)\s*var<([^>]*)>\s*(\w+)/g;
  const variables = [...code.matchAll(pattern)].map(([, group, binding, kind = "", name = ""]) =>
    [`${group} ${binding}`, { name, written: /read_write/.test(kind) }] as const
  );
  return { name: label, code, variables: new Map(variables) };
}
