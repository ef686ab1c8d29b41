import { openWasm } from "../../../src/backend/wasm.ts";
import { loadWithWeights } from "../../../src/engine/load_graph.ts";
import { takeDown, whileAlive } from "../../../src/engine/device_values.ts";
import { mixJointly, type Projections } from "../../../src/model/blocks/joint_attention.ts";
import { GraphBuilder } from "../../../src/onnx/graph.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose } from "../../conformance/compare.ts";
import { attention, concat, type HostTensor } from "../../conformance/host_operators.ts";

const HEADS = 2;

Deno.test("mixJointly() is attention over both kinds of tokens, the first in front, without a rotation", async () => {
  const sizes = { first: [2, 3, 8], second: [2, 5, 8] };
  const tensors: Record<string, Tensor> = {};
  const graph = new GraphBuilder("joint attention");
  const projections = (kind: "first" | "second", seed: number): Projections => {
    const inputs = [0, 1, 2].map((i) => {
      tensors[`${kind}${i}`] = normalNoise(sizes[kind], seed + i);
      return graph.input(`${kind}${i}`, sizes[kind]);
    });
    return [inputs[0]!, inputs[1]!, inputs[2]!];
  };
  const [first, second] = [projections("first", 1), projections("second", 11)];
  graph.output("mixed", mixJointly(graph, { first, second }, { heads: HEADS }));
  const backend = await openWasm();
  const session = await loadWithWeights(backend, graph, NO_WEIGHTS);
  const inputs = Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, backend.upload(tensor)]),
  );
  const { mixed } = await whileAlive(inputs, () => session.run(inputs, ["mixed"]));
  const actual = await takeDown(backend, mixed!);
  const joined = (i: number): HostTensor =>
    concat([tensors[`first${i}`]!, tensors[`second${i}`]!].map(wide), 1);
  const expected = attention(joined(0), joined(1), joined(2), HEADS);
  assertClose(actual, expected, { tolerance: 1e-6, what: "mixed values" }); // sums of 8 products
  await session.dispose();
  await backend.dispose();
});

function wide({ dims, data }: Tensor): HostTensor {
  return { dims, data: Float64Array.from(data) };
}

const NO_WEIGHTS = {
  names: new Set<string>(),
  dims: () => undefined,
  read: () => Promise.reject(new Error("there are none")),
  sample: () => Promise.reject(new Error("there are none")),
};
