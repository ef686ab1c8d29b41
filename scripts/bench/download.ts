/**
 * Downloads a large file from a hub that misbehaves, and tells whether its bytes are right, how often it
 * went on after a cut, and whether memory stayed flat. The hub is a process of its own on the loopback;
 * the file lies in a temporary folder and is removed.
 *
 *     deno task bench:download --gigabytes 10
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { parseArgs } from "../parse_args.ts";
import { openDiskStore } from "../../src/assets/store/disk_store.ts";
import { openHub } from "../../src/assets/hub/hub_source.ts";
import { CLOCK, type Clock } from "../../src/assets/store/retry.ts";
import { type Content, startFakeHub, type Trouble } from "../../tests/assets/hub/fake_hub.ts";
import { randomNumbers } from "../make/random_weights.ts";

/** What was measured. */
export interface DownloadFigures {
  readonly bytes: number;
  readonly seconds: number;
  /** Whether the file on disk has the sha256 that the hub made it with. */
  readonly right: boolean;
  /** Times that it went on after trouble. */
  readonly resumed: number;
  /** Resident bytes at the end of the first tenth, at most, and in the last tenth. */
  readonly rss: { readonly early: number; readonly peak: number; readonly late: number };
  /** Resident bytes that each downloaded byte left behind, by least squares behind the first tenth. */
  readonly slope: number;
}

const BLOCK = 1 << 20;
const PATH = "weights.safetensors";
const SAMPLE_BYTES = 16e6;

/** Seeded bytes of any size that nobody stores: a block of noise, with its number written over it. */
export function endlessNoise(size: number): Content {
  const noise = new Uint8Array(randomNumbers(BLOCK / 4, 1).buffer);
  return {
    size,
    read: (offset, length) => {
      const bytes = new Uint8Array(length);
      for (let at = offset; at < offset + length;) {
        const [index, from] = [Math.floor(at / BLOCK), at % BLOCK];
        const part = noise.subarray(from, from + offset + length - at);
        bytes.set(part, at - offset);
        const number = new Uint8Array(new Float64Array([index]).buffer).subarray(from);
        bytes.set(number.subarray(0, part.length), at - offset);
        at += part.length;
      }
      return bytes;
    },
  };
}

/** All kinds of trouble but one that begins anew or takes half a minute: a cut every twentieth on average. */
function* troublesOf(size: number): Generator<Trouble> {
  for (let i = 0;; i++) {
    const share = 0.01 + (i * 0.618034 % 1) / 10; // evenly spread, the same on every run
    const kinds: readonly Trouble[] = [
      { kind: "cut", after: Math.ceil(size * share) },
      { kind: "status", status: 503, headers: { "retry-after": "0" } },
      { kind: "cut", after: Math.ceil(size * share) },
      { kind: "range", text: `bytes 1-${size - 1}/${size}` },
      { kind: "cut", after: Math.ceil(size * share) },
      { kind: "status", status: 429, headers: { "retry-after": "0" } },
    ];
    yield kinds[i % kinds.length]!; // an index of it
  }
}

/** Serves until stdin ends; says where in its first line. */
async function serve(size: number): Promise<void> {
  const content = endlessNoise(size);
  const hash = createHash("sha256");
  for (let at = 0; at < size; at += BLOCK) {
    hash.update(content.read(at, Math.min(BLOCK, size - at)));
  }
  const file = { ...content, git: "0".repeat(40), sha256: hash.digest("hex") };
  await using hub = startFakeHub({ files: { [PATH]: file }, blockBytes: 1 << 18 });
  const troubles = troublesOf(size);
  hub.troubles.shift = (): Trouble => troubles.next().value!; // they never end
  console.log(JSON.stringify({ endpoint: hub.endpoint, sha256: file.sha256 }));
  for await (const _ of Deno.stdin.readable);
}

/** Measures a download of so many bytes. */
export async function benchDownload(
  bytes: number,
  clock: Clock = CLOCK,
): Promise<DownloadFigures> {
  const hub = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net=127.0.0.1", import.meta.filename!, "--serve", `${bytes}`], // a file
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const folder = await Deno.makeTempDir();
  try {
    const lines = hub.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { endpoint, sha256 } = JSON.parse((await lines.read()).value ?? "");
    const measured = await measure(new URL(endpoint), { folder, bytes, clock });
    const right = await hashOf(`${folder}/blobs/sha256-${sha256}`) === sha256;
    await hub.stdin.close();
    await lines.cancel();
    return { ...measured, right };
  } finally {
    await hub.status;
    await Deno.remove(folder, { recursive: true });
  }
}

async function measure(
  endpoint: URL,
  { folder, bytes, clock }: {
    readonly folder: string;
    readonly bytes: number;
    readonly clock: Clock;
  },
): Promise<Omit<DownloadFigures, "right">> {
  const samples: { readonly done: number; readonly rss: number }[] = [];
  let resumed = 0;
  const source = openHub("hf://owner/name", {
    store: openDiskStore(folder),
    settings: { endpoint, offline: false },
    clock,
    onDownload: (event) => {
      if (event.kind === "notice") resumed++;
      else if (
        event.done - (samples.at(-1)?.done ?? -SAMPLE_BYTES) >= Math.min(SAMPLE_BYTES, bytes / 50)
      ) {
        samples.push({ done: event.done, rss: Deno.memoryUsage().rss });
      }
    },
  });
  const began = performance.now();
  await source.fetch(PATH);
  const seconds = (performance.now() - began) / 1000;
  await source.close();
  const settled = samples.filter(({ done }) => done >= bytes / 10);
  const [early, late] = [settled[0]!.rss, settled.at(-1)!.rss]; // there are fifty at least
  const peak = Math.max(...samples.map(({ rss }) => rss));
  return { bytes, seconds, resumed, rss: { early, peak, late }, slope: slopeOf(settled) };
}

function slopeOf(samples: readonly { readonly done: number; readonly rss: number }[]): number {
  const mean = (of: (sample: { done: number; rss: number }) => number): number =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [x, y] = [mean(({ done }) => done), mean(({ rss }) => rss)];
  const covariance = mean(({ done, rss }) => (done - x) * (rss - y));
  return covariance / mean(({ done }) => (done - x) ** 2);
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const block of createReadStream(path, { highWaterMark: BLOCK })) hash.update(block);
  return hash.digest("hex");
}

if (import.meta.main) {
  const options = {
    serve: { type: "string" },
    gigabytes: { type: "string", default: "1" },
  } as const;
  const { values } = parseArgs({ options });
  if (values.serve !== undefined) await serve(Number(values.serve));
  else {
    const figures = await benchDownload(Math.round(Number(values.gigabytes) * 1e9));
    const { bytes, seconds, right, resumed, rss, slope } = figures;
    const mebibytes = (size: number): string => `${(size / 2 ** 20).toFixed(0)} MiB`;
    console.log(
      `${(bytes / 1e9).toFixed(3)} GB in ${seconds.toFixed(1)} s (${
        (bytes / 1e6 / seconds).toFixed(0)
      } MB/s), went on ${resumed} times, sha256 ${right ? "right" : "WRONG"}`,
    );
    console.log(
      `resident: ${mebibytes(rss.early)} after a tenth, ${mebibytes(rss.late)} at the end, ` +
        `${mebibytes(rss.peak)} at most; ${(slope * 1e9 / 2 ** 20).toFixed(2)} MiB more per GB`,
    );
    if (!right) Deno.exit(1);
  }
}
