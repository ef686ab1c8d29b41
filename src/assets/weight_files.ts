/**
 * Which files have a model's weights, told by their names: the same when it is opened and when it is fetched.
 */

import { AssetError } from "../errors.ts";
import type { Source } from "./source.ts";

/** How a file of weights is read; an index says which tensor is in which of several files. */
export type WeightFormat = "safetensors" | "torch" | "index";

/** The weights beside a `model.json`. */
export const WEIGHTS = "weights.safetensors";
/** What describes weights, beside them. */
export const CONFIG = "config.json";
/** Names that weights go by, best first: as a whole, in shards, with their number format, PyTorch's own. */
const CONVENTIONAL: readonly string[] = [
  WEIGHTS,
  "model.safetensors",
  "diffusion_pytorch_model.safetensors",
  "model.safetensors.index.json",
  "diffusion_pytorch_model.safetensors.index.json",
  "diffusion_pytorch_model.fp16.safetensors",
  "diffusion_pytorch_model.safetensors.index.fp16.json",
  "diffusion_pytorch_model.bin",
  "diffusion_pytorch_model.bin.index.json",
];
const FORMATS: readonly (readonly [RegExp, WeightFormat])[] = [
  [/\.(?:safetensors|sft)$/i, "safetensors"],
  [/\.(?:pth?|bin)$/i, "torch"],
  [/\.(?:safetensors|bin)\.index(?:\.[\w-]+)?\.json$/i, "index"],
];
const SHARD = /-\d{5}-of-\d{5}\./;
/** A copy in another number format, beside the plain one. */
const COPY = /\.(?:fp16|bf16|fp8|fp32)\.|\.index\.[\w-]+\.json$/i;
const EXTENSION = /\.(?:safetensors|sft|pth?|bin)(?:\.index.*)?$/i;
const CONVENTIONAL_STEM = /^(?:weights|model|diffusion_pytorch_model)\./;

/** How a file is read; `undefined` for what has no weights. */
export function weightFormat(path: string): WeightFormat | undefined {
  return FORMATS.find(([names]) => names.test(path))?.[1];
}

/** The folder that a path names, and the file of weights that it ends in. */
export function splitPath(path: string): { readonly folder: string; readonly file?: string } {
  const [file = ""] = /[^/\\]*$/.exec(path)!; // of any text
  if (weightFormat(file) === undefined) return { folder: path };
  return { folder: path.slice(0, path.length - file.length), file };
}

/** What a model is called by the name of its weights; `undefined` where many models' go by that name. */
export function nameOfWeights(path: string): string | undefined {
  return CONVENTIONAL_STEM.test(path) ? undefined : path.replace(EXTENSION, "");
}

/**
 * The one file of a folder that has the weights, or the index of several. Safetensors go before PyTorch's
 * files, usual names before others, and plain names before those of copies in other number formats.
 *
 * @throws {AssetError} When there is none, or one as good as another.
 */
export async function findWeights(source: Source): Promise<string> {
  const names = await source.list() ?? await usualNames(source);
  const files = preferred(
    names.filter((name) => weightFormat(name) !== undefined),
    (name) => /\.(?:safetensors|sft)\b/i.test(name),
    (name) => !SHARD.test(name),
  );
  const usual = CONVENTIONAL.find((name) => files.includes(name));
  const [first, ...others] = preferred(files, (name) => !COPY.test(name));
  const found = usual ?? (others.length === 0 ? first : undefined);
  if (found !== undefined) return found;
  throw new AssetError(
    `Cannot open model in ${source.name}: it must have model.json, model_index.json, or one file of ` +
      `weights (.safetensors, .sft, .pt, .pth, .bin or the index of shards): current value is ${
        first === undefined
          ? "none of them"
          : `${1 + others.length} files, such as ${first} and ${others[0]}: name the one to open`
      }`,
  );
}

/** The first of the usual names that is there. */
async function usualNames(source: Source): Promise<readonly string[]> {
  for (const name of CONVENTIONAL) if (await source.size(name) !== undefined) return [name];
  return [];
}

/** Those that meet a condition, where any do; and so on. */
function preferred(
  names: readonly string[],
  ...conditions: readonly ((name: string) => boolean)[]
): readonly string[] {
  return conditions.reduce((left, condition) => {
    const better = left.filter(condition);
    return better.length > 0 ? better : left;
  }, names);
}
