import { openNative } from "../../src/backend/native.ts";
import { requires } from "../_shim/requires.ts";
import { backendSuite } from "./backend_suite.ts";

backendSuite("native", openNative, await requires("native suite", "native"));
