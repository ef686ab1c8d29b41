import { assertEquals } from "@std/assert";
import { picturesOf, psnrOf } from "../../src/calibrate/pictures.ts";
import { openTrials, psnrToFull, trial } from "../../src/calibrate/trials.ts";
import { resolveRequest } from "../../src/engine/request.ts";
import { openEngine } from "../../src/engine/engine.ts";
import { fullSteps } from "../../src/engine/segment/step_segments.ts";
import { latentPsnr, psnr } from "../../src/image/psnr.ts";

const GOLDEN = new URL("../golden/", import.meta.url);

Deno.test("latents are compared as pictures where the model has an autoencoder, else by their range", async () => {
  for (const [name, channels] of [["dit-a-diffusers", 3], ["dit-a", 4]] as const) {
    const pipeline = await openEngine({ model: new URL(`${name}/`, GOLDEN), backend: "wasm" });
    try {
      const request = resolveRequest(pipeline.model, { count: 2, steps: 2, seed: 1 });
      const trials = await openTrials({ pipeline, request });
      const { modules } = pipeline.model.transformer;
      const other = await trial(trials, fullSteps(2, modules.length), [
        { ...trials.full[1]!, latent: request.noise }, // as if the first step had done nothing
      ]);
      const about = { pipeline, scene: request.scene };
      const [one, full] = [
        await picturesOf(other.at(-1)!.latent, about),
        await picturesOf(trials.full.at(-1)!.latent, about),
      ];
      assertEquals([one.dims[0], one.dims[1]], [2, channels]);
      const found = psnrOf(pipeline, one, full);
      assertEquals(found, (name === "dit-a" ? latentPsnr : psnr)(one, full));
      assertEquals(await psnrToFull(trials, other), (found[0]! + found[1]!) / 2);
    } finally {
      await pipeline.close();
    }
  }
});
