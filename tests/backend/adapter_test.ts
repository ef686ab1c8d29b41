import { assertEquals } from "@std/assert";
import { openPlainDevice } from "../../src/backend/adapter.ts";

/** What a stub of an adapter says of itself. */
interface Stub {
  readonly features: readonly string[];
  readonly vendor?: string;
  readonly lanes?: number;
}

/** The features of the device that would be asked for; `none` where the runtime's own is taken. */
async function featuresOn({ features, vendor = "google", lanes = 4 }: Stub): Promise<string> {
  const adapter = {
    features: new Set(features),
    info: { vendor, subgroupMinSize: lanes },
    limits: { maxBufferSize: 7 },
    requestDevice: ({ requiredFeatures, requiredLimits }: GPUDeviceDescriptor) =>
      Promise.resolve(`${requiredFeatures} ${requiredLimits?.["maxBufferSize"]}`),
  };
  const gpu = { requestAdapter: () => Promise.resolve(adapter) };
  const own = Object.getOwnPropertyDescriptor(globalThis, "navigator")!; // every runtime has one
  Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true });
  try {
    return String(await openPlainDevice() ?? "none");
  } finally {
    Object.defineProperty(globalThis, "navigator", own);
  }
}

Deno.test("openPlainDevice() leaves subgroups out where they are narrower than attention allows", async () => {
  const narrow = ["timestamp-query", "subgroups", "shader-f16"];
  assertEquals(await featuresOn({ features: narrow }), "shader-f16 7");
  assertEquals(await featuresOn({ features: ["subgroups"] }), " 7");
});

Deno.test("openPlainDevice() leaves the runtime its own device where that computes rightly", async () => {
  assertEquals(await featuresOn({ features: ["subgroups"], lanes: 8 }), "none");
  assertEquals(await featuresOn({ features: ["subgroups"], vendor: "apple" }), "none");
  assertEquals(await featuresOn({ features: ["shader-f16"] }), "none");
});
