import { assertEquals } from "@std/assert";
import type { Weights } from "../../src/assets/weights.ts";
import { openBackend } from "../../src/backend/select.ts";
import { buildSegment } from "../../src/engine/segment/segment.ts";
import { loadWithWeights } from "../../src/engine/load_graph.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { openModel } from "../../src/model/open_model.ts";

/** Large enough for its weights to lie beside the graph. */
const MLP = { kind: "module", index: 1, action: "run", store: false } as const;

Deno.test("numbers that a session has taken are given back at once, not at the next collection", async () => {
  const model = await openModel(FASHION_DIT);
  const { backend } = await openBackend({ backend: "wasm" });
  const read: Float32Array[] = [];
  const watched: Weights = {
    ...model.weights,
    read: async (name) => {
      const tensor = await model.weights.read(name);
      read.push(tensor.data);
      return tensor;
    },
  };
  const session = await loadWithWeights(
    backend,
    buildSegment(model.transformer, [MLP]),
    watched,
  );
  assertEquals(read.map(({ length }) => length), [0, 0, 0, 0]); // weight and bias of fc1 and fc2
  await session.dispose();
  await backend.dispose();
  await model.close();
});
