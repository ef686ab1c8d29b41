import { openWasm } from "../../src/backend/wasm.ts";
import { backendSuite } from "./backend_suite.ts";

backendSuite("wasm", openWasm, { ignore: false });
