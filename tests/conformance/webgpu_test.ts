import { openWebGpu } from "../../src/backend/webgpu.ts";
import { requires } from "../_shim/requires.ts";
import { backendSuite } from "./backend_suite.ts";

backendSuite("webgpu", openWebGpu, await requires("webgpu suite", "webgpu"));
