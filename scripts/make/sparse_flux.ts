/**
 * Writes a FLUX.1-dev directory of zeros, a sparse file of 23.8 GB that takes no room on the disk, for
 * measuring what does not depend on the numbers:
 *
 *     deno run --allow-write scripts/make/sparse_flux.ts /tmp/flux-dev
 */
import { mkdir, open } from "node:fs/promises";
import { encodeHeader } from "../../src/assets/formats/safetensors_writer.ts";
import { parseFluxConfig } from "../../src/model/flux/config.ts";
import { fluxTensors } from "../../src/model/flux/tensors.ts";
import { elementCount } from "../../src/tensor/tensor.ts";

const [folder = "flux-dev"] = Deno.args;
const config = { _class_name: "FluxTransformer2DModel", guidance_embeds: true };
const tensors = fluxTensors(parseFluxConfig(config));
const header = encodeHeader(
  new Map([...tensors].map(([name, dims]) => [name, { dtype: "F16" as const, dims }])),
);
const count = [...tensors.values()].reduce((sum, dims) => sum + elementCount(dims), 0);
await mkdir(folder, { recursive: true });
await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
const file = await open(`${folder}/diffusion_pytorch_model.safetensors`, "w");
await file.writeFile(header);
await file.truncate(header.length + 2 * count);
await file.close();
