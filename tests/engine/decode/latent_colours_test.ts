import { assert, assertEquals } from "@std/assert";
import {
  fitColours,
  paintLatents,
  sampleLatents,
} from "../../../src/engine/decode/latent_colours.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

const FACTORS = [[0.1, -0.2, 0.05, 0.02], [0, 0.1, 0.1, -0.1], [0.2, 0, -0.1, 0.3]] as const;

/** A decoder that is linear but for a pattern within latent pixels that has mean 0. */
function decode({ dims: [n = 0, , height = 0, width = 0], data }: Tensor): Tensor {
  const [tall, wide] = [2 * height, 2 * width];
  const picture = new Float32Array(n * 3 * tall * wide);
  picture.forEach((_, i) => {
    const [x, y, c] = [i % wide, Math.floor(i / wide) % tall, Math.floor(i / wide / tall) % 3];
    const at = (channel: number): number => {
      const plane = Math.floor(i / wide / tall / 3) * 3 + channel;
      return data[(plane * height + Math.floor(y / 2)) * width + Math.floor(x / 2)]!;
    };
    const factors = FACTORS[c]!;
    const colour = factors[0] * at(0) + factors[1] * at(1) + factors[2] * at(2) + factors[3];
    picture[i] = colour + ((x + y) % 2 === 0 ? 0.3 : -0.3);
  });
  return { dims: [n, 3, tall, wide], data: picture };
}

Deno.test("fitColours() finds the linear part of a decoder", () => {
  const latents = sampleLatents(3);
  const colours = fitColours(latents, decode(latents));
  colours.forEach((factors, c) =>
    factors.forEach((factor, i) => assert(Math.abs(factor - FACTORS[c]![i]!) < 1e-5))
  );
});

Deno.test("paintLatents() maps every latent pixel by itself and stays within [-1, 1]", () => {
  const latents = normalNoise([2, 3, 4, 5], 8);
  const colours = fitColours(latents, decode(latents));
  const preview = paintLatents(colours, latents);
  assertEquals(preview.dims, [2, 3, 4, 5]);
  const picture = decode(latents);
  const wanted = picture.data[0]! - 0.3; // the corner without its pattern
  assert(Math.abs(preview.data[0]! - wanted) < 1e-5);
  const bright = { dims: latents.dims, data: latents.data.map((v) => 100 * v) };
  assert(paintLatents(colours, bright).data.every((v) => v >= -1 && v <= 1));
});

Deno.test("sampleLatents() are always the same, of variance 1, and smooth in part", () => {
  const { dims, data } = sampleLatents(16);
  assertEquals(dims, [1, 16, 16, 16]);
  assertEquals(sampleLatents(16).data, data);
  const square = data.reduce((sum, v) => sum + v * v, 0) / data.length;
  assert(Math.abs(square - 1) < 0.3); // the coarsest scale is 16 numbers
  const steps = data.reduce((sum, v, i) => i % 16 === 0 ? sum : sum + v * data[i - 1]!, 0);
  assert(steps / data.length > 0.3);
});

Deno.test("fitColours() of latents that are all the same ends in numbers", () => {
  const latents = { dims: [1, 3, 2, 2], data: new Float32Array(12) };
  const colours = fitColours(latents, decode(latents));
  assert(colours.every((factors) => factors.every(Number.isFinite)));
});
