/** The service in each runtime, as its users start it, on a free port of the loopback. */
import { findBun, withBundle } from "../_shim/bundled.ts";
import { unpackPackage, withProject } from "../_shim/packed.ts";
import type { Need } from "../_shim/requires.ts";
import { LOCK, ROOT, runWatched } from "../_shim/watched.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

/** What serves: our own command, and runtimes. */
export type ServerName = "serve" | "deno" | "bun" | "node" | "workerd";

/** What each needs beside Deno. */
export const SERVER_NEEDS: Readonly<Record<ServerName, readonly Need[]>> = {
  serve: [],
  deno: [],
  bun: ["bun", "packages"],
  node: ["node", "packages", "bundler"],
  workerd: ["workerd", "bundler"],
};

/** A server's process. */
export interface ServerProcess {
  /** Where it listens. */
  readonly base: URL;
  /** Id of its process. */
  readonly pid: number;
  /** Seconds from its start until it listened. */
  readonly listenSeconds: number;
  /** Tells it to stop; its exit code. */
  stop(): Promise<number>;
}

const SECONDS = 120; // to listen; none takes 10 on a free core

/** Runs a server of fashion-dit while it is used. The environment may bound it, and name another model's folder. */
export async function withServer<T>(
  name: ServerName,
  use: (server: ServerProcess) => Promise<T>,
  environment: Readonly<Record<string, string>> = {},
): Promise<T> {
  const env = { INVARDIFF_MODEL: FASHION_DIT.pathname, ...environment };
  switch (name) {
    case "serve":
      return await listening([Deno.execPath(), ...OWN_SERVE], use, { env });
    case "deno":
      return await listening([Deno.execPath(), ...DENO_SERVE], use, { env });
    case "bun": {
      return await withProject(async (project) => {
        const script = new URL("src/edge/bun.js", await unpackPackage(project)).pathname;
        return await listening([await findBun(), script], use, { env: { ...env, PORT: "0" } });
      });
    }
    case "node":
      return await withBundle(new URL("node_server.ts", import.meta.url), async (path) => {
        return await listening(["node", path], use, { env });
      });
    case "workerd":
      return await withWorkerd(use, { model: env.INVARDIFF_MODEL });
  }
}

// deno-fmt-ignore
const OWN_SERVE = [
  "run", LOCK, "--no-prompt", "--allow-read", "--allow-env", "--allow-sys", "--allow-ffi", "--allow-net",
  "src/cli/main.ts", "serve", "--port=0", "--quiet", `--model=${FASHION_DIT.pathname}`,
] as const;
// deno-fmt-ignore
const DENO_SERVE = [
  "serve", LOCK, "--no-prompt", "--host=127.0.0.1", "--port=0",
  "--allow-read", "--allow-env", "--allow-sys", "--allow-ffi", "src/edge/deno.ts",
] as const;

/** How a built worker is served, beside what `wrangler.jsonc` says. */
export interface WorkerdOptions {
  /** An ES module in front of the worker, which it imports as `./worker.js`. */
  readonly front?: string;
  /** The worker's own entry, from the root; the server alone unless given. */
  readonly entry?: string;
  /** The model's directory; the package's own unless given. */
  readonly model?: string;
  /** Flags of V8. */
  readonly v8Flags?: readonly string[];
  /** Hears of all that the process prints. */
  readonly onPrint?: (text: string) => void;
}

/** Builds the worker and serves it by workerd while it is used. */
export async function withWorkerd<T>(
  use: (server: ServerProcess) => Promise<T>,
  options: WorkerdOptions = {},
): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    const built = new URL(`file://${folder}/worker/`);
    const build = new URL("scripts/build/edge.ts", ROOT).pathname;
    const model = options.model === undefined ? [] : [options.model];
    const args = ["run", LOCK, "-A", build, built.href, options.entry ?? "", ...model] as const;
    await runWatched([Deno.execPath(), ...args], { seconds: SECONDS });
    if (options.front !== undefined) await Deno.writeTextFile(`${folder}/front.js`, options.front);
    await Deno.writeTextFile(`${folder}/config.capnp`, workerdConfig(built.pathname, options));
    const serve = ["serve", "--experimental", `${folder}/config.capnp`, "--control-fd=1"];
    return await listening([await findWorkerd(), ...serve], use, { onPrint: options.onPrint });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What `wrangler.jsonc` says, in workerd's own words. */
function workerdConfig(built: string, { front, v8Flags = [] }: WorkerdOptions): string {
  const embed = (name: string, file: string): string => {
    return `(name = "${name}", esModule = embed "${file}"),`;
  };
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "assets", disk = (path = "${built}assets")),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
  v8Flags = ${JSON.stringify(v8Flags)},
);
const worker :Workerd.Worker = (
  modules = [
    ${front === undefined ? "" : embed("front.js", "front.js")}
    ${embed("worker.js", "worker/script/worker.js")}
    ${["ort", "jpeg", "webp"].map(embedWasm).join("\n    ")}
  ],
  bindings = [(name = "ASSETS", service = "assets")],
  compatibilityDate = "2026-04-01",
  compatibilityFlags = ["enable_request_signal"],
);
`;
}

function embedWasm(name: string): string {
  return `(name = "${name}.wasm", wasm = embed "worker/script/${name}.wasm"),`;
}

/** workerd itself: killing its launcher would leave it running. */
async function findWorkerd(): Promise<string> {
  const script = "console.log(require('workerd').default)";
  return (await runWatched(["node", "-e", script], { seconds: SECONDS })).trim();
}

/** Starts a server, waits for the port that it prints, and ends it after use. */
async function listening<T>(
  [command, ...args]: readonly [string, ...string[]],
  use: (server: ServerProcess) => Promise<T>,
  { env = {}, onPrint = () => {} }: {
    readonly env?: Readonly<Record<string, string>>;
    readonly onPrint?: ((text: string) => void) | undefined;
  },
): Promise<T> {
  const options = { args, cwd: ROOT, env: { ...env, NO_COLOR: "1" } };
  const begun = performance.now();
  const child = new Deno.Command(command, { ...options, stdout: "piped", stderr: "piped" }).spawn();
  const port = Promise.withResolvers<number>();
  const printed: string[] = [];
  const heard = [child.stdout, child.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      printed.push(text);
      onPrint(text);
      const found = /127\.0\.0\.1:(\d+)|"port":(\d+)/.exec(printed.join(""));
      if (found !== null) port.resolve(Number(found[1] ?? found[2]));
    }
  });
  const late = setTimeout(
    () => port.reject(new Error(`${command} does not listen`)),
    SECONDS * 1000,
  );
  void child.status.then(() => port.reject(new Error(`${command} ended:\n${printed.join("")}`)));
  try {
    const base = new URL(`http://127.0.0.1:${await port.promise}/`);
    const stop = async (): Promise<number> => {
      child.kill("SIGTERM");
      return (await child.status).code;
    };
    const listenSeconds = (performance.now() - begun) / 1000;
    return await use({ base, pid: child.pid, listenSeconds, stop });
  } finally {
    clearTimeout(late);
    port.promise.catch(() => {}); // it listened and has ended since
    kill(child);
    await Promise.all([child.status, ...heard]);
  }
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // it has ended by itself
  }
}
