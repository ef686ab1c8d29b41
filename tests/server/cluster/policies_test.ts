/** Policies that decide at each step, of jobs that lie in a shared queue. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { specOf, type TaskRequest } from "../../../src/server/cluster/task.ts";
import { makeCatalog } from "../../../src/server/catalog.ts";
import { nextSpan } from "../../../src/server/trace.ts";
import { TOY_FACTS } from "../toy_renderer.ts";
import { addJob, ended, eventually, withServers } from "./shared_server.ts";
import { overStores } from "./stores.ts";

const ASKED = { prompt: "sneaker", seed: 7, steps: 3, n: 2, policy: "teacache:threshold=0.4" };

overStores(
  "jobs of one policy are drawn together, and any server tells what it decided",
  async (kind) => {
    await withServers(kind, async ({ api, toy }) => {
      toy.hold();
      const first = await addJob(api, { ...ASKED, policy: undefined });
      await eventually(() => toy.drawing === 1);
      const ids = [await addJob(api, ASKED), await addJob(api, { ...ASKED, seed: 4 })];
      const other = await addJob(api, { ...ASKED, policy: "first-block" });
      toy.release();
      assertEquals((await ended(api, first))["policy"], null);
      for (const [i, id] of ids.entries()) {
        const job = await ended(api, id);
        assertEquals([job["state"], job["step"], job["steps"]], ["completed", 3, 3]);
        assertEquals(job["policy"], { word: ASKED.policy, reused: [[1, 2], [2, 1]][i] });
      }
      await ended(api, other);
      const drawn = toy.batches.map(({ pictures, policy }) => [pictures.length, policy]);
      assertEquals(drawn, [[2, undefined], [4, ASKED.policy], [2, "first-block"]]);
    });
  },
);

Deno.test("a worker that cannot decide at each step says so of a job that another server took", () => {
  const request: TaskRequest = {
    body: { ...ASKED, output_format: "png", size: "auto" },
    previews: 0,
    span: nextSpan(undefined),
    plan: "",
    fingerprint: TOY_FACTS.fingerprint,
  };
  const defaults = { plan: "auto", maxSteps: 100 };
  const drawnBy = (policies: readonly string[]) => {
    const facts = { ...TOY_FACTS, picture: TOY_FACTS.latent, policies };
    return specOf(request, { catalog: makeCatalog([facts], []), defaults });
  };
  assertEquals(drawnBy(["teacache"]).policy, ASKED.policy);
  const error = rejected(() => drawnBy([]));
  assertStringIncludes(error, "policy must be none on toy, 1 thread, which runs toy");
});

function rejected(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    return String(error);
  }
  return "";
}
