import { assert } from "@std/assert";
import { openBackend } from "../../../src/backend/select.ts";
import { Statistics } from "../../../src/engine/decode/group_statistics.ts";
import { fadesOf, spansOf } from "../../../src/engine/decode/tiles.ts";
import { runInTiles } from "../../../src/engine/decode/tilewise.ts";
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
    const signal = undefined;
    const features = await graphs.runMiddle(vae.middle, latent, signal);
    const statistics = new Statistics();
    const whole = await graphs.runPart(vae.up, features, { signal, measure: statistics });
    const stretch = { steps: vae.up, scales: [1, vae.scale], reach: vae.reach } as const;
    const tiled = await runInTiles(graphs, features, { stretch, tile, signal, statistics });
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

Deno.test("tiles of a picture with the whole's statistics encode to its latent, away from seams", async () => {
  await withVae("vae", async ({ vae, weights }) => {
    const { backend } = await openBackend({ backend: "wasm" });
    const graphs = new VaeGraphs(backend, vae, weights);
    const { down: steps, reach } = vae.encoder!; // a golden one has it
    const [height, width, tile] = [40, 38, 32];
    const picture = normalNoise([1, 3, height * vae.scale, width * vae.scale], 3);
    const [signal, statistics] = [undefined, new Statistics()];
    const whole = await graphs.runPart(steps, picture, { signal, measure: statistics });
    const stretch = { steps, scales: [vae.scale, 1], reach } as const;
    const tiled = await runInTiles(graphs, picture, { stretch, tile, signal, statistics });
    const sizes = { tile, overlap: reach };
    const [rows, columns] = [seamsOf(height, sizes), seamsOf(width, sizes)];
    assert(rows.includes(false) && columns.includes(false));
    const largest = whole.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const far = tiled.data.filter((value, i) => {
      const inSeam = rows[Math.floor(i / width) % height] || columns[i % width];
      return !inSeam && Math.abs(value - whole.data[i]!) > 1e-4 * largest;
    });
    await graphs.dispose();
    await backend.dispose();
    assert(far.length === 0, `${far.length} of ${whole.data.length}`);
  });
});
