import { assertEquals } from "@std/assert";
import { proveCluster } from "../../../scripts/prove/cluster.ts";
import { overStores } from "../../server/cluster/stores.ts";

overStores(
  "nothing is lost or doubled while workers, their store and a server die (deno task prove:cluster)",
  async (kind) => {
    const size = { kind, jobs: 20, kills: 2, runtimes: ["deno"] };
    const { wrong, outcomes } = await proveCluster(size);
    assertEquals(wrong, []);
    const ends = outcomes.map(({ end }) => end).sort();
    assertEquals(ends.filter((end) => end === "refused").length, 2);
    assertEquals(ends.filter((end) => end === "failed").length, 0);
  },
);
