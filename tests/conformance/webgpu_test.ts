import { openWebGpu } from "../../src/backend/webgpu.ts";
import { testWith } from "../_shim/requires.ts";
import { backendSuite } from "./backend_suite.ts";

backendSuite({
  name: "webgpu",
  test: (name, fn) => testWith("webgpu", name, fn),
  open: () => openWebGpu(),
  tolerance: 1e-4, // WGSL allows tanh, exp and inverseSqrt several units in the last place
});
