import { assertEquals } from "@std/assert";
import { findNative } from "../../src/backend/native.ts";
import { coreCount, hasNodeModules, runtimeName } from "../../src/backend/platform.ts";

Deno.test("workerd is known by its user agent, has one core, and no packages on disk", async () => {
  assertEquals([runtimeName(), hasNodeModules()], ["deno", true]);
  Object.defineProperty(navigator, "userAgent", {
    value: "Cloudflare-Workers",
    configurable: true,
  });
  try {
    assertEquals([runtimeName(), hasNodeModules()], ["workerd", false]);
    assertEquals([await coreCount(), await findNative()], [1, undefined]);
  } finally {
    Reflect.deleteProperty(navigator, "userAgent"); // the prototype's shows again
  }
  assertEquals(runtimeName(), "deno");
});
