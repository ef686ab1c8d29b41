import { assertEquals, assertRejects } from "@std/assert";
import { gibibytes, memoryNeeds, misfitOf } from "../../../src/engine/memory/needs.ts";
import { openEngine } from "../../../src/engine/engine.ts";
import { parseFluxConfig } from "../../../src/model/flux/config.ts";
import { fluxModel } from "../../../src/model/flux/open.ts";
import { encodeHeader } from "../../../src/assets/formats/safetensors_writer.ts";
import { fluxTensors } from "../../../src/model/flux/tensors.ts";
import { elementCount } from "../../../src/tensor/tensor.ts";
import { BackendError } from "../../../src/errors.ts";
import { openSmallModel } from "../small_model.ts";

Deno.test("memoryNeeds() of FLUX.1-dev are its modules' weights, conditioning apart", () => {
  const { transformer } = fluxModel(parseFluxConfig({ guidance_embeds: true }));
  const needs = memoryNeeds(transformer);
  assertEquals(needs.graphs, 19 * 3 + 38 * 2 + 2);
  // Attention of a dual block: eight 3072 × 3072 matrices with biases, four norms of 128.
  assertEquals(needs.largestTensor, 4 * 3072 * 12288);
  assertEquals(needs.largestConditioning, 4 * 6 * 3072 * 3073);
  assertEquals(needs.keptConditioning, 0); // 12.1 GiB are loaded one after another
  assertEquals(gibibytes(needs.weights), "32.07 GiB");
  assertEquals(gibibytes(needs.largestGraph), "0.28 GiB");
});

Deno.test("memoryNeeds() of a DiT count every weight of its step once", async () => {
  const model = await openSmallModel();
  const { weights, graphs, keptConditioning } = memoryNeeds(model.transformer);
  const bytesOf = (wanted: (name: string) => boolean): number =>
    [...model.weights.names].filter(wanted)
      .reduce((sum, name) => sum + 4 * elementCount(model.weights.dims(name)!), 0);
  const step = bytesOf((name) => !/adaLN|embedder\.(mlp|emb)/.test(name));
  const kept = bytesOf((name) => /adaLN/.test(name));
  await model.close();
  assertEquals([weights, graphs, keptConditioning], [step, 8, kept]);
});

Deno.test("misfitOf() says what must fit and how much there is, all weights or one of them", () => {
  const needs = {
    weights: 5 * 2 ** 30,
    graphs: 3,
    largestGraph: 2 ** 30,
    largestTensor: 2 ** 29,
    largestConditioning: 0,
    keptConditioning: 0,
  };
  assertEquals(misfitOf(needs, {}), undefined);
  assertEquals(misfitOf(needs, { weights: 5 * 2 ** 30, tensor: 2 ** 29 }), undefined);
  assertEquals(
    misfitOf(needs, { weights: 3.5 * 2 ** 30 }),
    "weights must fit in 3.50 GiB: current value is 5.00 GiB",
  );
  assertEquals(
    misfitOf(needs, { tensor: 2 ** 26 }),
    "every weight must fit in 64.0 MiB: current value is 0.50 GiB",
  );
});

Deno.test("a FLUX.1-dev opens from a file of its size, and wasm refuses it before loading", async () => {
  const folder = await Deno.makeTempDir();
  const tensors = fluxTensors(parseFluxConfig({ guidance_embeds: true }));
  const header = encodeHeader(
    new Map([...tensors].map(([name, dims]) => [name, { dtype: "F16" as const, dims }])),
  );
  const count = [...tensors.values()].reduce((sum, dims) => sum + elementCount(dims), 0);
  const path = `${folder}/flux1-dev.safetensors`;
  await Deno.writeFile(path, header);
  await Deno.truncate(path, header.length + 2 * count); // sparse: takes no room
  let loaded = 0;
  await assertRejects(
    () => openEngine({ model: path, backend: "wasm", onLoaded: () => loaded++ }),
    BackendError,
    "weights must fit in 3.50 GiB: current value is 32.07 GiB",
  );
  assertEquals(loaded, 0);
  await Deno.remove(folder, { recursive: true });
});
