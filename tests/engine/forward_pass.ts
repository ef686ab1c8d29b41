/** One plain forward pass of a FLUX, for comparison with released code. */

import { computeConditioning } from "../../src/engine/conditioning.ts";
import { disposeAll } from "../../src/engine/device_values.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { type GenerateOptions, resolveRequest } from "../../src/engine/request.ts";
import { stepInputs } from "../../src/engine/batch_inputs.ts";
import { constantsOf } from "../../src/engine/run.ts";
import { fullStep } from "../../src/engine/segment/step_segments.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** The prediction for pictures, each at a time of its own; `given` has noise, text, pooled and guidance. */
export async function forwardPass(
  { model, executor }: Engine,
  given: GenerateOptions & { readonly guidance: number },
  times: readonly number[],
): Promise<Tensor> {
  const request = resolveRequest(model, { ...given, labels: times.map((_, i) => i) });
  const step = fullStep(model.transformer.modules.length);
  const run = { model, executor, request, steps: [step], features: new FeatureCache() };
  const batch = request.labels.flatMap((label, i) =>
    request.scene.batch([label], { time: times[i]!, guidance: given.guidance })
  );
  const { transformer: { conditioning }, weights } = model;
  const { backend } = executor;
  const table = await computeConditioning(batch, { backend, conditioning, weights });
  const constants = await constantsOf(run);
  try {
    const inputs = stepInputs(run, { table, latent: request.noise!, batch });
    return await executor.runStep(step, { ...inputs, constants });
  } finally {
    disposeAll(constants);
  }
}
