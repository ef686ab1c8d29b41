import { assertEquals } from "@std/assert";
import { completePackage } from "../../../scripts/build/npm.ts";

Deno.test("the package for npm installs what everyone needs, and asks those who share a queue for the rest", () => {
  const dependencies = { bullmq: "^6.7.0", hono: "^4.13.19", "onnxruntime-web": "^1.30.0" };
  const made = completePackage({ version: "1.0.0", dependencies }, ["node:fs"]);
  assertEquals(made["dependencies"], { hono: "^4.13.19", "onnxruntime-web": "1.30.0" });
  assertEquals(made["peerDependencies"], { bullmq: "^6.7.0" });
  assertEquals(made["peerDependenciesMeta"], { bullmq: { optional: true } });
  assertEquals(made["browser"], { "node:fs": false });
});
