/**
 * Encodes a text by a text encoder block by block: seconds, and peak resident memory. Where the folder has
 * `golden.safetensors` with `ids` and `last`, as `scripts/golden/wide_t5.py` writes it, results are compared.
 *
 *     deno run -A scripts/bench/stream_encoder.ts --model /tmp/t5-xxl --backend native --tokens 512
 */
import process from "node:process";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openModelDirectory } from "../../src/assets/model_dir.ts";
import { openDirectory } from "../../src/assets/source.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { openBackend } from "../../src/backend/select.ts";
import { gibibytes, graphBytes } from "../../src/engine/memory/needs.ts";
import { EncoderGraphs } from "../../src/engine/text/encoder_graphs.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { openEncoder } from "../../src/text/open_encoder.ts";
import { parseArgs } from "../parse_args.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "t5-xxl" },
    backend: { type: "string", default: "native" },
    tokens: { type: "string", default: "512" },
  },
});
const directory = await openModelDirectory(values.model, { file: "model.safetensors" });
const encoder = openEncoder(directory, values.model);
const { backend } = await openBackend({ backend: values.backend as BackendName }); // it refuses others
const golden = await goldenOf(values.model);
const { vocabularySize, blocks } = encoder.network;
const ids = golden?.ids ??
  Array.from({ length: Number(values.tokens) }, (_, i) => (i * 7919) % vocabularySize);
const graphs = new EncoderGraphs(backend, encoder);
const before = process.memoryUsage.rss();
const started = performance.now();
const [encoded] = await graphs.encode([{ ids }], { outputs: ["last"], sessions: "freed" });
const seconds = (performance.now() - started) / 1000;
const peak = process.resourceUsage().maxRSS * 1024;
await backend.dispose();
await directory.close();
console.log(
  `${values.model} on ${backend.description}: ${ids.length} tokens through ${blocks.length} blocks of ` +
    `${gibibytes(graphBytes(blocks[0]!.build()))} in ${seconds.toFixed(1)} s; peak RSS ${
      gibibytes(peak)
    }, ${gibibytes(peak - before)} above the start`,
);
if (golden !== undefined) {
  const { data } = encoded!.last!; // asked for
  let [off, most] = [0, 0];
  golden.last.data.forEach((value, i) => {
    off = Math.max(off, Math.abs(value - data[i]!));
    most = Math.max(most, Math.abs(value));
  });
  console.log(`off from the golden by ${(off / most).toExponential(1)} × max`);
  if (!(off / most <= 1e-4)) Deno.exit(1);
}

async function goldenOf(
  folder: string,
): Promise<{ readonly ids: readonly number[]; readonly last: Tensor } | undefined> {
  const source = openDirectory(folder);
  try {
    if (await source.size("golden.safetensors") === undefined) return undefined;
    const file = await openSafetensors(source, "golden.safetensors");
    return { ids: await file.readIntegers("ids"), last: await file.readFloat32("last") };
  } finally {
    await source.close();
  }
}
