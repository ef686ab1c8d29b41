import { assert, assertEquals } from "@std/assert";
import { usableBackends } from "../../../scripts/bench/usable_backends.ts";
import { shutDown, shutdownTable } from "../../../scripts/prove/shutdown.ts";

Deno.test("SIGTERM ends the server well on each backend, ready or loading (deno task prove:shutdown)", async () => {
  const cheap = (await usableBackends()).filter((name) => name !== "webgpu");
  for (const backend of ["auto", "bare", ...cheap] as const) {
    for (const when of ["ready", "loading"] as const) {
      const { seconds, failures } = await shutDown(backend, { when, count: 5 });
      assertEquals(failures, [], `${backend}, ${when}`);
      assert(Math.max(...seconds) < 10, `${backend}, ${when}: ${seconds} s`);
    }
  }
});

Deno.test("shutdownTable() counts what ended well, and names other codes", () => {
  const rows = [{ backend: "auto", when: "ready", seconds: [0.2, 1.26], failures: [139] }] as const;
  assertEquals(shutdownTable(rows).split("\n")[2], "| auto | ready | 1 of 2 | 139 | 1.3 s |");
});
