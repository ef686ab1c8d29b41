import { openNative } from "../../src/backend/native.ts";
import { testWith } from "../_shim/requires.ts";
import { backendSuite } from "./backend_suite.ts";

backendSuite({
  name: "native",
  test: (name, fn) => testWith("native", name, fn),
  open: () => openNative(),
  tolerance: 2e-6, // float32 sums of at most 8 terms, and a tanh by polynomial
});
