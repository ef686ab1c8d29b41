/**
 * A classifier that looks at pictures: see README.md beside it.
 */
import type { Backend } from "../../src/backend/backend.ts";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import type { Picture } from "../../src/image/picture.ts";
import { joinRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { Moments } from "./frechet.ts";

/** What the judge says of n pictures. */
export interface Verdict {
  /** The class that each looks most like. */
  readonly classes: readonly number[];
  /** Its features `(n, 128)`, of which the Fréchet distance is computed. */
  readonly features: Tensor;
}

/** The judge on a backend. */
export interface Judge {
  /** Looks at grey pictures of 32 × 32. */
  look(pictures: readonly Picture[]): Promise<Verdict>;
  /** Frees its session. */
  dispose(): Promise<void>;
}

const SIDE = 32;
const CLASSES = 10;
const BATCH = 100;

/** Loads the judge. */
export async function openJudge(backend: Backend): Promise<Judge> {
  const bytes = await Deno.readFile(new URL("judge.onnx", import.meta.url));
  const session = await backend.load({ name: "judge", bytes, externalData: [] });
  const lookAtBatch = async (pictures: readonly Picture[]): Promise<Verdict> => {
    const image = backend.upload(asImage(pictures));
    try {
      const outputs = await session.run({ image }, ["logits", "features"]);
      const logits = await backend.download(outputs["logits"]!); // asked for
      const features = await backend.download(outputs["features"]!);
      Object.values(outputs).forEach((value) => value.dispose());
      return { classes: likeliest(logits), features };
    } finally {
      image.dispose();
    }
  };
  return {
    look: async (pictures) => {
      const verdicts: Verdict[] = [];
      for (let first = 0; first < pictures.length; first += BATCH) {
        verdicts.push(await lookAtBatch(pictures.slice(first, first + BATCH)));
      }
      return {
        classes: verdicts.flatMap(({ classes }) => classes),
        features: joinRows(verdicts.map(({ features }) => features)),
      };
    },
    dispose: () => session.dispose(),
  };
}

/** Moments of the features of the 10,000 real test pictures. */
export async function realMoments(): Promise<Moments> {
  const source = await openDirectory(new URL("./", import.meta.url));
  try {
    const file = await openSafetensors(source, "real_features.safetensors");
    const { data: mean } = await file.readFloat32("mean");
    const { dims: [size = 0], data } = await file.readFloat32("covariance");
    return {
      mean: Float64Array.from(mean),
      covariance: { size, cells: Float64Array.from(data) },
    };
  } finally {
    await source.close();
  }
}

/** Pictures as numbers in [−1, 1], `(n, 1, 32, 32)`. */
function asImage(pictures: readonly Picture[]): Tensor {
  const data = new Float32Array(pictures.length * SIDE * SIDE);
  pictures.forEach(({ pixels }, i) =>
    data.set(Float32Array.from(pixels, (pixel) => pixel / 127.5 - 1), i * SIDE * SIDE)
  );
  return { dims: [pictures.length, 1, SIDE, SIDE], data };
}

function likeliest({ data }: Tensor): number[] {
  return Array.from({ length: data.length / CLASSES }, (_, row) => {
    const logits = data.subarray(row * CLASSES, (row + 1) * CLASSES);
    return logits.indexOf(Math.max(...logits));
  });
}
