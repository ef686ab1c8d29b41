/**
 * A server in a process of its own, for scripts that press on it.
 */

import { FASHION_DIT } from "../fashion_dit.ts";

/** A running server. */
export interface Served {
  /** Where it answers, without a slash at the end. */
  readonly url: string;
  /** Its process. */
  readonly pid: number;
  /** Tells it to stop, by SIGTERM unless given, and waits until it has. */
  stop(signal?: "SIGTERM" | "SIGINT"): Promise<{ readonly code: number; readonly stderr: string }>;
}

const ROOT = new URL("../../", import.meta.url);

/** Starts `serve` with these options on a free port, and waits until it is ready, or only listens. */
export async function startServer(
  args: readonly string[],
  { until = "ready", cwd = ROOT }: {
    readonly until?: "ready" | "listening";
    /** Where it runs: what is installed in the nearest node_modules is found. */
    readonly cwd?: URL;
  } = {},
): Promise<Served> {
  const permissions = ["read", "env", "sys", "ffi", "net"].map((name) => `--allow-${name}`);
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      `--lock=${new URL("deno.lock", ROOT).pathname}`,
      "--no-prompt",
      ...permissions,
      new URL("src/cli/main.ts", ROOT).pathname,
      "serve",
      "--port",
      "0",
      ...(args.includes("--model") ? [] : ["--model", FASHION_DIT.pathname]),
      ...args,
    ],
    cwd,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const lines = new Lines(child.stderr);
  const address = await lines.find(/listening on (http:\S+)\//);
  if (address === undefined) throw new Error(`the server did not start: ${lines.text}`);
  if (until === "ready" && await lines.find(/ on (wasm|native|webgpu).*: /) === undefined) {
    throw new Error(`the server did not load: ${lines.text}`);
  }
  return {
    url: address[1]!, // the pattern has a group
    pid: child.pid,
    async stop(signal = "SIGTERM"): Promise<{ code: number; stderr: string }> {
      child.kill(signal);
      const [{ code }] = await Promise.all([child.status, lines.rest()]);
      return { code, stderr: lines.text };
    },
  };
}

/** What a process says, as it says it. */
export class Lines {
  text = "";
  readonly #reader: ReadableStreamDefaultReader<string>;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Waits until it has said something; `undefined` where it ended without. */
  async find(pattern: RegExp): Promise<RegExpExecArray | undefined> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match !== null) return match;
      if (!await this.#more()) return undefined;
    }
  }

  /** Listens until it ends: what nobody reads would hold it up. */
  async rest(): Promise<void> {
    while (await this.#more());
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#reader.read();
    this.text += value ?? "";
    return !done;
  }
}

/** Value of a metric without labels. */
export async function readMetric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1];
  if (value === undefined) throw new Error(`the server has no metric ${name}`);
  return Number(value);
}

/** The value below which a share of all values lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}
