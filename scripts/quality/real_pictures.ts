/**
 * The real test pictures, where Debian's package `dataset-fashion-mnist` has put them.
 */
import { gunzipSync } from "node:zlib";
import type { Picture } from "../../src/image/picture.ts";

/** Pictures with what they show. */
export interface RealPictures {
  /** Grey, 32 × 32: the 28 × 28 of the data set in a black frame. */
  readonly pictures: readonly Picture[];
  /** Class of each. */
  readonly labels: readonly number[];
}

/** Where Debian's package puts the data set. */
export const REAL_FOLDER = "/usr/share/datasets/fashion-mnist";
const SIDE = 28;
const FRAME = 2; // pixels on each side

/** The 10,000 test pictures; `undefined` when the package is not installed. */
export async function readRealPictures(folder = REAL_FOLDER): Promise<RealPictures | undefined> {
  try {
    const images = await readIdx(`${folder}/t10k-images-idx3-ubyte.gz`);
    const labels = await readIdx(`${folder}/t10k-labels-idx1-ubyte.gz`);
    const pictures = Array.from(labels, (_, i) => framed(images.subarray(i * SIDE * SIDE)));
    return { pictures, labels: [...labels] };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The first `count` pictures in which every class is as frequent as any other, and all the rest. */
export function splitBalanced(
  { pictures, labels }: RealPictures,
  count: number,
): { readonly first: RealPictures; readonly rest: RealPictures } {
  const share = Math.ceil(count / new Set(labels).size);
  const seen = new Map<number, number>();
  const inFirst = labels.map((label) => {
    const before = seen.get(label) ?? 0;
    seen.set(label, before + 1);
    return before < share;
  });
  const where = (wanted: boolean): RealPictures => ({
    pictures: pictures.filter((_, i) => inFirst[i] === wanted),
    labels: labels.filter((_, i) => inFirst[i] === wanted),
  });
  return { first: where(true), rest: where(false) };
}

/** Bytes of a gzipped idx file behind its header: four bytes, and four for each dimension. */
async function readIdx(path: string): Promise<Uint8Array> {
  const content = gunzipSync(await Deno.readFile(path));
  return content.subarray(4 + 4 * content[3]!); // the rank
}

function framed(image: Uint8Array): Picture {
  const side = SIDE + 2 * FRAME;
  const pixels = new Uint8Array(side * side);
  for (let y = 0; y < SIDE; y++) {
    pixels.set(image.subarray(y * SIDE, (y + 1) * SIDE), (y + FRAME) * side + FRAME);
  }
  return { width: side, height: side, channels: 1, pixels };
}
