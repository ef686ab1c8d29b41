import { assert, assertEquals } from "@std/assert";
import { benchDownload, endlessNoise } from "../../../scripts/bench/download.ts";
import { fakeClock } from "../../assets/store/fake_clock.ts";
import { NET } from "../../assets/hub/hub_fixture.ts";

Deno.test(
  "64 MB come right from a hub that misbehaves, and memory does not grow with them",
  NET,
  async () => {
    const { right, resumed, rss, slope } = await benchDownload(64e6, fakeClock());
    assert(right);
    assert(resumed >= 10, `${resumed}`);
    // Far less than the file: blocks of 1 MiB are held, the rest is the runtime's own coming and going.
    assert(rss.peak - rss.early < 64e6, `${JSON.stringify(rss)} ${slope}`);
  },
);

Deno.test("endlessNoise() has the same bytes wherever reading begins, and no two blocks alike", () => {
  const { read } = endlessNoise(3 << 20);
  const whole = read(0, 3 << 20);
  for (const [offset, length] of [[5, 9], [(1 << 20) - 3, 20], [(1 << 20) + 2, 1 << 20]] as const) {
    assertEquals(read(offset, length), whole.slice(offset, offset + length));
  }
  assert(whole.subarray(0, 8).some((byte, i) => byte !== whole[(1 << 20) + i]));
});
