import { assertEquals, assertRejects } from "@std/assert";
import { parseManifest } from "../../src/assets/manifest.ts";
import { AssetError } from "../../src/errors.ts";
import { samplerOf } from "../../src/model/model_sampler.ts";
import type { SamplerDefaults } from "../../src/sampler/config.ts";

const ORIGINAL: SamplerDefaults = { name: "ddim", steps: 50, guidance: 4 };
const SCHEDULER = { _class_name: "DDIMScheduler", clip_sample: false };
const SPACING = {
  kind: "leading",
  offset: 0,
  endsAtOne: true,
  betas: { first: 0.0001, last: 0.02, curve: "linear" },
} as const;

/** The sampler of a directory with a manifest of this sampler, or a scheduler, or neither. */
function samplerIn(
  { manifest, scheduler, choice }: {
    readonly manifest?: unknown;
    readonly scheduler?: unknown;
    readonly choice?: "original";
  },
): Promise<SamplerDefaults> {
  const json = {
    ...{ format: 1, id: "a", architecture: "dit", config: {}, classNames: [], licence: "MIT" },
    ...{ dataNotice: "none", sha256: {}, sampler: manifest },
  };
  return samplerOf(
    {
      ...(manifest !== undefined && { manifest: parseManifest(json) }),
      readScheduler: () => Promise.resolve(scheduler),
    },
    choice,
    {
      predicts: "noise",
      original: ORIGINAL,
      pipeline: { guidanceChannels: 4 },
    },
  );
}

Deno.test("a model is sampled as its manifest says, else as its scheduler, else as the original", async () => {
  const manifest = { name: "ddim", steps: 20, guidance: 2 };
  assertEquals<unknown>(await samplerIn({ manifest, scheduler: SCHEDULER }), manifest);
  const scheduled = { ...ORIGINAL, guidanceChannels: 4, spacing: SPACING };
  assertEquals(await samplerIn({ scheduler: SCHEDULER }), scheduled);
  assertEquals(await samplerIn({}), ORIGINAL);
});

Deno.test("sampler original keeps a manifest of the original's times, and needs no scheduler that we know", async () => {
  const choice = "original";
  const manifest = { name: "ddim", steps: 20, guidance: 2 };
  assertEquals<unknown>(await samplerIn({ manifest, choice }), manifest);
  assertEquals(await samplerIn({ manifest: { ...manifest, spacing: SPACING }, choice }), ORIGINAL);
  assertEquals(await samplerIn({ scheduler: { _class_name: "PNDMScheduler" }, choice }), ORIGINAL);
});

Deno.test("a manifest's sampler and a scheduler are refused where they cannot be read", async () => {
  await assertRejects(
    () => samplerIn({ manifest: { ...ORIGINAL, eta: 0 } }),
    AssetError,
    'Cannot read model.json: sampler must not have the key "eta"',
  );
  await assertRejects(
    () => samplerIn({ scheduler: { _class_name: "PNDMScheduler" } }),
    AssetError,
    "PNDMScheduler is not supported for a model that predicts noise; supported are DDIMScheduler",
  );
});
