import { assert, assertEquals } from "@std/assert";
import type { DownloadEvent } from "../../src/assets/hub/download_meter.ts";
import { formatBytes, startDownloads } from "../../src/cli/download_progress.ts";

/** 100 events of a file, a tenth of a second between two. */
function record(isTty: boolean, path = "transformer/model.safetensors"): readonly string[] {
  const written: string[] = [];
  let now = 0;
  const { hear, end } = startDownloads({
    write: (text) => written.push(text),
    isTty,
    now: () => now,
  });
  const total = 2e9;
  for (let done = 0; done <= total; done += total / 100) {
    const rate = done === 0 ? 0 : 2e8;
    const seconds = rate === 0 ? undefined : (total - done) / rate;
    hear({ kind: "progress", path, done, total, rate, seconds });
    if (done === total / 2) hear({ kind: "notice", path, text: "it was cut" });
    now += 100;
  }
  end();
  return written;
}

Deno.test("startDownloads() redraws one line on a TTY, below 80 columns", () => {
  const written = record(true);
  assertEquals(written.slice(0, 2), [
    "\r…ormer/model.safetensors  0.0 kB/2.00 GB\x1b[K",
    "\r…ormer/model.safetensors  20.0 MB/2.00 GB  200.0 MB/s  ETA 10 s\x1b[K",
  ]);
  assertEquals(written.slice(51, 53), ["\n", "note: it was cut\n"]);
  assertEquals(written.slice(-2), [
    "\r…ormer/model.safetensors  2.00 GB/2.00 GB  200.0 MB/s\x1b[K",
    "\n",
  ]);
  assert(Math.max(...written.map((line) => line.length)) < 80);
});

Deno.test("startDownloads() writes a line per tenth elsewhere", () => {
  const written = record(false);
  assertEquals(written[0], "…ormer/model.safetensors  0.0 kB/2.00 GB\n");
  assertEquals(written.filter((line) => line.startsWith("note")).length, 1);
  assert(written.length <= 13, `${written.length}`);
});

Deno.test("startDownloads() keeps silent of small files, and after its end", () => {
  const written: string[] = [];
  const { hear, end } = startDownloads({ write: (text) => written.push(text), isTty: true });
  const small: DownloadEvent = {
    ...{ kind: "progress", path: "config.json", done: 5, total: 500, rate: 0 },
    seconds: undefined,
  };
  hear(small);
  end();
  hear({ kind: "notice", path: "a", text: "too late" });
  assertEquals(written, []);
});

Deno.test("formatBytes() takes the unit that fits", () => {
  assertEquals([500, 1.5e6, 23.8e9].map(formatBytes), ["0.5 kB", "1.5 MB", "23.80 GB"]);
});
