/** Integer layers against plain arithmetic, on every CPU provider. */

import { assert, assertEquals } from "@std/assert";
import type { Backend } from "../../src/backend/backend.ts";
import { openBackend } from "../../src/backend/select.ts";
import { exactByteType } from "../../src/engine/precision/byte_product.ts";
import { GraphBuilder, type Node } from "../../src/onnx/graph.ts";
import type { LinearLowering } from "../../src/onnx/graph.ts";
import { linearLayer } from "../../src/onnx/linear.ts";
import { encodeModel, type WeightNumbers } from "../../src/onnx/model_proto.ts";
import { blockLowering, byteLowering } from "../../src/onnx/quantized.ts";
import {
  BLOCK,
  dequantize,
  quantizeBlocks,
  quantizeColumns,
  type QuantizedMatrix,
} from "../../src/tensor/quantize.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { sliceRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { requires } from "../_shim/requires.ts";

const [TOKENS, WIDTH, OUT] = [5, 96, 72];
const WEIGHT = normalNoise([OUT, WIDTH], 1);
const BIAS = normalNoise([OUT], 2);

for (const name of ["wasm", "native"] as const) {
  const options = await requires(`integer layers on ${name}`, ...name === "wasm" ? [] : [name]);
  Deno.test(`int8 layers are plain integer arithmetic on ${name}`, options, async () => {
    await withBackend(name, async (backend) => {
      const x = inputs(3);
      const result = await runLayer(backend, x, await exact(backend), quantizeColumns(WEIGHT));
      const wanted = byteReference(x, quantizeColumns(WEIGHT));
      // Integers are exact on both sides; behind them three float32 roundings, of which the last may be
      // one with the product before it: two units in the last place of the largest term.
      assertWithin(result, wanted, 2 * 2 ** -23 * 20);
    });
  });

  Deno.test(`int8 layers are exact at the largest products on ${name}`, options, async () => {
    await withBackend(name, async (backend) => {
      const x = { dims: [1, TOKENS, WIDTH], data: new Float32Array(TOKENS * WIDTH).fill(3) };
      const ones = { dims: [OUT, WIDTH], data: new Float32Array(OUT * WIDTH).fill(0.5) };
      const result = await runLayer(backend, x, await exact(backend), quantizeColumns(ones));
      const wanted = byteReference(x, quantizeColumns(ones));
      assertWithin(result, wanted, 3 * 0.5 * WIDTH * 2 ** -22); // as above
    });
  });

  Deno.test(`signed and unsigned bytes give the same bits on ${name}`, options, async () => {
    await withBackend(name, async (backend) => {
      // Half of the range: pairs of products fit in 16 bits, so signed bytes are exact on every CPU.
      const matrix = quantizeColumns(WEIGHT);
      const small = { ...matrix, values: Int8Array.from(matrix.values, (value) => value >> 1) };
      const signed = await runLayer(backend, inputs(4), byteLowering("int8"), small);
      const unsigned = await runLayer(backend, inputs(4), byteLowering("uint8"), small);
      assertEquals(unsigned.data, signed.data);
    });
  });

  Deno.test(
    `an image's bits do not depend on its batch in int8 and int4 on ${name}`,
    options,
    async () => {
      await withBackend(name, async (backend) => {
        const x = inputs(5);
        x.data.subarray(TOKENS * WIDTH, 2 * TOKENS * WIDTH).forEach((v, i, all) =>
          all[i] = v * 1000
        );
        for (const [lowering, matrix] of LOWERINGS) {
          const together = await runLayer(backend, x, lowering, matrix);
          for (let i = 0; i < 5; i++) {
            const alone = await runLayer(backend, sliceRows(x, i, 1), lowering, matrix);
            assertEquals(alone.data, sliceRows(together, i, 1).data);
          }
        }
      });
    },
  );

  Deno.test(`int4 layers are those of the rounded weights on ${name}`, options, async () => {
    await withBackend(name, async (backend) => {
      const matrix = quantizeBlocks(WEIGHT);
      const x = inputs(6);
      const result = await runLayer(backend, x, blockLowering(BLOCK), matrix);
      const wanted = reference(x, dequantize(matrix).data);
      // A sum of 96 float32 products of about 1, in another order.
      assertWithin(result, wanted, 96 * 2 ** -24 * 4);
    });
  });
}

Deno.test("layers that read the same numbers share their rounding", () => {
  const graph = new GraphBuilder("shared");
  graph.lowered(byteLowering("int8"), () => {
    const [x, y] = [graph.input("x", ["N", TOKENS, WIDTH]), graph.input("y", ["N", WIDTH])];
    for (const weight of ["q", "k", "v"]) linearLayer(graph, x, { weight, out: OUT });
    linearLayer(graph, y, { weight: "other", out: OUT });
  });
  const count = (name: string): number =>
    graph.operations.filter(({ operator }) => operator === name).length;
  assertEquals([count("MatMulIntegerToFloat"), count("QuantizeLinear")], [4, 2]);
});

Deno.test("a lowering holds for the part that is built with it, also when that fails", () => {
  const graph = new GraphBuilder("part");
  const x = graph.input("x", [1, WIDTH]);
  const layer = (weight: string): Node => linearLayer(graph, x, { weight, out: OUT });
  layer("before");
  try {
    graph.lowered(byteLowering("int8"), () => {
      layer("within");
      throw new Error("stop");
    });
  } catch { /* as thrown just above */ }
  layer("behind");
  assertEquals(
    graph.parameters.map(({ name, type }) => `${name} ${type}`),
    ["before float32", "within int8", "within.scale float32", "behind float32"],
  );
});

const LOWERINGS: readonly (readonly [LinearLowering, QuantizedMatrix])[] = [
  [byteLowering("int8"), quantizeColumns(WEIGHT)],
  [blockLowering(BLOCK), quantizeBlocks(WEIGHT)],
];

/** The lowering that multiplies bytes exactly on this machine. */
async function exact(backend: Backend): Promise<LinearLowering> {
  return byteLowering(await exactByteType(backend));
}

function inputs(seed: number): Tensor {
  return normalNoise([5, TOKENS, WIDTH], seed);
}

async function withBackend(
  name: Backend["name"],
  use: (backend: Backend) => Promise<void>,
): Promise<void> {
  const { backend } = await openBackend({ backend: name });
  try {
    await use(backend);
  } finally {
    await backend.dispose();
  }
}

async function runLayer(
  backend: Backend,
  x: Tensor,
  lowering: LinearLowering,
  matrix: QuantizedMatrix,
): Promise<Tensor> {
  const graph = new GraphBuilder("layer");
  const input = graph.input("x", ["N", TOKENS, WIDTH]);
  const layer = { weight: "w", bias: "b", out: OUT };
  graph.output("y", graph.lowered(lowering, () => linearLayer(graph, input, layer)));
  const type = graph.parameters.find(({ name }) => name === "w")?.type;
  const values = type === "uint8" && matrix.bits === 8
    ? Uint8Array.from(matrix.values, (value) => value + 128)
    : matrix.values;
  const weights = new Map<string, WeightNumbers>([["w", values], ["w.scale", matrix.scales]]);
  weights.set("b", BIAS.data);
  const session = await backend.load(encodeModel(graph, { weights }));
  const given = { x: backend.upload(x) };
  const { y } = await session.run(given, ["y"]);
  const result = await backend.download(y!); // the only output
  [given.x, y!].forEach((value) => value.dispose());
  await session.dispose();
  return result;
}

/** Rounds every token by itself, multiplies integers, and scales. */
function byteReference(x: Tensor, { values, scales }: QuantizedMatrix): Float64Array {
  const rows = x.data.length / WIDTH;
  const wanted = new Float64Array(rows * OUT);
  for (let row = 0; row < rows; row++) {
    const token = x.data.subarray(row * WIDTH, (row + 1) * WIDTH);
    const largest = token.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
    const scale = Math.fround(largest * Math.fround(1 / 127));
    const bytes = Array.from(token, (number) => roundHalfEven(Math.fround(number / scale)));
    for (let column = 0; column < OUT; column++) {
      const sum = bytes.reduce((total, byte, k) => total + byte * values[k * OUT + column]!, 0);
      wanted[row * OUT + column] = sum * scales[column]! * scale + BIAS.data[column]!;
    }
  }
  return wanted;
}

function reference(x: Tensor, weight: Float32Array): Float64Array {
  const rows = x.data.length / WIDTH;
  return Float64Array.from({ length: rows * OUT }, (_, i) => {
    const [row, column] = [Math.floor(i / OUT), i % OUT];
    let sum = BIAS.data[column]!;
    for (let k = 0; k < WIDTH; k++) sum += x.data[row * WIDTH + k]! * weight[column * WIDTH + k]!;
    return sum;
  });
}

function roundHalfEven(number: number): number {
  const floor = Math.floor(number);
  if (number - floor !== 0.5) return Math.round(number);
  return floor % 2 === 0 ? floor : floor + 1;
}

function assertWithin({ data }: Tensor, wanted: Float64Array, tolerance: number): void {
  assertEquals(data.length, wanted.length);
  const worst = wanted.reduce((most, number, i) => Math.max(most, Math.abs(number - data[i]!)), 0);
  assert(worst <= tolerance, `off by ${worst}, allowed ${tolerance}`);
}
