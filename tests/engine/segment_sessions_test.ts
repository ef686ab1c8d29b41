import { assertEquals } from "@std/assert";
import type { Weights } from "../../src/assets/weights.ts";
import { openBackend } from "../../src/backend/select.ts";
import { buildSegment } from "../../src/engine/segment.ts";
import { loadWithWeights } from "../../src/engine/segment_sessions.ts";
import { HEAD } from "../../src/engine/step_segments.ts";
import { openSmallModel } from "./small_model.ts";

Deno.test("numbers that a session has taken are given back at once, not at the next collection", async () => {
  const model = await openSmallModel();
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
  const session = await loadWithWeights(backend, buildSegment(model.transformer, [HEAD]), watched);
  assertEquals(read.map(({ length }) => length), [0, 0]); // the head's weight and bias
  await session.dispose();
  await backend.dispose();
  await model.close();
});
