/**
 * Writes a FLUX.1-dev directory of zeros, a sparse file of 23.8 GB that takes no room on the disk, for
 * measuring what does not depend on the numbers:
 *
 *     deno run --allow-write scripts/make/sparse_flux.ts /tmp/flux-dev
 */
import { parseFluxConfig } from "../../src/model/flux/config.ts";
import { fluxTensors } from "../../src/model/flux/tensors.ts";
import { writeSparse } from "./sparse_file.ts";

const [folder = "flux-dev"] = Deno.args;
const config = { _class_name: "FluxTransformer2DModel", guidance_embeds: true };
const tensors = fluxTensors(parseFluxConfig(config));
await writeSparse(folder, { config, file: "diffusion_pytorch_model.safetensors", tensors });
