import { assert } from "@std/assert";
import { openBackend } from "../../../src/backend/select.ts";
import { Statistics } from "../../../src/engine/decode/group_statistics.ts";
import { fadesOf, spansOf } from "../../../src/engine/decode/tiles.ts";
import { decodeInTiles } from "../../../src/engine/decode/tilewise.ts";
import { VaeGraphs } from "../../../src/engine/decode/vae_graphs.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import { withVae } from "./small_vae.ts";

/** The issue's own bound, in a picture of [-1, 1]. */
const TWO_LEVELS = 2 / 127.5;

Deno.test("tiles with the whole picture's statistics are it, away from seams as wide as a pixel's reach", async () => {
  await withVae("vae", async ({ vae, weights }) => {
    const { backend } = await openBackend({ backend: "wasm" });
    const graphs = new VaeGraphs(backend, vae, weights);
    const [height, width, tile] = [40, 38, 32];
    const latent = normalNoise([1, vae.latentChannels, height, width], 3);
    const features = await graphs.decodeMiddle(latent, undefined);
    const statistics = new Statistics();
    const whole = await graphs.decodePart(features, { signal: undefined, measure: statistics });
    const tiled = await decodeInTiles(graphs, features, { tile, signal: undefined, statistics });
    const sizes = { tile, overlap: vae.reach };
    const [rows, columns] = [seamsOf(height, sizes), seamsOf(width, sizes)];
    assert(rows.includes(false) && columns.includes(false));
    const worst = { seam: 0, elsewhere: 0 };
    tiled.data.forEach((value, i) => {
      const x = Math.floor(i / vae.scale) % width;
      const y = Math.floor(i / vae.scale ** 2 / width) % height;
      const where = rows[y] || columns[x] ? "seam" : "elsewhere";
      worst[where] = Math.max(worst[where], Math.abs(value - whole.data[i]!));
    });
    await graphs.dispose();
    await backend.dispose();
    console.log(
      `tiles: ${worst.elsewhere.toExponential(1)} off, ${worst.seam.toFixed(2)} at seams`,
    );
    assert(worst.elsewhere <= TWO_LEVELS, `${worst.elsewhere}`);
    assert(worst.seam > TWO_LEVELS, "a seam that is no worse needs no statement");
  });
});

/** Which latent pixels of a side lie in more than one tile. */
function seamsOf(side: number, sizes: { tile: number; overlap: number }): boolean[] {
  const spans = spansOf(side, sizes);
  const fades = fadesOf(spans);
  return Array.from({ length: side }, (_, x) => {
    return spans.filter(({ first, size }, i) =>
      x >= first && x < first + size && fades[i]![x - first]! > 0
    ).length > 1;
  });
}
