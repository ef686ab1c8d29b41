import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { decode } from "fast-png";
import { startServer } from "../../scripts/bench/served.ts";
import { capturedRun } from "./captured_run.ts";

const ONE_THREAD = ["--backend", "wasm", "--threads", "1"];

Deno.test("serve draws, and on SIGTERM ends what it began and then itself", async () => {
  const server = await startServer(ONE_THREAD);
  const begun = fetch(`${server.url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "sneaker", seed: 3, steps: 12 }),
  });
  await drawing(server.url);
  const stopped = server.stop();
  const response = await begun;
  const { data: [{ b64_json }] } = await response.json();
  assertEquals(decode(Uint8Array.from(atob(b64_json), (c) => c.charCodeAt(0))).width, 32);
  const { code, stderr } = await stopped;
  assertEquals(code, 0);
  assertMatch(stderr, /listening on http:\/\/127\.0\.0\.1:\d+\//);
  assertStringIncludes(stderr, "stopping");
});

Deno.test("serve takes keys from a file, and a plan", async () => {
  const dir = await Deno.makeTempDir();
  const key = "a-key-of-sixteen-letters";
  await Deno.writeTextFile(`${dir}/keys`, `# of the first client\n${key}\n\n`);
  const server = await startServer([
    ...ONE_THREAD,
    "--api-key-file",
    `${dir}/keys`,
    "--plan",
    "fashion-dit.8x",
    "--workers",
    "0",
  ]);
  try {
    const refused = await fetch(`${server.url}/v1/models`);
    assertEquals(refused.status, 401);
    await refused.body?.cancel();
    const headers = { authorization: `Bearer ${key}` };
    const { data } = await (await fetch(`${server.url}/v1/models`, { headers })).json();
    assertEquals(data[0].default_plan, "fashion-dit.8x");
  } finally {
    assertEquals((await server.stop()).code, 0);
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("serve says what is wrong with its options, and ends", async () => {
  for (
    const [args, words] of [
      [["--port", "x"], "--port must be a whole number in 0 … 65535: current value is x"],
      [["--port", "70000"], "--port must be a whole number in 0 … 65535"],
      [["--cors", "nothing"], "--cors must be origins such as https://example.com"],
      [["--colour", "red"], "--colour"],
      [["--max-steps", "2000"], "in 1 … 1000: current value is 2000"],
    ] as const
  ) {
    const { code, stderr } = await capturedRun("serve", ...args);
    assertEquals(code, 2, args.join(" "));
    assertStringIncludes(stderr, words);
  }
});

Deno.test("serve ends when its keys, its plan or its model cannot be had", async () => {
  const dir = await Deno.makeTempDir();
  await Deno.writeTextFile(`${dir}/empty`, "# nothing\n");
  await Deno.writeTextFile(`${dir}/short`, "secret\n");
  for (
    const [args, words, wanted] of [
      [["--api-key-file", `${dir}/none`], "must be readable", 3],
      [["--api-key-file", `${dir}/empty`], "hold at least one key", 3],
      [["--api-key-file", `${dir}/short`], "keys of 16 to 512", 3],
      [["--plan", "no.such.plan"], "no.such.plan", 3],
      [
        ["--port", "0", "--workers", "0", "--backend", "wasm", "--model", `${dir}/none`],
        "Cannot",
        3,
      ],
    ] as const
  ) {
    const { code, stderr } = await capturedRun("serve", ...args);
    assertEquals(code, wanted, `${args.join(" ")}: ${stderr}`);
    assertStringIncludes(stderr, words);
    assert(!stderr.includes("secret"), "keys are never shown");
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("serve says which address it cannot have, and ends", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr; // of TCP
  const { code, stderr } = await capturedRun("serve", "--port", `${port}`);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `127.0.0.1:${port}: something listens there already.`);
  taken.close();
  for (
    const [host, words] of [
      ["192.0.2.1", "listen on 192.0.2.1:0: this machine does not have that address."],
      ["no.such.host.invalid", "there is no host of that name."],
    ] as const
  ) {
    await assertRejects(() => startServer(["--host", host]), Error, words); // when it has ended
  }
});

Deno.test("serve ends in a moment when it is told to stop while its model loads", async () => {
  for (const [signal, wanted] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
    for (const workers of ["1", "2"]) {
      const server = await startServer([...ONE_THREAD, "--workers", workers], {
        until: "listening",
      });
      const { code, stderr } = await server.stop(signal);
      assertEquals(code, wanted, stderr);
      assert(!stderr.includes(" on wasm"), "it had not loaded");
    }
  }
});

Deno.test("serve names an address that works, IPv6 too, and warns where others can reach it", async () => {
  const dir = await Deno.makeTempDir();
  await Deno.writeTextFile(`${dir}/keys`, "a-key-of-sixteen-letters\n");
  const keys = ["--api-key-file", `${dir}/keys`];
  for (
    const [args, url, warns] of [
      [["--host", "[::1]"], /^http:\/\/\[::1\]:\d+$/, false],
      [["--host", "::1"], /^http:\/\/\[::1\]:\d+$/, false],
      [["--host", "localhost"], /^http:\/\/localhost:\d+$/, false],
      [["--host", "0.0.0.0"], /^http:\/\/0\.0\.0\.0:\d+$/, true],
      [["--host", "0.0.0.0", ...keys], /^http:\/\/0\.0\.0\.0:\d+$/, false],
    ] as const
  ) {
    const server = await startServer([...args, ...ONE_THREAD], { until: "listening" });
    assertMatch(server.url, url);
    const asked = await new Deno.Command(Deno.execPath(), {
      args: ["eval", `console.log((await fetch("${server.url}/healthz")).status)`],
    }).output(); // may ask beyond 127.0.0.1, as this process may not
    assertEquals(new TextDecoder().decode(asked.stdout).trim(), "200", args.join(" "));
    assertEquals((await server.stop()).stderr.includes("warning:"), warns);
  }
  await Deno.remove(dir, { recursive: true });
});

/** Waits until the server draws. */
async function drawing(url: string): Promise<void> {
  for (;;) {
    const text = await (await fetch(`${url}/metrics`)).text();
    if (/^invardiff_steps_total\{.*\} \d/m.test(text)) return;
  }
}
