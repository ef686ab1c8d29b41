/**
 * Writes `models/fashion-dit/model.json`: facts, the sha256 of every tensor, the fingerprint.
 *
 * Run: `deno run --allow-read --allow-write scripts/make/manifest.ts`
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { fingerprint } from "../../src/assets/fingerprint.ts";
import { parseManifest } from "../../src/assets/manifest.ts";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import type { TensorEntry } from "../../src/assets/formats/safetensors_header.ts";
import { openDirectory, type Source } from "../../src/assets/source.ts";
import { fileWeights } from "../../src/assets/weights.ts";
import { parseDitConfig } from "../../src/model/dit/config.ts";
import { checkDitTensors } from "../../src/model/dit/dit.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

const DIRECTORY = FASHION_DIT;
const WEIGHTS = "weights.safetensors";

const FACTS = {
  format: 1,
  id: "fashion-dit",
  architecture: "dit",
  config: {
    input_size: 32,
    patch_size: 4,
    in_channels: 1,
    hidden_size: 192,
    depth: 12,
    num_heads: 3,
    num_classes: 10,
    learn_sigma: true,
  },
  classNames: [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
  ],
  sampler: { name: "ddim", steps: 50, guidance: 2 },
  licence: "MIT",
  dataNotice: "Trained on Fashion-MNIST, Copyright 2017 Zalando SE, licence MIT (Expat), " +
    "https://github.com/zalandoresearch/fashion-mnist; see DATA-LICENSE.txt",
};

if (import.meta.main) {
  const source = openDirectory(DIRECTORY);
  try {
    const manifest = await describe(source);
    parseManifest(manifest); // proves that we can read what we write
    await Deno.writeTextFile(
      new URL("model.json", DIRECTORY),
      `${JSON.stringify(manifest, null, 2)}\n`,
    );
    console.log(`models/fashion-dit/model.json: ${manifest.fingerprint}`);
  } finally {
    await source.close();
  }
}

type ManifestJson = typeof FACTS & {
  readonly fingerprint: string;
  readonly sha256: Readonly<Record<string, string>>;
};

async function describe(source: Source): Promise<ManifestJson> {
  const file = await openSafetensors(source, WEIGHTS);
  const config = parseDitConfig(FACTS.config);
  const weights = fileWeights(file);
  const names = checkDitTensors(config, weights);
  const subject = { architecture: FACTS.architecture, config, names };
  const hashes: [string, string][] = [];
  for (const [name, entry] of file.tensors) hashes.push([name, await hashOf(source, entry)]);
  return {
    ...FACTS,
    fingerprint: await fingerprint(weights, subject),
    sha256: Object.fromEntries(hashes),
  };
}

async function hashOf(source: Source, { begin, end }: TensorEntry): Promise<string> {
  const hash = sha256.create();
  for await (const block of source.stream(WEIGHTS, { offset: begin, length: end - begin })) {
    hash.update(block);
  }
  return bytesToHex(hash.digest());
}
