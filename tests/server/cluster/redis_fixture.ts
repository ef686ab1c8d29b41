/** A Redis of its own on loopback, for a test; it can be stopped and started again. */
import { existsSync } from "node:fs";

/** Debian's `redis-server`, or none. */
const BINARY = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"].find((path) =>
  existsSync(path)
);

/** Whether tests that need Redis are left out; where everything is required they fail instead. */
export const WITHOUT_REDIS: boolean = BINARY === undefined &&
  Deno.env.get("INVARDIFF_REQUIRE_ALL") === undefined;

/** A running Redis. */
export class RedisServer {
  #child: Deno.ChildProcess | undefined;

  private constructor(
    readonly port: number,
    readonly folder: string,
    readonly args: readonly string[],
  ) {}

  /** Starts one; `args` are added to its command line. */
  static async start(...args: string[]): Promise<RedisServer> {
    const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const { port } = listener.addr;
    listener.close();
    const server = new RedisServer(port, await Deno.makeTempDir(), args);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it again, with what it saved. */
  async start(): Promise<void> {
    const { port, folder } = this;
    const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, ...this.args];
    if (BINARY === undefined) {
      throw new Error("redis-server must be installed: see CONTRIBUTING.md");
    }
    this.#child = new Deno.Command(BINARY, { args, stdout: "null", stderr: "null" }).spawn();
    for (let tries = 0; tries < 200; tries++) {
      try {
        (await Deno.connect({ port, hostname: "127.0.0.1" })).close();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    throw new Error("redis-server did not start");
  }

  /** Stops it: SIGTERM saves what it knows, SIGKILL does not. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    this.#child?.kill(signal);
    await this.#child?.status;
    this.#child = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
    await Deno.remove(this.folder, { recursive: true });
  }
}
