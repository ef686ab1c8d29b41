/**
 * What float16 products do to pictures: PSNR of pictures on WebGPU to those of float32, of trained models.
 *
 *     deno task bench:half                          both trained models of the repository, 4 pictures each
 *     deno task bench:half --model DIR --count 2 --steps 10
 *
 * Noise and conditions are equal; the reference is computed on native where it is there, else on WebGPU.
 */
import { findNative } from "../../src/backend/native.ts";
import { openEngine } from "../../src/engine/engine.ts";
import type { PipelineOptions } from "../../src/engine/pipeline.ts";
import { psnr } from "../../src/image/psnr.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { parseArgs } from "../parse_args.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    count: { type: "string", default: "4" },
    steps: { type: "string" },
  },
});
const MODELS = ["models/fashion-dit", "models/peeps-flux"];
const REFERENCE = await findNative() === undefined ? "webgpu" : "native";

console.log("model                 steps  PSNR of each picture in f16 to f32, dB");
for (const model of values.model === undefined ? MODELS : [values.model]) {
  const wanted = await pictures({ model, backend: REFERENCE, precision: "f32" });
  const found = await pictures({ model, backend: "webgpu", precision: "f16" });
  const each = psnr(found.planes, wanted.planes).map((db) => db.toFixed(1));
  console.log(`${model.padEnd(21)} ${`${found.steps}`.padStart(5)}  ${each.join(" ")}`);
}

async function pictures(options: PipelineOptions): Promise<{ planes: Tensor; steps: number }> {
  const engine = await openEngine(options);
  try {
    const { latents, steps } = await engine.generate({
      count: Number(values.count),
      ...(values.steps !== undefined && { steps: Number(values.steps) }),
      seed: 11,
      plan: "none",
      output: "latents",
    });
    return { planes: await engine.decode(latents), steps };
  } finally {
    await engine.close();
  }
}
