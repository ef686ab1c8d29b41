import { openWasm } from "../../src/backend/wasm.ts";
import { backendSuite } from "./backend_suite.ts";

backendSuite({
  name: "wasm",
  test: Deno.test,
  open: () => openWasm(),
  tolerance: 2e-6, // float32 sums of at most 8 terms, and a tanh by polynomial
});
