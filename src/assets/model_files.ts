/**
 * Which files of a repository a model needs, told by their names.
 *
 * @module
 */

/** Names that weights go by; with one of them there, others are other models. */
const CONVENTIONAL: readonly string[] = [
  "weights.safetensors",
  "model.safetensors",
  "diffusion_pytorch_model.safetensors",
  "diffusion_pytorch_model.bin",
];
/** Folders of a pipeline that are read; text encoders are the caller's. */
const FOLDERS: readonly string[] = ["transformer", "vae", "scheduler"];

/**
 * Descriptions and weights: safetensors, or where there are none PyTorch's files. Of a pipeline those of its transformer, VAE and scheduler; elsewhere what lies
 * at the top. Copies in other number formats (`….fp16.safetensors`) are left out where the plain one is.
 *
 * @param paths All files, from the model's folder.
 * @param file The weights, where the location names them.
 */
export function modelFiles(paths: Iterable<string>, file?: string): readonly string[] {
  const all = [...paths];
  const folders = file === undefined && all.includes("model_index.json") ? ["", ...FOLDERS] : [""];
  return folders.flatMap((folder) => {
    const here = all.filter((path) => folderOf(path) === folder);
    const weights = file !== undefined
      ? here.filter((path) => path === file)
      : folder === "" && folders.length > 1
      ? []
      : weightsOf(here);
    return [...here.filter((path) => path.endsWith(".json")), ...weights];
  });
}

function weightsOf(paths: readonly string[]): readonly string[] {
  const safe = paths.filter((path) => /\.safetensors$/i.test(path));
  const weights = safe.length > 0 ? safe : paths.filter((path) => /\.(?:pth?|bin)$/i.test(path));
  const conventional = weights.filter((path) => CONVENTIONAL.includes(nameOf(path)));
  if (conventional.length > 0) return conventional.slice(0, 1);
  const plain = weights.filter((path) => !/\.(?:fp16|bf16|fp8|fp32)[.-]/i.test(nameOf(path)));
  return plain.length > 0 ? plain : weights;
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
