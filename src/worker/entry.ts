/**
 * The module that a worker is made of: `new Worker(new URL("./entry.ts", …), { type: "module" })`.
 *
 * @module
 */

import { serveRenderer } from "./host.ts";
import type { Port } from "./messages.ts";

// In a Deno worker `location.origin` is "null", which keeps onnxruntime-web's WebGPU builds from loading.
if (globalThis.process?.versions?.["deno"] !== undefined) {
  Reflect.deleteProperty(globalThis, "location");
}

serveRenderer(globalThis as unknown as Port); // a worker's global scope is a port, which no type says
