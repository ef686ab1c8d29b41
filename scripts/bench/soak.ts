/**
 * Draws many pictures and looks whether anything grows.
 *
 *     deno task soak                         500 pictures, four at once, fashion-dit on wasm
 *     deno task soak --images 50 --json
 *
 * Fails when a request fails, or when device values or sessions are not at the end what they were after
 * the first pictures. The slope of resident memory is told: least squares over the second half.
 */
import { parseArgs } from "../parse_args.ts";
import { readMetric, startServer } from "./served.ts";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "500" },
    backend: { type: "string", default: "wasm" },
    threads: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
  },
});
const CONCURRENCY = 4;
const STEPS = 8;

const { url, stop } = await startServer(["--backend", values.backend, "--threads", values.threads]);
const images = Number(values.images);
const samples: Sample[] = [];
const faults: string[] = [];
try {
  for (let done = 0; done < images;) {
    const count = Math.min(CONCURRENCY, images - done);
    await Promise.all(Array.from({ length: count }, (_, i) => draw(done + i)));
    done += count;
    samples.push(await sample(done));
  }
} finally {
  await stop();
}

interface Sample {
  readonly images: number;
  readonly rssBytes: number;
  readonly deviceValues: number;
  readonly sessions: number;
}

async function draw(seed: number): Promise<void> {
  const response = await fetch(`${url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ label: seed % 10, seed, steps: STEPS }),
  });
  await response.body?.cancel();
  if (response.status !== 200) faults.push(`picture ${seed}: status ${response.status}`);
}

async function sample(done: number): Promise<Sample> {
  return {
    images: done,
    rssBytes: await readMetric(url, "process_resident_memory_bytes"),
    deviceValues: await readMetric(url, "invardiff_live_device_values"),
    sessions: await readMetric(url, "invardiff_live_sessions"),
  };
}

const [first, last] = [samples[0]!, samples.at(-1)!]; // there is at least one picture
for (const what of ["deviceValues", "sessions"] as const) {
  if (first[what] !== last[what]) faults.push(`${what} went from ${first[what]} to ${last[what]}`);
}
const rssKibPerImage = slope(samples.slice(Math.floor(samples.length / 2))) / 1024;
const report = { images, first, last, rssKibPerImage, faults };
console.log(
  values.json ? JSON.stringify(report) : [
    `${images} pictures; device values ${last.deviceValues}, sessions ${last.sessions}, as in the beginning: ` +
    (faults.length === 0 ? "yes" : "no"),
    `resident memory ${mib(first.rssBytes)} → ${mib(last.rssBytes)}, ` +
    `${rssKibPerImage.toFixed(1)} KiB a picture over the second half`,
    ...faults.map((fault) => `fault: ${fault}`),
  ].join("\n"),
);
if (faults.length > 0) Deno.exit(1);

/** Bytes per picture, by least squares. */
function slope(points: readonly Sample[]): number {
  const mean = (of: (point: Sample) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((point) => point.images), mean((point) => point.rssBytes)];
  const up = mean((point) => (point.images - x) * (point.rssBytes - y));
  return up / mean((point) => (point.images - x) ** 2);
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
