import { assertEquals } from "@std/assert";
import { multistepPath } from "../../src/sampler/noise_path.ts";
import { ORIGINAL_SPACING as spacing } from "../../src/sampler/solvers.ts";

Deno.test("evenly spread times next to a half are rounded as NumPy rounds them", () => {
  // diffusers 0.42.1, DPMSolverMultistepScheduler(timestep_spacing="linspace"), set_timesteps(26), (30), (102)
  for (const [steps, step, time] of [[26, 13, 499], [30, 15, 499], [102, 17, 833]] as const) {
    assertEquals(multistepPath(steps, { spacing, predicts: "epsilon" }).times[step], time);
  }
});
