import { assertEquals, assertThrows } from "@std/assert";
import { AssetError } from "../../src/errors.ts";
import { parseFlowScheduler } from "../../src/model/flow_scheduler.ts";

const name = { _class_name: "FlowMatchEulerDiscreteScheduler" };

Deno.test("parseFlowScheduler() reads a static shift, and diffusers' defaults of a dynamic one", () => {
  assertEquals(parseFlowScheduler(name), { kind: "static", shift: 1 });
  assertEquals(parseFlowScheduler({ ...name, shift: 3 }), { kind: "static", shift: 3 });
  assertEquals(parseFlowScheduler({ ...name, shift: 3, use_dynamic_shifting: true }), {
    kind: "dynamic",
    baseShift: 0.5,
    maxShift: 1.15,
    baseTokens: 256,
    maxTokens: 4096,
  });
});

Deno.test("parseFlowScheduler() refuses what would change sigmas in a way that we do not compute", () => {
  for (
    const key of ["invert_sigmas", "use_karras_sigmas", "use_beta_sigmas", "stochastic_sampling"]
  ) {
    assertThrows(
      () => parseFlowScheduler({ ...name, [key]: true }),
      AssetError,
      `${key} must be false: current value is true`,
    );
  }
  assertThrows(() => parseFlowScheduler({ ...name, time_shift_type: "linear" }), AssetError);
  assertThrows(
    () => parseFlowScheduler({ ...name, max_lambda: 1 }),
    AssetError,
    'it must not have the key "max_lambda"',
  );
  assertThrows(() => parseFlowScheduler({ ...name, shift_terminal: 0.1 }), AssetError);
  assertThrows(
    () => parseFlowScheduler({ _class_name: "DDIMScheduler" }),
    AssetError,
    '_class_name must be "FlowMatchEulerDiscreteScheduler"',
  );
});
