import { assertEquals } from "@std/assert";
import { DownloadMeter } from "../../../src/assets/hub/download_meter.ts";

Deno.test("DownloadMeter tells the rate of the last seconds and the time that is left", () => {
  let now = 1000;
  const meter = new DownloadMeter({ path: "a", total: 1000 }, () => now);
  assertEquals(meter.at(100), {
    kind: "progress",
    path: "a",
    done: 100, // of an earlier try: no rate
    total: 1000,
    rate: 0,
    seconds: undefined,
  });
  const rates: number[] = [];
  for (let done = 100; done <= 900; done += 100) {
    now += 1000;
    rates.push(meter.at(done).rate);
  }
  assertEquals([rates[1], rates.at(-1)], [50, 100]);
  assertEquals(meter.at(900).seconds, 1);
});

Deno.test("DownloadMeter counts anew when a download begins anew", () => {
  let now = 0;
  const meter = new DownloadMeter({ path: "a", total: 1000 }, () => now);
  meter.at(500);
  now = 1000;
  assertEquals(meter.at(0).rate, 0);
  now = 2000;
  assertEquals(meter.at(30).rate, 30);
});
