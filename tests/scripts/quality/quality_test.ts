import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { drawCounts, intervalOf } from "../../../scripts/quality/bootstrap.ts";
import { eigen } from "../../../scripts/quality/eigen.ts";
import { frechetTo, momentsOf } from "../../../scripts/quality/frechet.ts";
import { openJudge, realMoments } from "../../../scripts/quality/judge.ts";
import { readRealPictures, splitBalanced } from "../../../scripts/quality/real_pictures.ts";
import { differenceOf } from "../../../scripts/quality/report.ts";
import { qualityTable, rivalTable } from "../../../scripts/quality/table.ts";
import {
  type QualityReport,
  type QualityTask,
  reportQuality,
} from "../../../scripts/quality/main.ts";
import { planned, withWeights } from "../../../scripts/bench/rivals.ts";
import { openSafetensors } from "../../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../../src/assets/source.ts";
import { uniformPlan } from "../../../scripts/bench/uniform_plan.ts";
import type { GenerateOptions } from "../../../src/engine/request.ts";
import { openEngine } from "../../../src/engine/engine.ts";
import type { PictureMaker } from "../../../scripts/quality/samples.ts";
import { toPictures } from "../../../src/image/picture.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { openWasm } from "../../../src/backend/wasm.ts";
import { requires } from "../../_shim/requires.ts";
import { FASHION_DIT } from "../../fashion_dit.ts";

/** Features whose sample covariance is exactly ΣΣᵀ with Σ = `columns`, and whose mean is `mean`. */
function featuresOf(mean: readonly number[], columns: readonly (readonly number[])[]): Tensor {
  const rows = columns.flatMap((column) => [1, -1].map((sign) => column.map((x) => sign * x)));
  const scale = Math.sqrt((rows.length - 1) / 2); // n − 1 of n rows, two for each column
  const data = rows.flatMap((row) => row.map((x, d) => scale * x + mean[d]!));
  return { dims: [rows.length, mean.length], data: Float32Array.from(data) };
}

function distance(a: Tensor, b: Tensor): number {
  return frechetTo(momentsOf(b))(a)();
}

Deno.test("eigen() gives back its matrix from orthonormal vectors", () => {
  const size = 48;
  const { data } = normalNoise([size, size], 3);
  const cells = Float64Array.from(data, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size];
    return data[i * size + j]! + data[j * size + i]!;
  });
  const { values, vectors } = eigen({ size, cells });
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      let [product, inner] = [0, 0];
      for (let k = 0; k < size; k++) {
        product += vectors.cells[i * size + k]! * values[k]! * vectors.cells[j * size + k]!;
        inner += vectors.cells[k * size + i]! * vectors.cells[k * size + j]!;
      }
      assertAlmostEquals(product, cells[i * size + j]!, 1e-12); // float64 sums of 48 numbers up to 10
      assertAlmostEquals(inner, i === j ? 1 : 0, 1e-13);
    }
  }
});

Deno.test("Fréchet distance of two Gaussians is the closed form's", () => {
  const tolerance = 1e-5; // features are float32
  const narrow = featuresOf([1, 0], [[2, 0], [0, 1]]);
  const wide = featuresOf([4, 4], [[3, 0], [0, 5]]);
  // Independent: ‖μ − μ′‖² + Σ (σ − σ′)²
  assertAlmostEquals(distance(narrow, wide), 25 + 1 + 16, tolerance);
  assertAlmostEquals(distance(wide, narrow), 25 + 1 + 16, tolerance);
  assertAlmostEquals(distance(narrow, narrow), 0, tolerance);
  // Correlated, 2 × 2: tr (AB)^½ = (tr AB + 2 (det AB)^½)^½; A = [[4, 2], [2, 2]], B = [[9, 0], [0, 25]].
  const correlated = featuresOf([0, 0], [[2, 1], [0, 1]]);
  const apart = featuresOf([0, 0], [[3, 0], [0, 5]]);
  const shared = Math.sqrt((4 * 9 + 2 * 25) + 2 * Math.sqrt(4 * 225));
  assertAlmostEquals(distance(correlated, apart), 6 + 34 - 2 * shared, tolerance);
});

Deno.test("Fréchet distance takes features that never fire", () => {
  const a = featuresOf([1, 0, 0], [[2, 0, 0], [0, 0, 0]]);
  const b = featuresOf([1, 0, 3], [[1, 0, 0], [0, 0, 0]]);
  assertAlmostEquals(distance(a, b), 9 + 1, 1e-5); // float32
});

Deno.test("a row that is counted twice weighs like two", () => {
  const reference = momentsOf(featuresOf([0, 0], [[1, 0], [0, 1]]));
  const rows = Float32Array.of(1, 2, 3, 5, -1, 0);
  const twice = Float32Array.of(1, 2, 1, 2, -1, 0);
  const counted = frechetTo(reference)({ dims: [3, 2], data: rows })(Uint16Array.of(2, 0, 1));
  const copied = frechetTo(reference)({ dims: [3, 2], data: twice })();
  assertAlmostEquals(counted, copied, 1e-12);
});

Deno.test("resamples are the same again and draw n of n", () => {
  const first = drawCounts(1001, 4, 1);
  assertEquals(drawCounts(1001, 4, 1), first);
  assertEquals(first.reduce((sum, count) => sum + count, 0), 1001);
  assert(`${drawCounts(1001, 5, 1)}` !== `${first}` && `${drawCounts(1001, 4, 2)}` !== `${first}`);
  const missed = first.filter((count) => count === 0).length / 1001;
  assertAlmostEquals(missed, Math.exp(-1), 0.05); // three standard deviations of 1001 draws
});

Deno.test("intervalOf() holds 95 % of the resamples, around the estimate", () => {
  const resamples = Array.from({ length: 201 }, (_, i) => 10 + i / 100); // mean 11
  const { low, high } = intervalOf(5, resamples);
  assertAlmostEquals(low, 5 - 0.95, 1e-12);
  assertAlmostEquals(high, 5 + 0.95, 1e-12);
});

Deno.test("the judge knows bags, shoes and trousers of the golden pictures", async () => {
  const source = openDirectory(new URL("../../golden/fashion-dit/", import.meta.url));
  const backend = await openWasm();
  try {
    const golden = await openSafetensors(source, "golden.safetensors");
    const pictures = toPictures(await golden.readFloat32("sample.full"));
    const labels = await golden.readIntegers("sample.label");
    const judge = await openJudge(backend);
    const { classes, features } = await judge.look(pictures);
    assertEquals(features.dims, [labels.length, 128]);
    // Upper-body clothes are hard for it, on real pictures too; of the others it is sure.
    for (const label of [1, 5, 7, 8, 9]) assertEquals(classes[labels.indexOf(label)], label);
    await judge.dispose();
    assertEquals(backend.live, { values: 0, sessions: 0 });
  } finally {
    await backend.dispose();
    await source.close();
  }
});

Deno.test({
  name:
    "the judge is right on 91 % of the real test pictures, and their moments are the stored ones",
  ...await requires("real pictures", "dataset"),
  fn: async () => {
    const real = await readRealPictures();
    assertEquals(real?.labels.length, 10_000);
    const { pictures, labels } = splitBalanced(real!, 2000).first;
    assertEquals(labels.filter((label) => label === 6).length, 200);
    const backend = await openWasm();
    try {
      const judge = await openJudge(backend);
      const { classes, features } = await judge.look(pictures);
      const right = classes.filter((found, i) => found === labels[i]).length;
      assertAlmostEquals(right / labels.length, 0.91, 0.02); // three standard deviations of 2,000
      // A fifth of the pictures is as near to all of them as a fifth can be.
      assert(frechetTo(await realMoments())(features)() < 1);
    } finally {
      await backend.dispose();
    }
  },
});

Deno.test("readRealPictures() says that there are none", async () => {
  assertEquals(await readRealPictures("/nowhere"), undefined);
});

async function withTask(use: (task: QualityTask) => Promise<void>): Promise<void> {
  const pipeline = await openEngine({ model: FASHION_DIT, backend: "wasm" });
  const folder = await Deno.makeTempDir();
  try {
    const plan = await uniformPlan(pipeline.model, { steps: 4, every: 2 });
    const variants = [
      { series: "full", name: "4 steps", speedup: 1, steps: 4 },
      planned(pipeline.model, { series: "bundled", name: "1 of 2", plan }),
      { series: "DDIM", name: "2 steps", speedup: 24.5, steps: 2 },
    ];
    await use({ pipeline, variants, count: 20, seed: 5, batch: 10, folder, resamples: 20 });
  } finally {
    await pipeline.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** What no rerun may change: everything but this machine's seconds is a function of the task. */
function judged({ rows }: QualityReport): unknown {
  return rows.map(({ accuracy, frechet, psnr }) => ({ accuracy, frechet, psnr }));
}

Deno.test("a quality report goes on where it was stopped and says the same", async () => {
  await withTask(async (task) => {
    const heard: string[] = [];
    const onBatch = (done: number, total: number): void => void heard.push(`${done}/${total}`);
    const report = await reportQuality({ ...task, onBatch });
    assertEquals(heard, ["1/6", "2/6", "3/6", "4/6", "5/6", "6/6"]);
    const [full, plan, fewer] = report.rows;
    assertEquals([full!.psnr, full!.timesFaster], [undefined, 1]);
    assert(plan!.psnr!.value > fewer!.psnr!.value && plan!.psnr!.value < 100);
    for (const { accuracy, frechet } of report.rows) {
      assert(accuracy.low <= accuracy.value && accuracy.value <= accuracy.high);
      assert(frechet.low < frechet.value && frechet.value < frechet.high);
    }
    assertEquals(task.pipeline.backend.live.values, 0);

    const asked: GenerateOptions["seed"][] = [];
    const watched = watch(task.pipeline, (seed) => asked.push(seed));
    const again = await reportQuality({ ...task, pipeline: watched });
    assertEquals([asked, judged(again)], [[], judged(report)]);
    await forget(task.folder, "-10-10.safetensors");
    const third = await reportQuality({ ...task, pipeline: watched });
    assertEquals([asked, judged(third)], [[15, 15, 15], judged(report)]);
  });
});

Deno.test("the tables have a row for each variant and for each rival of a plan", async () => {
  await withTask(async (task) => {
    const pictures = toPictures(normalNoise([40, 1, 32, 32], 1));
    const noise = { pictures, labels: pictures.map((_, i) => i % 4) };
    const truth = { latents: normalNoise([3, 1, 32, 32], 5) };
    const { rows, real } = await reportQuality({ ...task, count: 12, real: noise, truth });
    assert(rows.every(({ truth }) => truth!.value > 0 && truth!.value < 20)); // it is noise
    const lines = qualityTable(rows, real).split("\n");
    assertEquals(lines.length, 2 + 3 + 1);
    assert(lines[4]!.startsWith("| DDIM, 2 steps | 24.50× | "));
    const [name, ...cells] = lines[5]!.split(" | ");
    assertEquals([name, ...cells.slice(0, 3), cells[5]], ["| real pictures", "", "", "", " |"]);
    assert(real!.frechet.value > 0);
    const paired = rivalTable(rows).split("\n");
    assertEquals(paired.length, 2 + 1);
    assert(paired[2]!.startsWith("| 1 of 2 | DDIM, 2 steps | +"));
    assertEquals(differenceOf(rows[1]!.frechet, rows[1]!.frechet).high, 0);
  });
});

Deno.test("a variant in another precision is made by the pipeline that has it, or refused", async () => {
  await withTask(async (task) => {
    const [full] = task.variants;
    const variants = [full!, withWeights(full!, "int8")]; // there is a variant
    const wanted = { ...task, variants, count: 4 };
    await assertRejects(
      () => reportQuality(wanted),
      RangeError,
      "a pipeline must have int8 weights",
    );
    const rounded = await openEngine({ model: FASHION_DIT, backend: "wasm", weights: "int8" });
    const { rows } = await reportQuality({ ...wanted, rounded });
    await rounded.close();
    const { value } = rows[1]!.psnr!; // one a variant
    assert(Number.isFinite(value) && value > 20, `${value}`); // other pictures, and nearly the same
  });
});

/** A pipeline that tells the seed of each request. */
function watch(
  pipeline: PictureMaker,
  onSeed: (seed: GenerateOptions["seed"]) => void,
): PictureMaker {
  return {
    model: pipeline.model,
    backend: pipeline.backend,
    precision: pipeline.precision,
    generate: (options) => {
      onSeed(options?.seed);
      return pipeline.generate(options);
    },
    close: () => pipeline.close(),
  };
}

/** Removes files of a folder and its folders. */
async function forget(folder: string, ending: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) await forget(path, ending);
    else if (name.endsWith(ending)) await Deno.remove(path);
  }
}
