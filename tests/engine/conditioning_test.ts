import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Backend } from "../../src/backend/backend.ts";
import { openWasm } from "../../src/backend/wasm.ts";
import {
  computeConditioning,
  type ConditioningTable,
  type ConditioningTask,
  staysLoaded,
} from "../../src/engine/conditioning.ts";
import { Sessions } from "../../src/engine/sessions.ts";
import { dit } from "../../src/model/dit/dit.ts";
import { parseDitConfig } from "../../src/model/dit/config.ts";
import type { Model } from "../../src/model/model.ts";
import { parseFluxConfig } from "../../src/model/flux/config.ts";
import { fluxModel } from "../../src/model/flux/open.ts";
import type { Condition, Conditioning } from "../../src/model/module_graph.ts";
import { assertClose } from "../conformance/compare.ts";
import { silu } from "../conformance/host_operators.ts";
import { interfere, type Interference, openSmallModel } from "./small_model.ts";

const WIDTH = 48;
/** All modulated parts of the small model, in the order of its weights. */
const PARTS = [
  ...[0, 1, 2].flatMap((block) => [
    { name: `blocks.${block}.attn`, rows: 3 },
    { name: `blocks.${block}.mlp`, rows: 3 },
  ]),
  { name: "head", rows: 2 },
];
const ROW_COUNT = 20;

async function withTask(
  use: (task: ConditioningTask, model: Model) => Promise<void>,
  interference: Interference = {},
): Promise<void> {
  const model = await openSmallModel();
  const backend: Backend = await openWasm();
  const { transformer: { conditioning }, weights } = model;
  try {
    await use({ backend: interfere(backend, interference), conditioning, weights }, model);
    assertEquals(backend.live, { values: 0, sessions: 0 });
  } finally {
    await backend.dispose();
    await model.close();
  }
}

function vectorsOf(table: ConditioningTable, condition: Condition): Float32Array {
  return table.gather(PARTS, [condition]).data;
}

Deno.test("conditioning is Linear(SiLU(time MLP + label row)) of every block, as the original's", async () => {
  await withTask(async (task, { weights, transformer }) => {
    const condition = { time: 417, label: 3 };
    const table = await computeConditioning([condition], task);
    const dense = async (x: readonly number[], name: string): Promise<number[]> => {
      const { data: weight } = await weights.read(`${name}.weight`);
      const { data: bias } = await weights.read(`${name}.bias`);
      return [...bias].map((b, o) =>
        x.reduce((sum, v, i) => sum + v * weight[o * x.length + i]!, b)
      );
    };
    const features = [...transformer.conditioning.timeFeatures({ time: 417, label: 0 })];
    const hidden = (await dense(features, "t_embedder.mlp.0")).map(silu);
    const time = await dense(hidden, "t_embedder.mlp.2");
    const { data: labels } = await weights.read("y_embedder.embedding_table.weight");
    const vector = time.map((v, i) => silu(v + labels[3 * WIDTH + i]!));
    const wanted: number[] = [];
    for (const layer of ["blocks.0", "blocks.1", "blocks.2", "final_layer"]) {
      wanted.push(...await dense(vector, `${layer}.adaLN_modulation.1`));
    }
    const dims = [wanted.length];
    const actual = { dims, data: vectorsOf(table, condition) };
    // Three sums of up to 256 float32 products, one after another.
    assertClose(actual, { dims, data: Float64Array.from(wanted) }, {
      tolerance: 5e-6,
      what: "vectors",
    });
  });
});

Deno.test("conditioning of all steps ahead is that of each step alone", async () => {
  await withTask(async (task) => {
    const conditions = [999, 500, 0].flatMap((time) => [{ time, label: 1 }, { time, label: 7 }]);
    const ahead = await computeConditioning(conditions, task);
    for (const condition of conditions) {
      const alone = await computeConditioning([condition], task);
      const dims = [ROW_COUNT * WIDTH];
      assertClose(
        { dims, data: vectorsOf(ahead, condition) },
        { dims, data: vectorsOf(alone, condition) },
        { tolerance: 1e-6, what: "vectors" }, // a matrix product sums in another order than a vector's
      );
    }
  });
});

Deno.test("equal conditions are computed and kept once", async () => {
  await withTask(async (task) => {
    const one = { time: 3, label: 2 };
    const table = await computeConditioning([one, { time: 3, label: 4 }, { ...one }], task);
    assertEquals(table.byteLength, 2 * ROW_COUNT * WIDTH * 4);
  });
});

Deno.test("gather() lays vectors out by picture, then by part, in the order that was asked for", async () => {
  await withTask(async (task) => {
    const [a, b] = [{ time: 10, label: 0 }, { time: 10, label: 1 }];
    const table = await computeConditioning([a, b], task);
    const parts = [{ name: "head", rows: 2 }, { name: "blocks.1.mlp", rows: 3 }];
    const { dims, data } = table.gather(parts, [b, a, b]);
    assertEquals(dims, [3, 5, WIDTH]);
    const pictures = [b, a, b].map((condition) => vectorsOf(table, condition));
    const rowOf = (row: number): Float32Array => data.slice(row * WIDTH, (row + 1) * WIDTH);
    pictures.forEach((all, picture) => {
      const wanted = [18, 19, 9, 10, 11]; // the head is last of 20 rows, block 1's MLP fourth of its kind
      wanted.forEach((from, i) => {
        assertEquals(rowOf(picture * 5 + i), all.slice(from * WIDTH, (from + 1) * WIDTH));
      });
    });
    assert(rowOf(0).some((value, i) => value !== rowOf(5)[i]));
  });
});

Deno.test("gather() refuses a condition or a part that was not computed", async () => {
  await withTask(async (task) => {
    const table = await computeConditioning([{ time: 1, label: 0 }], task);
    assertThrows(
      () => table.gather([PARTS[0]!], [{ time: 1, label: 2 }]),
      RangeError,
      "Cannot condition blocks.0.attn: time 1, label 2 must be in the table",
    );
    const parts = [{ name: "blocks.9.attn", rows: 3 }];
    assertThrows(() => table.gather(parts, [{ time: 1, label: 0 }]), RangeError, "blocks.9.attn");
  });
});

Deno.test("many conditions are computed in several passes, with the same numbers", async () => {
  const passes: string[] = [];
  await withTask(async (task) => {
    // A pass has at most 64 MiB of results: 17,476 rows of 20 vectors of 48 float32.
    const conditions = Array.from({ length: 17_480 }, (_, i) => ({ time: i / 20, label: i % 8 }));
    const table = await computeConditioning(conditions, task);
    assertEquals(passes, [
      "conditioning",
      "modulation of blocks.0.attn",
      "modulation of blocks.0.attn",
    ]);
    const ends = [conditions[0]!, conditions[17_475]!, conditions[17_476]!, conditions.at(-1)!];
    const alone = await computeConditioning(ends, task);
    const dims = [ROW_COUNT * WIDTH];
    for (const condition of ends) {
      assertClose(
        { dims, data: vectorsOf(table, condition) },
        { dims, data: vectorsOf(alone, condition) },
        { tolerance: 1e-6, what: "vectors" }, // sums in another order
      );
    }
  }, { onRun: (name) => passes.push(name) });
});

Deno.test("a model whose modulation is large computes it block by block", () => {
  const { groups } = dit(parseDitConfig({})).conditioning; // DiT-XL/2
  assert(groups.length > 1);
  assert(groups.every(({ weightBytes }) => weightBytes <= 64 << 20));
  assertEquals(
    groups.flatMap(({ parts }) => parts.map(({ name }) => name)),
    [
      ...Array.from({ length: 28 }, (_, i) => [`blocks.${i}.attn`, `blocks.${i}.mlp`]).flat(),
      "head",
    ],
  );
});

Deno.test("sessions of a small conditioning stay for the next, which makes the same numbers", async () => {
  const loaded: string[] = [];
  await withTask(async (task) => {
    const conditions = [{ time: 417, label: 3 }, { time: 20, label: 7 }];
    const wanted = await computeConditioning(conditions, task);
    const sessions = new Sessions(task.backend, task.weights);
    loaded.length = 0;
    for (let round = 0; round < 2; round++) {
      const table = await computeConditioning(conditions, { ...task, sessions });
      for (const each of conditions) assertEquals(vectorsOf(table, each), vectorsOf(wanted, each));
    }
    assertEquals(loaded, ["conditioning", "modulation of blocks.0.attn"]);
    assertEquals(task.backend.live, { values: 0, sessions: 2 });
    await sessions.dispose();
  }, { onLoad: (name) => loaded.push(name) });
});

Deno.test("only a conditioning of at most 256 MiB stays loaded: DiT-B's, not DiT-XL's or FLUX's, and on workerd none", () => {
  const published = (hidden_size: number, depth: number): Conditioning =>
    dit(parseDitConfig({ hidden_size, depth })).conditioning;
  assert(staysLoaded(published(768, 12)));
  assert(!staysLoaded(published(1152, 28)));
  assert(
    !staysLoaded(fluxModel(parseFluxConfig({ guidance_embeds: true })).transformer.conditioning),
  );
  Object.defineProperty(navigator, "userAgent", {
    value: "Cloudflare-Workers",
    configurable: true,
  });
  assert(!staysLoaded(published(768, 12)));
  Reflect.deleteProperty(navigator, "userAgent"); // the prototype's shows again
});

Deno.test("conditioning that fails or is stopped leaves nothing alive", async () => {
  for (const failing of ["conditioning", "modulation of blocks.0.attn"]) {
    const onRun = (name: string): void => {
      if (name === failing) throw new Error(`${name} fails`);
    };
    await withTask(async (task) => {
      await assertRejects(() => computeConditioning([{ time: 1, label: 0 }], task), Error, failing);
    }, { onRun });
    const stop = new AbortController();
    const onLoad = (name: string): void => {
      if (name === failing) stop.abort();
    };
    await withTask(async (task) => {
      const stopped = { ...task, signal: stop.signal };
      const error = await assertRejects(() =>
        computeConditioning([{ time: 1, label: 0 }], stopped)
      );
      assertEquals(error.name, "AbortError");
    }, { onLoad });
  }
});
