import { assertEquals } from "@std/assert";
import { proveCluster } from "../../../scripts/prove/cluster.ts";
import { WITHOUT_REDIS } from "../../server/cluster/redis_fixture.ts";

Deno.test({
  name:
    "nothing is lost or doubled while workers, Redis and a server die (deno task prove:cluster)",
  ignore: WITHOUT_REDIS,
  async fn(): Promise<void> {
    const { wrong, outcomes } = await proveCluster({ jobs: 20, kills: 2, runtimes: ["deno"] });
    assertEquals(wrong, []);
    const ends = outcomes.map(({ end }) => end).sort();
    assertEquals(ends.filter((end) => end === "refused").length, 2);
    assertEquals(ends.filter((end) => end === "failed").length, 0);
  },
});
