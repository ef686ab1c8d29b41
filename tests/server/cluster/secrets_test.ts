import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Redis } from "ioredis";
import { Lines } from "../../../scripts/bench/served.ts";
import { capturedRun } from "../../cli/captured_run.ts";
import { RedisServer, WITHOUT_REDIS } from "./redis_fixture.ts";
import { eventually } from "./shared_server.ts";

const PASSWORD = "s3cret-of-the-queue";
const MAIN = new URL("../../../src/cli/main.ts", import.meta.url).pathname;

Deno.test({
  name: "a queue's password is in no line that serve says, whatever goes wrong",
  ...{ ignore: WITHOUT_REDIS, sanitizeOps: false, sanitizeResources: false },
  async fn(): Promise<void> {
    await using redis = await RedisServer.start("--requirepass", PASSWORD);
    const url = redis.url.replace("//", `//default:${PASSWORD}@`);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", MAIN, "serve", "--role", "api", "--port", "0"],
      env: { INVARDIFF_QUEUE: url },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const [out, err] = [new Lines(child.stdout), new Lines(child.stderr)];
    const all = out.rest();
    const [, server] = await err.find(/listening on (http:\S+)\//) ?? [];
    assertStringIncludes(err.text, `jobs wait at ${redis.url}`);
    const said = err.rest();
    await pictures(server!);
    const operator = new Redis(url);
    await operator.config("SET", "requirepass", "another");
    await operator.client("KILL", "TYPE", "normal", "SKIPME", "yes");
    await eventually(async () => await pictures(server!) === 503); // its password is refused from now on
    await redis.stop();
    assertEquals(await pictures(server!), 503);
    operator.disconnect();
    child.kill("SIGTERM");
    await Promise.all([child.status, all, said]);
    assertStringIncludes(err.text, "error in request"); // it was told to the operator
    assert(!(out.text + err.text).includes(PASSWORD), `${out.text}${err.text}`);

    const unreachable = await capturedRun("serve", "--role", "api", "--queue", url, "--port", "0");
    assertEquals(unreachable.code, 4);
    assertStringIncludes(unreachable.stderr, `Cannot use the queue at ${redis.url}`);
    assert(!JSON.stringify(unreachable).includes(PASSWORD), unreachable.stderr);
  },
});

async function pictures(server: string): Promise<number> {
  const response = await fetch(`${server}/v1/images/none.png`);
  await response.body?.cancel();
  return response.status;
}
