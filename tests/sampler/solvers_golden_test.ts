/** Every solver, spacing and prediction against diffusers: see `scripts/golden/solvers.py`. */

import { assert, assertEquals } from "@std/assert";
import { parseScheduler } from "../../src/sampler/scheduler_config.ts";
import { makeSampler } from "../../src/sampler/solvers.ts";
import type { Denoise } from "../../src/sampler/sampler.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { stepsOf } from "./sampler_steps.ts";

interface Row {
  readonly class: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly calls: number;
  readonly times: readonly number[];
  readonly latents: readonly number[];
}

const ROWS: readonly Row[] = JSON.parse(
  await Deno.readTextFile(new URL("../golden/solvers/schedulers.json", import.meta.url)),
);
const START: Tensor = { dims: [1, 1, 3], data: Float32Array.of(-1.5, 0.25, 2) };
const [MEAN, VARIANCE] = [0.1, 0.25];
const TOKENS = 500;

/** The exact prediction for normal pictures, as the script has it. */
function exact(prediction: string): Denoise {
  return ({ dims, data }, { time }) => {
    const flows = prediction === "velocity";
    const share = Math.exp(-(1e-4 * time + 0.0199 * time ** 2 / 2000));
    const alpha = flows ? 1 - time : Math.sqrt(share);
    const sigma = flows ? time : Math.sqrt(1 - share);
    const found = data.map((x) => {
      const told = (x - alpha * MEAN) / (sigma ** 2 + alpha ** 2 * VARIANCE);
      const noise = sigma * told;
      const picture = MEAN + alpha * VARIANCE * told;
      switch (prediction) {
        case "epsilon":
          return noise;
        case "sample":
          return picture;
        case "velocity":
          return noise - picture;
        default:
          return alpha * noise - sigma * picture;
      }
    });
    return Promise.resolve({ dims, data: found });
  };
}

for (const { class: name, config, calls, times, latents } of ROWS) {
  Deno.test(`${name} ${JSON.stringify(config)} in ${calls} calls is diffusers'`, async () => {
    const flows = name.startsWith("Flow") || config["use_flow_sigmas"] === true;
    const json = { _class_name: name, ...config };
    const sampler = makeSampler(parseScheduler(json, flows ? "velocity" : "noise"), {
      steps: calls,
      tokens: TOKENS,
    });
    const given = flows ? sampler.times.map((time) => time * 1000) : sampler.times;
    const late = given.findIndex((time, i) => Math.abs(time - times[i]!) > 2e-3);
    assertEquals([given.length, late], [times.length, -1], `${given} ≠ ${times}`);
    const predict = exact(flows ? "velocity" : `${config["prediction_type"] ?? "epsilon"}`);
    const found = (await stepsOf(sampler, START, predict)).at(-1)!.state.latent.data;
    const most = Math.max(...latents.map(Math.abs));
    const error = Math.max(...latents.map((value, i) => Math.abs(value - found[i]!))) / most;
    assert(error <= 1e-4, `${error} × max: ${[...found]} ≠ ${latents}`);
  });
}
