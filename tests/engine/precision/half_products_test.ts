/** Products in float16, through the whole engine. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { subjectOf } from "../../../scripts/bench/gpu_subjects.ts";
import type { Weights } from "../../../src/assets/weights.ts";
import type { Backend } from "../../../src/backend/backend.ts";
import { openBackend } from "../../../src/backend/select.ts";
import { type Engine, openEngine } from "../../../src/engine/engine.ts";
import { Executor } from "../../../src/engine/executor.ts";
import { parseRecord } from "../../../src/engine/picture_record.ts";
import { planTarget } from "../../../src/engine/plan_facts.ts";
import { chooseProducts } from "../../../src/engine/precision/choose.ts";
import {
  type ProductPrecision,
  RoundedLayers,
} from "../../../src/engine/precision/rounded_layers.ts";
import { type GenerateOptions, resolveRequest } from "../../../src/engine/request.ts";
import { runSteps } from "../../../src/engine/run.ts";
import { AssetError, BackendError } from "../../../src/errors.ts";
import { readPngText } from "../../../src/image/png_text.ts";
import { psnr } from "../../../src/image/psnr.ts";
import { makePlan } from "../../../src/plan/fit.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { requires } from "../../_shim/requires.ts";
import { relativeError } from "../../conformance/compare.ts";
import { FASHION_DIT } from "../../fashion_dit.ts";
import { rowsOf } from "../../plan/example_plans.ts";
import { FULL, interfere, openSmallModel, runOf } from "../small_model.ts";

const needs = await requires("products in float16", "webgpu", "shader-f16");
/** One rounding is 2^-11; a dozen blocks and five steps of a solver add up many. */
const FAR = 0.02;

async function planOf(engine: Engine, given: GenerateOptions, texts: string[]): Promise<Plan> {
  const { model } = engine;
  const request = resolveRequest(model, { ...given, steps: texts.length });
  const { sampler: { times }, scene, guidance } = request;
  const target = await planTarget(model, { times, guidance, tokenGrid: scene.tokenGrid });
  const { length } = target.modules;
  const rows = texts.map((text) => text === "=" ? text : text.repeat(length).slice(0, length));
  const policy = { name: "hand", parameters: {} };
  return makePlan(target, rowsOf(rows, target.modules), { policy });
}

for (const name of ["narrow-dit", "narrow-flux"]) {
  Deno.test(
    `${name} in float16 is near float32 on the GPU, the same bits whether replayed or planned in full`,
    needs,
    async () => {
      const { open, generate } = subjectOf(name);
      const [half, single] = await Promise.all(
        (["f16", "f32"] as const).map((precision) =>
          openEngine({ ...open, backend: "webgpu", precision })
        ),
      );
      try {
        const options: GenerateOptions = { ...generate, output: "latents", plan: "none", steps: 5 };
        const wanted = await single!.generate(options);
        const first = await half!.generate(options); // by the runtime
        const error = relativeError(first.latents.data, wanted.latents.data);
        console.log(`${name} in f16: ${error.toExponential(1)} × max|f32|`);
        assert(error > 0 && error < FAR, `${error}`);
        const whole = await planOf(half!, generate, [".", ".", ".", ".", "."]);
        for (const plan of ["none", whole, "none"] as const) {
          const { latents, notices } = await half!.generate({ ...options, plan });
          assertEquals([latents.data, notices], [first.latents.data, []]);
        }
        const plan = await planOf(half!, generate, [".", "r", ".r", "=", "."]);
        const [reused, again] = [
          await half!.generate({ ...options, plan }),
          await half!.generate({ ...options, plan }),
        ];
        assertEquals(again.latents.data, reused.latents.data);
        const planned = await single!.generate({ ...options, plan });
        assert(relativeError(reused.latents.data, planned.latents.data) < FAR);
        assertEquals(half!.precision.products, "f16");
        assert(half!.precision.layers.every(({ rounded }) => rounded));
      } finally {
        await Promise.all([half!.close(), single!.close()]);
      }
      assertEquals(half!.backend.live, { values: 0, sessions: 0 });
    },
  );
}

Deno.test(
  "step by step through the host float16 gives what it gives on the device",
  needs,
  async () => {
    const model = await openSmallModel();
    const { backend } = await openBackend({ backend: "webgpu" });
    const rounded = new RoundedLayers(model.weights, { precision: "f16", products: "f16" });
    const executor = new Executor(backend, model.transformer, model.weights, rounded);
    const found = await last(runSteps(await runOf(model, executor, [FULL, FULL])));
    await executor.dispose();
    await backend.dispose();
    const open = {
      model: new URL("../../golden/dit-a/", import.meta.url),
      precision: "f16",
    } as const;
    const engine = await openEngine({ ...open, backend: "webgpu" });
    const options = { labels: [2], seed: 6, steps: 2, guidance: 1, plan: "none" } as const;
    const { latents } = await engine.generate({ ...options, output: "latents" });
    // Where fewer operators are fused float32 sums have another order, whose rounding may differ.
    assert(relativeError(found, latents.data) < 2e-3);
    await engine.close();
    await model.close();
  },
);

Deno.test("weights lie in float16 on the device, at half the bytes", needs, async () => {
  const model = await openSmallModel();
  const { backend } = await openBackend({ backend: "webgpu" });
  const bytes: number[] = [];
  for (const options of [{ precision: "f16", products: "f16" } as const, undefined]) {
    const rounded = options && new RoundedLayers(model.weights, options);
    const sizes: number[] = [];
    const watched: Backend = {
      ...interfere(backend, {}),
      upload: (numbers) => {
        sizes.push(numbers.data.byteLength);
        return backend.upload(numbers);
      },
    };
    const executor = new Executor(watched, model.transformer, model.weights, rounded);
    const run = await runOf(model, executor, [FULL]);
    await executor.load(run.steps[0] as Parameters<Executor["load"]>[0]); // FULL is of the trunk
    bytes.push(sizes.reduce((sum, size) => sum + size, 0));
    await executor.dispose();
  }
  const [half, single] = bytes;
  assert(half! < 0.6 * single!, `${half} of ${single}`); // embedding and head stay float32
  await backend.dispose();
  await model.close();
});

Deno.test(
  "a picture in float16 says so in its record, and is as good as equal to float32's",
  needs,
  async () => {
    const pictures = [];
    for (const precision of ["f16", "f32"] as const) {
      const engine = await openEngine({ model: FASHION_DIT, backend: "webgpu", precision });
      const options = { labels: [7], seed: 3, steps: 4, plan: "none" } as const;
      const { latents, pictures: [picture] } = await engine.generate(options);
      const record = parseRecord(readPngText(await picture!.png()));
      assertEquals([record?.precision, record?.weights], [precision, "f32"]);
      pictures.push(await engine.decode(latents));
      await engine.close();
    }
    const [db = 0] = psnr(pictures[0]!, pictures[1]!);
    console.log(`fashion-dit in f16, 4 steps: ${db.toFixed(1)} dB`);
    assert(db > 45, `${db}`);
  },
);

Deno.test("a layer with numbers beyond float16 stays float32; its bias cannot, and is named", async () => {
  const model = await openSmallModel();
  const [layer, other] = ["blocks.1.mlp.fc2", "blocks.0.mlp.fc1"];
  const weights: Weights = {
    ...model.weights,
    read: async (name) => {
      const tensor = await model.weights.read(name);
      if (name === `${layer}.weight` || name === `${other}.bias`) tensor.data[3] = 65_520;
      return tensor;
    },
  };
  const rounded = new RoundedLayers(weights, { precision: "f16", products: "f16" });
  await rounded.decide([`${layer}.weight`, `${other}.weight`]);
  assertEquals(rounded.layers.map(({ rounded }) => rounded), [false, true]);
  const bias = { name: `${other}.bias`, type: "float16", dims: [] } as const;
  await assertRejects(() => rounded.read(bias), AssetError, `${other}.bias has numbers beyond`);
  await model.close();
});

Deno.test("float16 is refused where it is not computed, by name", async () => {
  const choose = (
    wanted: ProductPrecision | undefined,
    given: Partial<Parameters<typeof chooseProducts>[1]>,
    weights: Parameters<typeof chooseProducts>[2]["weights"] = "f32",
  ): ProductPrecision => {
    const backend = { name: "webgpu", description: "webgpu X", ...given } as const;
    return chooseProducts("m", backend, { wanted, weights });
  };
  assertEquals([choose("f16", { half: "slow" }), choose("f32", {}), choose(undefined, {})], [
    "f16",
    "f32",
    "f32",
  ]);
  assertEquals(choose(undefined, { half: "slow" }), "f32"); // in software
  assertEquals(choose(undefined, { half: "fast" }), "f16");
  assertEquals(choose(undefined, { half: "fast" }, "int4"), "f32");
  assertEquals(choose("f32", { half: "fast" }), "f32");
  const refused = (...args: Parameters<typeof choose>): Error =>
    assertThrows(() => choose(...args), Error);
  const lack = refused("f16", {});
  assert(lack instanceof BackendError);
  assertEquals(
    lack.message,
    "Cannot open m on webgpu X: precision must be f32, for its adapter has no shader-f16: " +
      "current value is f16",
  );
  const wasm = refused("f16", { name: "wasm" });
  assert(
    wasm instanceof BackendError && /on WebGPU only: current value is f16$/.test(wasm.message),
  );
  const packed = refused("f16", { half: "fast" }, "int4");
  assert(packed instanceof TypeError && /with weights in int4/.test(packed.message));
  const unknown = refused("bf16" as ProductPrecision, { half: "fast" }); // as from JavaScript
  assert(unknown instanceof TypeError);
  assertEquals(
    unknown.message,
    "Cannot open m: precision must be f32 or f16: current value is bf16",
  );
  await assertRejects(
    () => openEngine({ model: FASHION_DIT, backend: "wasm", threads: 1, precision: "f16" }),
    BackendError,
    "precision must be f32",
  );
});

async function last(steps: ReturnType<typeof runSteps>): Promise<Float32Array> {
  for (let next = await steps.next();; next = await steps.next()) {
    if (next.done === true) return next.value.latents.data;
  }
}
