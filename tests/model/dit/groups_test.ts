import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseDitConfig } from "../../../src/model/dit/config.ts";
import { dit, ditTensors } from "../../../src/model/dit/dit.ts";
import { ditModel } from "../../../src/model/dit/open.ts";
import { TIME_WIDTH, timeFeatures } from "../../../src/model/blocks/time_features.ts";
import { FLOW_SAMPLERS } from "../../../src/sampler/config.ts";
import { makeSampler } from "../../../src/sampler/solvers.ts";
import { batchOf } from "../../../src/engine/batch_inputs.ts";
import { fullStep } from "../../../src/engine/segment/step_segments.ts";
import { resolveRequest } from "../../../src/engine/request.ts";
import type { Model } from "../../../src/model/model.ts";

/** As published: DiT-XL/2 in groups of 8 blocks. */
const XL = parseDitConfig({ depth: 28, depth_group: 8, learn_sigma: false });
const SMALL = parseDitConfig({
  ...{ input_size: 6, in_channels: 3, hidden_size: 24, num_heads: 2, num_classes: 5 },
  ...{ depth: 7, depth_group: 2, learn_sigma: false },
});

Deno.test("blocks after the last whole group are no part of a model in groups", () => {
  const blocks = [...ditTensors(XL).keys()].flatMap((name) =>
    /^blocks\.(\d+)/.exec(name)?.[1] ?? []
  );
  assertEquals(Math.max(...blocks.map(Number)), 23);
  assertEquals([dit(XL).modules.length, dit(XL).depthGroup], [48, 16]);
  assertEquals(ditTensors(XL).get("depth_embedder.embedding_table.weight"), [29, 1152]); // it counts all
});

Deno.test("a model in groups is told of 2^s steps s, of others what is below, and how many blocks run", () => {
  const { scene, transformer } = ditModel(SMALL);
  const { modules, conditioning } = transformer;
  const model = { scene, transformer, classes: 5, latent: [3, 6, 6], tokenGrid: [3, 3] };
  const cases = fc.record({
    steps: fc.oneof(fc.constantFrom(1, 2, 4, 8, 16, 32, 64, 128), fc.integer({ min: 1, max: 300 })),
    index: fc.nat(),
    groups: fc.nat(2),
  });
  fc.assert(fc.property(cases, ({ steps, index, groups }) => {
    const sampler = makeSampler({ name: "flow-euler" }, { steps, tokens: 9 });
    const sampled = { ...model, sampler: { name: "flow-euler", steps, guidance: 2 } } as const;
    const request = { ...resolveRequest(sampled as unknown as Model, { labels: [3] }), sampler };
    const full = fullStep(modules.length);
    const actions = full.actions.map((action, m) =>
      m < modules.length - 4 * groups ? action : { kind: "skip" as const, keep: 0 }
    );
    const at = index % steps;
    const batch = batchOf(
      { request, steps: sampler.times.map((_, index) => ({ ...full, index, actions })) },
      at,
    );
    assertEquals(batch.map(({ label }) => label), [3, 5]);
    const t = Math.fround(1 - sampler.times[at]!);
    assert(Math.abs(t - at / steps) < 1e-6);
    const s = Math.min(7, Math.floor(Math.log2(steps) + 0.05)); // times may be rounded
    const told = [...timeFeatures(t), ...timeFeatures(s)];
    for (const condition of batch) {
      const features = [...conditioning.timeFeatures(condition)];
      assertEquals(features.length, conditioning.timeWidth);
      assertEquals(features.slice(0, 2 * TIME_WIDTH), told);
      assertEquals(features.at(-1), 7 - 2 * groups);
    }
  }));
});

Deno.test("a solver that calls twice at a time tells of the step to another", () => {
  const { scene, transformer } = ditModel(SMALL);
  for (const name of FLOW_SAMPLERS) {
    const sampler = makeSampler({ name }, { steps: 9, tokens: 9 });
    const request = { labels: [1], guidance: 1, sampler, scene: scene({}) };
    for (const index of sampler.times.keys()) {
      const [condition] = batchOf({ request: request as never, steps: [] }, index);
      assert(condition!.length! > 0, `${name} ${index}`);
      assert(transformer.conditioning.timeFeatures(condition!).every(Number.isFinite));
    }
  }
});
