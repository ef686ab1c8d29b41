/** The golden diffusers pipeline as files in memory, to be changed by tests. */

const FOLDER = new URL("../golden/dit-a-diffusers/", import.meta.url);
const NAMES = [
  "model_index.json",
  "scheduler/scheduler_config.json",
  "transformer/config.json",
  "transformer/diffusion_pytorch_model.safetensors",
] as const;

/** JSON files, and what is changed in them. */
export type Changes = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Its files by path; keys of `changes` are set in the JSON files of that name, `undefined` removes one. */
export async function pipelineFiles(changes: Changes = {}): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of NAMES) files.set(name, await Deno.readFile(new URL(name, FOLDER)));
  for (const [name, change] of Object.entries(changes)) {
    const json: object = JSON.parse(new TextDecoder().decode(files.get(name)));
    files.set(name, new TextEncoder().encode(JSON.stringify({ ...json, ...change })));
  }
  return files;
}
