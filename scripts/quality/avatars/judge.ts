/**
 * A classifier of avatars' attributes, which lies outside of the repository: `judge.onnx`, `judge.json`.
 *
 * Input `image` `[N, 3, 128, 128]` in [−1, 1]; logits for each attribute, whose names `judge.json` has.
 */
import { z } from "zod";
import type { Backend } from "../../../src/backend/backend.ts";
import { sliceRows } from "../../../src/tensor/rows.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { ATTRIBUTES, type AvatarPrompt } from "./prompts.ts";

/** The judge on a backend. */
export interface AvatarJudge {
  /** For each picture, the name of what it shows of each attribute. Pictures `(n, 3, 128, 128)`. */
  look(pictures: Tensor): Promise<readonly Readonly<Record<string, string>>[]>;
  /** Frees its session. */
  dispose(): Promise<void>;
}

const schema = z.looseObject({ labels: z.record(z.string(), z.array(z.string())) });
const BATCH = 50;

/** Loads the judge of a folder. */
export async function openAvatarJudge(backend: Backend, folder: string): Promise<AvatarJudge> {
  const { labels } = schema.parse(JSON.parse(await Deno.readTextFile(`${folder}/judge.json`)));
  const bytes = await Deno.readFile(`${folder}/judge.onnx`);
  const session = await backend.load({ name: "avatar judge", bytes, externalData: [] });
  const lookAtBatch = async (pictures: Tensor): Promise<Record<string, string>[]> => {
    const image = backend.upload(pictures);
    const found = Array.from({ length: pictures.dims[0]! }, (): Record<string, string> => ({}));
    try {
      const outputs = await session.run({ image }, ATTRIBUTES);
      for (const kind of ATTRIBUTES) {
        const { data, dims: [, classes = 1] } = await backend.download(outputs[kind]!); // asked for
        found.forEach((row, i) => row[kind] = labels[kind]![likeliest(data, i, classes)]!);
        outputs[kind]!.dispose();
      }
      return found;
    } finally {
      image.dispose();
    }
  };
  return {
    look: async (pictures) => {
      const found: Record<string, string>[] = [];
      for (let first = 0; first < pictures.dims[0]!; first += BATCH) {
        const count = Math.min(BATCH, pictures.dims[0]! - first);
        found.push(...await lookAtBatch(sliceRows(pictures, first, count)));
      }
      return found;
    },
    dispose: () => session.dispose(),
  };
}

/** Share of a prompt's named attributes, of these kinds, that a picture shows; `undefined` where it names none. */
export function shareFound(
  prompt: AvatarPrompt,
  shown: Readonly<Record<string, string>>,
  kinds: readonly string[],
): number | undefined {
  const named = kinds.filter((kind) => typeof prompt[kind] === "string");
  if (named.length === 0) return undefined;
  return named.filter((kind) => shown[kind] === prompt[kind]).length / named.length;
}

function likeliest(logits: Float32Array, row: number, classes: number): number {
  const own = logits.subarray(row * classes, (row + 1) * classes);
  return own.indexOf(Math.max(...own));
}
