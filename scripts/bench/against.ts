/**
 * This checkout against another one, such as an earlier commit: what a user waits for, measured from
 * outside, in turn. Ratios are of this checkout over the other, pair by pair; the interval of their median is
 * that of the order statistics, which holds whatever the distribution.
 *
 *     git worktree add ../before 1d4284f
 *     deno task bench:against --other ../before --rounds 15
 */

import { parseArgs } from "../parse_args.ts";
import { lowerRank } from "./lower_rank.ts";

const { values } = parseArgs({
  options: {
    other: { type: "string", default: "../before" },
    rounds: { type: "string", default: "15" },
    backends: { type: "string", default: "wasm,native" },
    only: { type: "string", default: "" },
  },
});

const ROOT = new URL("../../", import.meta.url);
const PERMISSIONS = ["read", "write", "env", "sys", "ffi", "net"].map((name) => `--allow-${name}`);
const FAST = "fashion-dit.ddim50.fast";
const FASHION = "models/fashion-dit";

/** Seconds of one run in a checkout on a backend. */
type Wait = (checkout: URL, backend: string) => Promise<number>;

const WAITS: Readonly<Record<string, Wait>> = {
  "generate, ten pictures by plan": loopOf("--plan", FAST),
  "generate, ten pictures in full": loopOf("--plan", "none", "--steps", "10"),
  "start-up to one picture of one step": wallOf((
    out,
  ) => ["generate", "--count", "1", "--steps", "1", "--plan", "none", "--out", `${out}.png`]),
  "calibrate, guided, two runs": wallOf((
    out,
  ) => ["calibrate", "--runs", "2", "--steps", "10", "--out", `${out}.json`]),
  "the server's picture": serverPicture,
};

/** Servers that were started, by checkout and backend. */
const servers = new Map<string, { readonly url: string; readonly child: Deno.ChildProcess }>();

if (import.meta.main) await main();

async function main(): Promise<void> {
  const other = new URL(`${values.other.replace(/\/*$/, "")}/`, `file://${Deno.cwd()}/`);
  console.log(`${"what".padEnd(36)} backend  median  95 % interval    this     other`);
  for (const backend of values.backends.split(",")) {
    for (const [name, wait] of Object.entries(WAITS)) {
      if (!name.includes(values.only)) continue;
      console.log(line(name, backend, await pairsOf((checkout) => wait(checkout, backend), other)));
    }
  }
  for (const { child } of servers.values()) {
    child.kill("SIGTERM");
    await child.status;
  }
}

/** Seconds here and there, in turn; the round before the first warms caches. */
async function pairsOf(
  seconds: (checkout: URL) => Promise<number>,
  other: URL,
): Promise<(readonly [number, number])[]> {
  const pairs: (readonly [number, number])[] = [];
  for (let round = 0; round <= Number(values.rounds); round++) {
    const found = new Map<URL, number>();
    for (const checkout of round % 2 === 0 ? [ROOT, other] : [other, ROOT]) {
      found.set(checkout, await seconds(checkout));
    }
    if (round > 0) pairs.push([found.get(ROOT)!, found.get(other)!]); // both were measured
  }
  return pairs;
}

function line(
  name: string,
  backend: string,
  pairs: readonly (readonly [number, number])[],
): string {
  const ratios = pairs.map(([ours, theirs]) => ours / theirs).toSorted((a, b) => a - b);
  const rank = lowerRank(ratios.length);
  const [low, high] = [ratios[rank]!, ratios.at(-1 - rank)!]; // within
  return [
    name.padEnd(36),
    backend.padEnd(8),
    median(ratios).toFixed(3).padEnd(7),
    `${low.toFixed(3)} – ${high.toFixed(3)}`.padEnd(16),
    `${median(pairs.map(([ours]) => ours)).toFixed(3)} s`.padEnd(8),
    `${median(pairs.map(([, theirs]) => theirs)).toFixed(3)} s`,
  ].join(" ");
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!; // never empty
}

/** Seconds of the loops and of what goes ahead of them, as the command reports. */
function loopOf(...args: readonly string[]): Wait {
  return async (checkout, backend) => {
    const all = ["generate", "--seed", "7", "--json", "--out", `${outOf()}.png`, ...args];
    const report = JSON.parse(await output(checkout, [...all, "--backend", backend]));
    return report.seconds + report.conditioningSeconds;
  };
}

/** Seconds of a whole process, which writes to a path that it is given without its ending. */
function wallOf(args: (out: string) => readonly string[]): Wait {
  return async (checkout, backend) => {
    const before = performance.now();
    await output(checkout, [...args(outOf()), "--backend", backend]);
    return (performance.now() - before) / 1000;
  };
}

/** Seconds of one request in full, to a server that was started before: which plan is chosen by itself differs. */
async function serverPicture(checkout: URL, backend: string): Promise<number> {
  const key = `${checkout} ${backend}`;
  const { url } = servers.get(key) ?? await started(checkout, backend);
  const before = performance.now();
  const response = await fetch(`${url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "a sneaker", seed: 7, steps: 10, plan: "none" }),
  });
  if (!response.ok) throw new Error(`${checkout.pathname}: ${await response.text()}`);
  await response.arrayBuffer();
  return (performance.now() - before) / 1000;
}

async function started(checkout: URL, backend: string): Promise<{ readonly url: string }> {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  const child = invardiff(checkout, ["serve", "--quiet", "--port", `${port}`, "--backend", backend])
    .spawn();
  const url = `http://127.0.0.1:${port}`;
  servers.set(`${checkout} ${backend}`, { url, child });
  const isReady = async (): Promise<boolean> => {
    const response = await fetch(`${url}/readyz`).catch(() => undefined);
    await response?.body?.cancel();
    return response?.ok === true;
  };
  while (!await isReady()) await new Promise((resolve) => setTimeout(resolve, 100));
  return { url };
}

function outOf(): string {
  return `${Deno.env.get("TMPDIR") ?? "/tmp"}/invardiff-against-${Deno.pid}`;
}

async function output(checkout: URL, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await invardiff(checkout, args).output();
  if (code === 0) return new TextDecoder().decode(stdout);
  throw new Error(`${checkout.pathname}: ${new TextDecoder().decode(stderr)}`);
}

function invardiff(checkout: URL, args: readonly string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    // The model of both: defaults differ.
    args: ["run", "--no-prompt", ...PERMISSIONS, "src/cli/main.ts", ...args, "--model", FASHION],
    cwd: checkout,
    stdin: "null",
    stdout: args[0] === "serve" ? "null" : "piped",
    stderr: args[0] === "serve" ? "null" : "piped",
  });
}
