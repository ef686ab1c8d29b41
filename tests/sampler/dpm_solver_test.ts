import { assert, assertEquals } from "@std/assert";
import { ddim } from "../../src/sampler/ddim.ts";
import { dpmSolver } from "../../src/sampler/dpm_solver.ts";
import type { NoiseSchedule } from "../../src/sampler/noise_schedule.ts";
import type { Denoise, Sampler } from "../../src/sampler/sampler.ts";
import { parseScheduler } from "../../src/sampler/scheduler_config.ts";
import { spacedSchedule } from "../../src/sampler/spaced_schedule.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { assertClose } from "../conformance/compare.ts";
import { stepsOf } from "./sampler_steps.ts";

const NOISE = tensor([1, 1, 2, 2], Float32Array.of(-1.5, 0.25, 0.5, 2));

function scheduleOf(steps: number): NoiseSchedule {
  const json = { _class_name: "DPMSolverMultistepScheduler", timestep_spacing: "trailing" };
  const { name, spacing } = parseScheduler(json, "noise");
  assertEquals(name, "dpmpp-2m");
  return spacedSchedule(steps, spacing!); // always given
}

/** The exact noise where pictures are normal with mean 0.1 and deviation 0.5. */
function exactNoise({ alphaBars }: NoiseSchedule): Denoise {
  return ({ dims, data }, { index }) => {
    const share = alphaBars[index]!;
    const scale = Math.sqrt(1 - share) / (1 - share + share * 0.25);
    return Promise.resolve({ dims, data: data.map((x) => scale * (x - Math.sqrt(share) * 0.1)) });
  };
}

async function lastOf(
  make: (schedule: NoiseSchedule) => Sampler,
  steps: number,
): Promise<Float32Array> {
  const schedule = scheduleOf(steps);
  return (await stepsOf(make(schedule), NOISE, exactNoise(schedule))).at(-1)!.state.latent.data;
}

/** *Source:* diffusers 0.42.1 `DPMSolverMultistepScheduler(timestep_spacing="trailing")`, the same noise. */
const WANTED: readonly (readonly [number, readonly number[]])[] = [
  [1, [0.09761442244052887, 0.10039161145687103, 0.10079505294561386, 0.10315003246068954]],
  [2, [-0.007326885126531124, 0.11783464252948761, 0.13571502268314362, 0.2429957389831543]],
  [5, [-0.3071819841861725, 0.16766257584095, 0.23549747467041016, 0.6425069570541382]],
  [20, [-0.6176192760467529, 0.21924881637096405, 0.33880141377449036, 1.056117057800293]],
];

Deno.test("dpmSolver() has the latents of diffusers' DPMSolverMultistepScheduler", async () => {
  for (const [steps, wanted] of WANTED) {
    const found = tensor(NOISE.dims, await lastOf(dpmSolver, steps));
    assertClose(found, tensor(NOISE.dims, Float32Array.from(wanted)), {
      // The first step divides two float32 roundings of numbers up to 2 by √ᾱ = 1/157: 4e-5 of at least 0.1.
      tolerance: 4e-4,
      what: `${steps} steps`,
    });
  }
});

Deno.test("dpmSolver() comes closer to the exact picture than DDIM, and fast", async () => {
  const exact = NOISE.data.map((x) => 0.1 + 0.5 * x); // the first time is all but noise
  const errorOf = async (
    make: (schedule: NoiseSchedule) => Sampler,
    steps: number,
  ): Promise<number> => {
    const data = await lastOf(make, steps);
    return Math.max(...exact.map((value, i) => Math.abs(value - data[i]!)));
  };
  const [coarse, fine, first] = [
    await errorOf(dpmSolver, 20),
    await errorOf(dpmSolver, 100),
    await errorOf(ddim, 100),
  ];
  assert(fine < first / 3 && fine < coarse / 6, `${coarse} ${fine} ${first}`);
});
