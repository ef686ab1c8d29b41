/**
 * A store, two servers and some workers, each a process that can be killed and started again.
 */

import type { StoreKind, StoreServer } from "../../tests/server/cluster/stores.ts";
import { findBun } from "../../tests/_shim/bundled.ts";
import { Lines } from "../bench/served.ts";
import { buildPackage } from "../build/npm.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

/** Seconds of a worker's lease; lost ones are looked for twice in it. */
export const CLUSTER_LEASE = 6;
const ROOT = new URL("../../", import.meta.url);
const MODEL = ["--model", FASHION_DIT.pathname, "--backend", "wasm", "--threads", "1"];

/** A command that runs our own. */
type Command = readonly [string, ...string[]];

interface Process {
  readonly command: Command;
  readonly args: readonly string[];
  child: Deno.ChildProcess;
  url: string;
}

/** All that runs. */
export class ClusterProcesses {
  killed = 0;
  stopped = 0;
  readonly #servers: Process[] = [];
  readonly #workers: Process[] = [];

  private constructor(readonly store: StoreServer, readonly project: URL | undefined) {}

  /** Starts a store, two servers, and a worker in each runtime. */
  static async start(kind: StoreKind, runtimes: readonly string[]): Promise<ClusterProcesses> {
    const store = await kind.start({ durable: true });
    const packed = runtimes.some((name) => name !== "deno");
    const cluster = new ClusterProcesses(store, packed ? await installed() : undefined);
    const shared = ["--queue", store.url, "--lease", `${CLUSTER_LEASE}`, "--quiet"];
    for (let i = 0; i < 2; i++) {
      const args = [...shared, "--role", "api", "--queue-limit", "1000"];
      cluster.#servers.push(await started(await cluster.#command("deno"), args));
    }
    for (const runtime of runtimes) {
      const args = [...shared, "--role", "worker", ...MODEL];
      cluster.#workers.push(await started(await cluster.#command(runtime), args));
    }
    return cluster;
  }

  /** Addresses of the servers. */
  get servers(): readonly string[] {
    return this.#servers.map(({ url }) => url);
  }

  /** Addresses of the workers. */
  get workers(): readonly string[] {
    return this.#workers.map(({ url }) => url);
  }

  /** Kills the next worker in turn, and starts another in its place. */
  async killWorker(turn: number): Promise<void> {
    const worker = this.#workers[turn % this.#workers.length]!; // there is one at least
    worker.child.kill("SIGKILL");
    await worker.child.status;
    this.killed++;
    Object.assign(worker, await started(worker.command, worker.args));
  }

  /** Stops the store for two seconds. */
  async stopStore(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.store.stop(signal);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await this.store.start();
    this.stopped++;
  }

  /** Stops one of the servers, and starts it again, elsewhere. */
  async restartServer(): Promise<void> {
    const [first] = this.#servers;
    first!.child.kill("SIGTERM");
    await first!.child.status;
    Object.assign(first!, await started(first!.command, first!.args));
  }

  async stop(): Promise<void> {
    for (const { child } of [...this.#servers, ...this.#workers]) {
      child.kill("SIGKILL");
      await child.status;
    }
    await this.store[Symbol.asyncDispose]();
    if (this.project !== undefined) await Deno.remove(this.project, { recursive: true });
  }

  async #command(runtime: string): Promise<Command> {
    if (runtime === "deno") {
      const main = new URL("src/cli/main.ts", ROOT).pathname;
      const lock = `--lock=${new URL("deno.lock", ROOT).pathname}`;
      return [Deno.execPath(), "run", lock, "-A", "--quiet", main];
    }
    const bin = new URL("node_modules/@invardiff/edge/bin.js", this.project).pathname;
    return [runtime === "bun" ? await findBun() : "node", bin];
  }
}

/** A folder with our package for npm and what a shared queue needs. */
async function installed(): Promise<URL> {
  const project = new URL(`file://${await Deno.makeTempDir()}/`);
  const tarball = await buildPackage(project);
  await Deno.writeTextFile(new URL("package.json", project), '{"type": "module", "private": true}');
  const { success } = await new Deno.Command("npm", {
    args: [
      "install",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
      tarball.pathname,
      "bullmq@6.7.0",
      "ioredis@5.11.1",
      "pg@8.23.1",
    ],
    cwd: project,
  }).output();
  if (!success) throw new Error("Cannot install the package for npm");
  return project;
}

/** Starts `serve`, and waits until it listens. */
async function started(command: Command, args: readonly string[]): Promise<Process> {
  const [program, ...first] = command;
  const child = new Deno.Command(program, {
    args: [...first, "serve", "--port", "0", ...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const lines = new Lines(child.stderr);
  const [, url] = await lines.find(/listening on (http:\S+)\//) ?? [];
  if (url === undefined) throw new Error(`Cannot start ${command.join(" ")}: ${lines.text}`);
  void lines.rest();
  return { command, args, child, url };
}
