import { assertAlmostEquals, assertEquals } from "@std/assert";
import { firstChannels, guide } from "../../src/sampler/guidance.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { tensor } from "../tensor/checked_tensor.ts";

Deno.test("guide() is null + scale·(conditional − null) on the guided channels", () => {
  const [n, channels, predicted, plane] = [2, 4, 8, 6];
  const prediction = normalNoise([2 * n, predicted, 2, 3], 1);
  const { dims, data } = guide(prediction, { axis: 1, count: channels }, { scale: 4, channels: 3 });
  assertEquals(dims, [n, channels, 2, 3]);
  data.forEach((value, flat) => {
    const [row, i] = [Math.floor(flat / (channels * plane)), flat % (channels * plane)];
    const conditional = prediction.data[row * predicted * plane + i]!;
    const unconditional = prediction.data[(n + row) * predicted * plane + i]!;
    const guided = unconditional + 4 * (conditional - unconditional);
    const wanted = i < 3 * plane ? guided : conditional;
    assertAlmostEquals(value, wanted, 4e-6); // three float32 roundings of numbers up to 20
  });
});

Deno.test("guide() with scale 1 is the conditional half, with scale 0 the null half", () => {
  const prediction = tensor([2, 1, 1, 2], Float32Array.of(1, 2, 5, 7));
  assertEquals(
    guide(prediction, { axis: 1, count: 1 }, { scale: 1, channels: 1 }).data,
    Float32Array.of(1, 2),
  );
  assertEquals(
    guide(prediction, { axis: 1, count: 1 }, { scale: 0, channels: 1 }).data,
    Float32Array.of(5, 7),
  );
});

Deno.test("guide() guides every channel when it is told more than there are", () => {
  const prediction = tensor([2, 2, 1, 1], Float32Array.of(1, 2, 0, 0));
  assertEquals(
    guide(prediction, { axis: 1, count: 2 }, { scale: 3, channels: 3 }).data,
    Float32Array.of(3, 6),
  );
});

Deno.test("guide() and firstChannels() take predictions of any rank, and a scale for each picture", () => {
  const flat = normalNoise([4, 6, 8], 3);
  for (const rest of [[8], [2, 4], [2, 2, 2]]) {
    const prediction = tensor([4, 6, ...rest], flat.data);
    const guided = guide(prediction, { axis: 1, count: 4 }, { scale: [2, 5], channels: 3 });
    assertEquals(guided.dims, [2, 4, ...rest]);
    assertEquals(
      guided.data,
      guide(flat, { axis: 1, count: 4 }, { scale: [2, 5], channels: 3 }).data,
    );
    assertEquals(firstChannels(prediction, { axis: 1, count: 4 }).dims, [4, 4, ...rest]);
    for (const [row, scale] of [2, 5].entries()) {
      const alone = guide(flat, { axis: 1, count: 4 }, { scale, channels: 3 });
      assertEquals(
        guided.data.slice(row * 32, row * 32 + 32),
        alone.data.slice(row * 32, row * 32 + 32),
      );
    }
  }
});

Deno.test("guide() leaves its prediction as it is", () => {
  const prediction = normalNoise([2, 2, 2, 2], 5);
  const before = prediction.data.slice();
  guide(prediction, { axis: 1, count: 1 }, { scale: 2, channels: 1 });
  assertEquals(prediction.data, before);
});

Deno.test("firstChannels() leaves the channels of learned variance out, row by row", () => {
  const prediction = tensor([2, 2, 1, 2], Float32Array.of(1, 2, -1, -1, 3, 4, -1, -1));
  assertEquals(
    firstChannels(prediction, { axis: 1, count: 1 }),
    tensor([2, 1, 1, 2], Float32Array.of(1, 2, 3, 4)),
  );
  assertEquals(firstChannels(prediction, { axis: 1, count: 2 }), prediction);
});

Deno.test("channels may be another axis: packed latents are guided as planes are", () => {
  const [scale, count] = [[2, 3], 2];
  const planes = normalNoise([4, 3, 2, 5], 7);
  const wanted = guide(planes, { axis: 1, count }, { scale, channels: 1 });
  const packed = swapped(planes, [4, 3, 10]); // (N, T, C)
  const guided = guide(packed, { axis: 2, count }, { scale, channels: 1 });
  assertEquals(guided, swapped(wanted, [2, 2, 10]));
});

/** `(n, a, b)` as `(n, b, a)`. */
function swapped({ data }: Tensor, [n = 0, a = 0, b = 0]: readonly number[]): Tensor {
  const at = (i: number): number =>
    Math.floor(i / (a * b)) * a * b + (i % a) * b + Math.floor(i / a) % b;
  return tensor([n, b, a], Float32Array.from(data, (_, i) => data[at(i)]!));
}
