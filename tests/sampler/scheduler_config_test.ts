import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { AssetError } from "../../src/errors.ts";
import { parseScheduler } from "../../src/sampler/scheduler_config.ts";

const GIVEN = { _class_name: "DDIMScheduler", clip_sample: false };
const FLOW = { _class_name: "FlowMatchEulerDiscreteScheduler" };

Deno.test("parseScheduler() reads DDIM's spacing, and has diffusers' defaults", () => {
  const betas = { first: 0.0001, last: 0.02, curve: "linear" } as const;
  const spacing = { kind: "leading", offset: 0, endsAtOne: true, betas } as const;
  assertEquals(parseScheduler(GIVEN, "noise"), { name: "ddim", spacing });
  const other = { timestep_spacing: "trailing", steps_offset: 1, set_alpha_to_one: false };
  assertEquals(parseScheduler({ ...GIVEN, ...other, beta_schedule: "scaled_linear" }, "noise"), {
    name: "ddim",
    spacing: {
      kind: "trailing",
      offset: 1,
      endsAtOne: false,
      betas: { ...betas, curve: "scaled_linear" },
    },
  });
});

const REFUSED: readonly (readonly [string, unknown, string])[] = [
  ["clip_sample", true, "clip_sample must be false: current value is true"],
  ["clip_sample", undefined, "clip_sample must be false: current value is absent"],
  ["prediction_type", "flow_prediction", 'prediction_type must be "epsilon"'],
  ["beta_schedule", "squaredcos_cap_v2", 'beta_schedule must be "linear" or "scaled_linear"'],
  ["trained_betas", [0.1], "trained_betas must be of type null"],
  ["thresholding", true, "thresholding must be false"],
  ["rescale_betas_zero_snr", true, "rescale_betas_zero_snr must be false"],
  ["num_train_timesteps", 500, "num_train_timesteps must be 1000: current value is 500"],
  [
    "_class_name",
    "PNDMScheduler",
    "PNDMScheduler is not supported for a model that predicts noise",
  ],
  ["_class_name", undefined, "_class_name must be of type string: current value is absent"],
  ["_class_name", "a\nb", '_class_name must match /^\\w{1,100}$/: current value is "a\\nb"'],
  ["noise_offset", 1, 'it must not have the key "noise_offset"'],
];

for (const [key, value, message] of REFUSED) {
  Deno.test(`parseScheduler() refuses ${key} ${JSON.stringify(value)} of DDIM`, () => {
    assertThrows(() => parseScheduler({ ...GIVEN, [key]: value }, "noise"), AssetError, message);
  });
}

Deno.test("parseScheduler() reads order, prediction and spacing of the multistep schedulers", () => {
  const betas = { first: 0.0001, last: 0.02, curve: "linear" } as const;
  const rest = { offset: 0, endsAtOne: true, betas };
  const read = (given: Readonly<Record<string, unknown>>): unknown =>
    parseScheduler(given, "noise");
  const dpm = { _class_name: "DPMSolverMultistepScheduler" };
  assertEquals(read(dpm), { name: "dpmpp-2m", spacing: { kind: "linspace", ...rest } });
  assertEquals(
    read({ ...dpm, solver_order: 3, use_lu_lambdas: true, prediction_type: "v_prediction" }),
    { name: "dpmpp-3m", predicts: "v", spacing: { kind: "log-snr", ...rest } },
  );
  const unipc = { _class_name: "UniPCMultistepScheduler", solver_type: "bh1", solver_order: 3 };
  assertEquals(read({ ...unipc, final_sigmas_type: "sigma_min", use_karras_sigmas: true }), {
    name: "unipc-3-bh1",
    spacing: { kind: "karras", ...rest, endsAtOne: false },
  });
});

/** What is refused of other schedulers, with a part of the message. */
const REFUSED_OF: readonly (readonly [string, Readonly<Record<string, unknown>>, string])[] = [
  ["DPMSolverMultistepScheduler", { algorithm_type: "sde-dpmsolver++" }, "algorithm_type must be"],
  ["DPMSolverMultistepScheduler", { solver_order: 1 }, "solver_order must be"],
  ["DPMSolverMultistepScheduler", { euler_at_final: true }, "euler_at_final must be false"],
  ["DPMSolverMultistepScheduler", { use_flow_sigmas: true }, "use_flow_sigmas must be false"],
  ["DPMSolverMultistepScheduler", { lower_order_final: false }, "lower_order_final must be true"],
  [
    "DPMSolverMultistepScheduler",
    { use_karras_sigmas: true, use_lu_lambdas: true },
    "only one of use_karras_sigmas and use_lu_lambdas must be true",
  ],
  ["UniPCMultistepScheduler", { predict_x0: false }, "predict_x0 must be true"],
  ["UniPCMultistepScheduler", { disable_corrector: [0] }, "disable_corrector"],
  ["DEISMultistepScheduler", { solver_type: "midpoint" }, 'solver_type must be "logrho"'],
  ["HeunDiscreteScheduler", { clip_sample: true }, "clip_sample must be false"],
  [
    "HeunDiscreteScheduler",
    { use_beta_sigmas: true, timestep_spacing: "trailing" },
    'timestep_spacing must be "linspace" with use_beta_sigmas',
  ],
];

for (const [name, change, message] of REFUSED_OF) {
  Deno.test(`parseScheduler() refuses ${JSON.stringify(change)} of ${name}`, () => {
    const json = { _class_name: name, ...change };
    assertThrows(() => parseScheduler(json, "noise"), AssetError, message);
  });
}

Deno.test("parseScheduler() reads the multistep schedulers on a flow only where they say that it is one", () => {
  const flow = { use_flow_sigmas: true, prediction_type: "flow_prediction", flow_shift: 3 };
  for (const [name, ours] of [["DPMSolver", "flow-dpmpp-3m"], ["UniPC", "flow-unipc-3"]] as const) {
    const json = { _class_name: `${name}MultistepScheduler`, solver_order: 3 };
    assertEquals(parseScheduler({ ...json, ...flow }, "velocity"), {
      name: ours,
      shift: { kind: "static", shift: 3 },
    });
    assertThrows(
      () => parseScheduler(json, "velocity"),
      AssetError,
      'prediction_type must be "flow_prediction"',
    );
  }
});

Deno.test("parseScheduler() reads a flow's static shift, and diffusers' defaults of a dynamic one", () => {
  const shiftOf = (given: Readonly<Record<string, unknown>>): unknown => {
    const { name, shift } = parseScheduler({ ...FLOW, ...given }, "velocity");
    assertEquals(name, "flow-euler");
    return shift;
  };
  assertEquals(shiftOf({}), { kind: "static", shift: 1 });
  assertEquals(shiftOf({ shift: 3 }), { kind: "static", shift: 3 });
  assertEquals(shiftOf({ shift: 3, use_dynamic_shifting: true }), {
    kind: "dynamic",
    baseShift: 0.5,
    maxShift: 1.15,
    baseTokens: 256,
    maxTokens: 4096,
  });
});

Deno.test("parseScheduler() refuses what would change sigmas in a way that we do not compute", () => {
  for (
    const key of ["invert_sigmas", "use_karras_sigmas", "use_beta_sigmas", "stochastic_sampling"]
  ) {
    assertThrows(
      () => parseScheduler({ ...FLOW, [key]: true }, "velocity"),
      AssetError,
      `${key} must be false: current value is true`,
    );
  }
  assertThrows(
    () => parseScheduler({ ...FLOW, time_shift_type: "linear" }, "velocity"),
    AssetError,
  );
  assertThrows(
    () => parseScheduler({ ...FLOW, max_lambda: 1 }, "velocity"),
    AssetError,
    'it must not have the key "max_lambda"',
  );
  assertThrows(() => parseScheduler({ ...FLOW, shift_terminal: 0.1 }, "velocity"), AssetError);
});

Deno.test("parseScheduler() names a class that is not supported, and those that are for such a model", () => {
  const refused: readonly (readonly [string, "noise" | "velocity", string])[] = [
    ["EDMEulerScheduler", "noise", "DDIMScheduler"],
    ["FlowMatchEulerDiscreteScheduler", "noise", "DDIMScheduler"],
    ["DDIMScheduler", "velocity", "DPMSolverMultistepScheduler"],
    ["constructor", "velocity", "DPMSolverMultistepScheduler"],
  ];
  for (const [name, predicts, supported] of refused) {
    assertThrows(
      () => parseScheduler({ _class_name: name, lambda_min_clipped: -Infinity }, predicts),
      AssetError,
      `Cannot read scheduler_config.json: ${name} is not supported for a model that predicts ${predicts}; ` +
        `supported are ${supported}`,
    );
  }
});

Deno.test("a scheduler with any JSON in any place is a typed error or a sampler", () => {
  const key = fc.constantFrom(
    ...Object.keys(GIVEN),
    "shift",
    "beta_start",
    "steps_offset",
    "__proto__",
    "solver_order",
    "use_flow_sigmas",
  );
  const classes = fc.constantFrom(
    GIVEN,
    FLOW,
    { _class_name: "UniPCMultistepScheduler" },
    { _class_name: "DPMSolverMultistepScheduler" },
    { _class_name: "DEISMultistepScheduler" },
    { _class_name: "HeunDiscreteScheduler" },
    { _class_name: "FlowMatchHeunDiscreteScheduler" },
  );
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom(NaN, Infinity, -Infinity));
  const parsesOrRefuses = (given: unknown, predicts: "noise" | "velocity"): void => {
    try {
      assertEquals(parseScheduler(given, predicts).name.startsWith("flow-"), predicts !== "noise");
    } catch (error) {
      if (!(error instanceof AssetError)) throw error;
      assert(
        /^Cannot read scheduler_config\.json: [^\n]{1,400}$/.test(error.message),
        error.message,
      );
    }
  };
  const predicts = fc.constantFrom("noise" as const, "velocity" as const);
  fc.assert(fc.property(fc.jsonValue(), predicts, parsesOrRefuses), { seed: 1, numRuns: 500 });
  fc.assert(
    fc.property(
      classes,
      key,
      value,
      predicts,
      (given, at, found, predicts) => parsesOrRefuses({ ...given, [at]: found }, predicts),
    ),
    { seed: 2, numRuns: 3000 },
  );
});
