/** Clients that are slow, or that stop talking half-way: real sockets against a real server. */
import { assert, assertMatch } from "@std/assert";
import { toyApp, ToyRenderer } from "./toy_renderer.ts";

const HEAD =
  "POST /v1/images/generations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

Deno.test("a body that comes too slowly is refused in time", async () => {
  const answer = await talk(`${HEAD}content-length: 100\r\n\r\n{`, "keep open");
  assertMatch(answer, /^HTTP\/1\.1 408 /);
  assertMatch(answer, /body_timeout/);
});

Deno.test("a body without an end is refused when it is too large", async () => {
  const chunk = `400\r\n${" ".repeat(0x400)}\r\n`;
  const answer = await talk(
    `${HEAD}transfer-encoding: chunked\r\n\r\n${chunk.repeat(4)}`,
    "keep open",
  );
  assertMatch(answer, /^HTTP\/1\.1 413 /);
});

Deno.test("a body that says to be too large is refused before it comes", async () => {
  const answer = await talk(`${HEAD}content-length: 1000000000\r\n\r\n`, "keep open");
  assertMatch(answer, /^HTTP\/1\.1 413 /);
});

Deno.test("a client that stops talking half-way does not keep the server", async () => {
  const answer = await talk(`${HEAD}content-length: 100\r\n\r\n{"label"`, "close");
  assert(answer === "" || /^HTTP\/1\.1 4\d\d /.test(answer), answer);
});

/** Sends text, reads until the other side is done, and proves that the server answers others then. */
async function talk(text: string, then: "keep open" | "close"): Promise<string> {
  const app = await toyApp([new ToyRenderer()], {
    limits: { body: { bytes: 2048, seconds: 0.1 } },
  });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => app.fetch(request),
  );
  const { port } = server.addr;
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  try {
    await connection.write(new TextEncoder().encode(text));
    if (then === "close") await connection.closeWrite();
    const answer = await readAnswer(connection);
    const health = await fetch(`http://127.0.0.1:${port}/healthz`);
    assert(health.ok);
    await health.body?.cancel();
    return answer;
  } finally {
    connection.close();
    await server.shutdown();
  }
}

/** An answer's head and body; `""` when the connection is closed without one. */
async function readAnswer(connection: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(4096);
  let answer = "";
  while (!/\}\}$/.test(answer)) {
    const count = await connection.read(buffer).catch(() => null); // reset: no answer will come
    if (count === null) break;
    answer += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return answer;
}
