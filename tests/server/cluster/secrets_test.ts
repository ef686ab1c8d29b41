/** What `serve` says of its queue: that jobs may be lost there, and why it fails, but never its password. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Lines } from "../../../scripts/bench/served.ts";
import { capturedRun } from "../../cli/captured_run.ts";
import { eventually } from "./shared_server.ts";
import { overStores, withPassword } from "./stores.ts";

const PASSWORD = "s3cret-of-the-queue";
const MAIN = new URL("../../../src/cli/main.ts", import.meta.url).pathname;
/** One that takes requests needs no model. */
const API = ["serve", "--role", "api", "--port", "0", "--model", "/there/is/none"];

overStores(
  "a queue's password is in no line that serve says, whatever goes wrong",
  async (kind) => {
    await using store = await kind.start({ password: PASSWORD });
    const url = withPassword(store.url, PASSWORD);
    const shown = store.url.replace(/\w+@/, "");
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", MAIN, ...API],
      env: { INVARDIFF_QUEUE: url },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const [out, err] = [new Lines(child.stdout), new Lines(child.stderr)];
    const all = out.rest();
    const [, server] = await err.find(/listening on (http:\S+)\//) ?? [];
    assertStringIncludes(err.text, `jobs wait at ${shown}\n`);
    assertStringIncludes(
      err.text.split("\n").find((line) => /^warning: /.test(line))!,
      kind.warning,
    );
    const said = err.rest();
    await pictures(server!);
    await store.lockOut(PASSWORD);
    await eventually(async () => await pictures(server!) === 503); // its password is refused from now on
    await store.stop();
    assertEquals(await pictures(server!), 503);
    child.kill("SIGTERM");
    const [{ code }] = await Promise.all([child.status, all, said]);
    assertStringIncludes(err.text, "error in request"); // it was told to the operator
    assert(!(out.text + err.text).includes(PASSWORD), `${out.text}${err.text}`);
    assertEquals(code, 0, err.text);

    const unreachable = await capturedRun(...API, "--queue", url);
    assertEquals(unreachable.code, 4);
    assertStringIncludes(unreachable.stderr, `Cannot use the queue at ${shown}`);
    assert(!JSON.stringify(unreachable).includes(PASSWORD), unreachable.stderr);
  },
);

async function pictures(server: string): Promise<number> {
  const response = await fetch(`${server}/v1/images/none.png`);
  await response.body?.cancel();
  return response.status;
}
