/** Parity of a DiT of ODE_t(ODE_l) with a transcription of its rules, at several depths and step lengths. */

import { assertEquals } from "@std/assert";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { computeConditioning } from "../../src/engine/conditioning.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { trunkStep } from "../../src/engine/segment/step_segments.ts";
import type { Plan } from "../../src/plan/plan.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { requires } from "../_shim/requires.ts";
import { assertClose } from "../conformance/compare.ts";
import { examplePlan } from "../plan/example_plans.ts";

const MODEL = new URL("../golden/odelt/", import.meta.url);

/** Blocks of the model; the seventh of its description counts for nothing. */
const BLOCKS = 6;

/** As shares of the largest number: float32 on both sides; WebGPU's exp and tanh are several bits off. */
const ALLOWED: Readonly<Record<BackendName, number>> = { wasm: 1e-5, native: 1e-5, webgpu: 1e-3 };

for (const backend of ["wasm", "native", "webgpu"] as const) {
  const options = await requires(
    `ODE_t(ODE_l) on ${backend}`,
    ...(backend === "wasm" ? [] : [backend]),
  );
  Deno.test(
    `velocities of ODE_t(ODE_l) at each depth are its rules' on ${backend}`,
    options,
    async () => {
      await withModel(backend, async (engine, read) => {
        for (const active of [7, 5, 3]) {
          const wanted = await read(`forward.${active}`);
          const found = await forward(engine, await read("noise"), 7 - active);
          // The other way round: ours leads from the picture to the noise.
          const turned = { dims: found.dims, data: found.data.map((number) => -number) };
          assertClose(turned, wanted, { tolerance: ALLOWED[backend], what: `forward.${active}` });
        }
      });
    },
  );

  Deno.test(
    `guided pictures of ODE_t(ODE_l) in 1, 4 and 8 steps are its rules' on ${backend}`,
    options,
    async () => {
      await withModel(backend, async (engine, read) => {
        const noise = await read("noise");
        const labels = [...(await read("labels")).data];
        for (const [name, depths] of SAMPLED) {
          const steps = depths.length;
          const plan = await planOf(engine, depths);
          const { latents } = await engine.generate({ labels, noise, steps, plan });
          const tolerance = ALLOWED[backend];
          assertClose(latents, await read(name), { tolerance, what: name });
          if (!name.includes("full")) continue;
          const { latents: unplanned } = await engine.generate({
            ...{ labels, noise, steps },
            plan: "none",
          });
          assertEquals(differing(latents, unplanned), 0, `${name}: a plan that leaves nothing out`);
        }
      });
    },
  );
}

const SAMPLED = [
  ["sample.full.1", [7]],
  ["sample.full.4", [7, 7, 7, 7]],
  ["sample.full.8", new Array<number>(8).fill(7)],
  ["sample.mixed.4", [7, 3, 5, 7]],
] as const;

/** The prediction for two pictures at the times and lengths of the golden, without so many blocks. */
async function forward(
  { model, executor }: Engine,
  latent: Tensor,
  blocks: number,
): Promise<Tensor> {
  const { transformer: { conditioning, modules }, weights } = model;
  const left = 2 * blocks;
  const scene = model.scene({});
  const batch = [[3, 0.25, 2], [1, 0.8125, 6]].flatMap(([label, t, s]) =>
    scene.batch([label!], { time: 1 - t!, guidance: 1, length: 2 ** -s!, left })
  );
  const { backend } = executor;
  const table = await computeConditioning(batch, { backend, conditioning, weights });
  const step = trunkStep(modules.map((_, m) => ({
    kind: m < modules.length - left ? "run" : "skip",
    keep: 0,
  })));
  return await executor.runStep(step, { latent, batch, table, features: new FeatureCache() });
}

/** A plan of steps with so many active blocks. */
async function planOf({ model }: Engine, depths: readonly number[]): Promise<Plan> {
  const rows = depths.map((active) => "..".repeat(active - 1) + "--".repeat(BLOCKS + 1 - active));
  const times = depths.map((_, i) => 1 - i / depths.length);
  const plan = examplePlan(rows, { version: 2 });
  return {
    ...plan,
    sampler: { ...plan.sampler, name: "flow-euler", times },
    fingerprints: [await model.fingerprint()],
    modules: model.transformer.modules.map(({ name }) => name),
  };
}

function differing(a: Tensor, b: Tensor): number {
  return a.data.reduce((count, number, i) => count + (number === b.data[i] ? 0 : 1), 0);
}

async function withModel(
  backend: BackendName,
  fn: (engine: Engine, read: (name: string) => Promise<Tensor>) => Promise<void>,
): Promise<void> {
  const source = openDirectory(MODEL);
  const golden = await openSafetensors(source, "golden.safetensors");
  const engine = await openEngine({ backend, model: MODEL });
  try {
    await fn(engine, (name) => golden.readFloat32(name));
  } finally {
    await engine.close();
    await source.close();
  }
}
