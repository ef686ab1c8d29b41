import { assertAlmostEquals, assertEquals } from "@std/assert";
import { positionEmbedding } from "../../../src/model/dit/embeddings.ts";
import { openSafetensors } from "../../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../../src/assets/source.ts";

const STORED = [
  { model: "golden/dit-a", width: 48, grid: 4 },
  { model: "../models/fashion-dit", width: 192, grid: 8 },
];

for (const { model, width, grid } of STORED) {
  Deno.test(`positionEmbedding() is the pos_embed that the original stored in ${model}`, async () => {
    const source = openDirectory(new URL(`../../${model}/`, import.meta.url));
    const weights = await openSafetensors(source, "weights.safetensors");
    const { dims, data } = await weights.readFloat32("pos_embed");
    assertEquals(dims, [1, grid ** 2, width]);
    const computed = positionEmbedding(width, grid);
    assertEquals(computed.length, data.length);
    computed.forEach((value, i) => {
      const tolerance = Math.max(2 ** -11 * Math.abs(value), 2 ** -25); // half a unit of float16
      assertAlmostEquals(data[i]!, value, tolerance);
    });
    await source.close();
  });
}

Deno.test("positionEmbedding() has columns in its first half and rows in its second", () => {
  const width = 8;
  const token = (index: number): number[] => [
    ...positionEmbedding(width, 3).slice(index * width, (index + 1) * width),
  ];
  const atZero = [0, 0, 1, 1]; // sines, then cosines
  assertEquals(token(0), [...atZero, ...atZero]);
  const atOne = [Math.sin(1), Math.sin(0.01), Math.cos(1), Math.cos(0.01)].map(Math.fround);
  assertEquals(token(1), [...atOne, ...atZero]); // column 1, row 0
  assertEquals(token(3), [...atZero, ...atOne]); // column 0, row 1
});
