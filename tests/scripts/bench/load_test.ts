/** A tenth of the load and of the soak that the README has figures of. */
import { assert, assertEquals } from "@std/assert";
import { denoAllowing, runWatched } from "../../_shim/watched.ts";

const PERMISSIONS = ["read", "env", "sys", "ffi", "run", "net"];

Deno.test("under load no request is lost or crossed, and health answers in time", async () => {
  const script = new URL("../../../scripts/bench/load.ts", import.meta.url);
  const options = ["--json", "--requests", "20", "--threads", "1"];
  const printed = await runWatched(denoAllowing(PERMISSIONS, script, ...options), { seconds: 200 });
  const { requests, drawn, cancelled, refused, faults } = JSON.parse(printed);
  assertEquals([requests, drawn, cancelled, refused, faults], [20, 14, 4, 2, []]);
});

Deno.test("drawing many pictures leaves nothing behind", async () => {
  const script = new URL("../../../scripts/bench/soak.ts", import.meta.url);
  const options = ["--json", "--images", "50", "--threads", "1"];
  const printed = await runWatched(denoAllowing(PERMISSIONS, script, ...options), { seconds: 200 });
  const { images, last, faults } = JSON.parse(printed);
  assertEquals([images, last.deviceValues, faults], [50, 0, []]);
  assert(last.sessions > 0);
});
