/** The example of a cluster: what compose.yaml, Dockerfile and nginx.conf promise, without Docker. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { parse } from "yaml";
import { lastOf, parseDockerfile } from "../../scripts/prove/dockerfile.ts";
import { parseOptions } from "../../src/cli/options.ts";
import { SERVE } from "../../src/cli/serve_options.ts";
import { DEFAULT_LIMITS } from "../../src/server/app_options.ts";

/** A service, as far as we look. */
interface Service {
  readonly command?: readonly string[];
  readonly build: { readonly target: string };
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly networks: readonly string[];
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly stop_grace_period?: string;
  readonly deploy?: { readonly replicas: number };
}

const EXAMPLE = new URL("../../examples/cluster/", import.meta.url);
const read = (name: string): Promise<string> => Deno.readTextFile(new URL(name, EXAMPLE));
const { services, networks } = parse(await read("compose.yaml"), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
};
const stages = parseDockerfile(await read("Dockerfile"));

Deno.test("two servers and two workers start with commands that serve takes", () => {
  const asked = (name: string): ReturnType<typeof options> => options(services[name]!);
  assertEquals([asked("api").role, services["api"]!.deploy?.replicas], ["api", 2]);
  assertEquals([asked("worker").role, services["worker"]!.deploy?.replicas], ["worker", 2]);
  assertEquals([asked("api").host, asked("api").port], ["0.0.0.0", 8000]);
  assertEquals(asked("api").publicUrl, "http://localhost:8080");
  for (const name of ["api", "worker"]) {
    const { environment, stop_grace_period } = services[name]!;
    assertMatch(
      environment!["INVARDIFF_QUEUE"]!,
      /^redis:\/\/:\$\{QUEUE_PASSWORD:\?.*\}@queue:6379$/,
    );
    assertMatch(environment!["INVARDIFF_API_KEYS"]!, /^\$\{API_KEYS:\?/);
    assert(Number.parseInt(stop_grace_period!) > 30, "the grace that serve gives what it draws");
  }
});

Deno.test("every container is an ordinary user's on a read-only root, and only the proxy has a port", () => {
  for (const [name, service] of Object.entries(services)) {
    assertEquals(service.read_only, true, name);
    assertEquals(service.cap_drop, ["ALL"], name);
    assertEquals(service.security_opt, ["no-new-privileges:true"], name);
    assertEquals(service.ports !== undefined, name === "proxy", name);
    const stage = stages.find((each) => each.name === service.build.target);
    assert(stage !== undefined, `${name} is built of a stage`);
    assertMatch(lastOf(stage, "USER"), /^[1-9]\d*:[1-9]\d*$/, name);
  }
  assertEquals([networks["back"]?.internal, networks["front"]?.internal], [true, undefined]);
  for (const name of ["queue", "worker"]) assertEquals(services[name]!.networks, ["back"]);
});

Deno.test("images are of Debian's packages and npm's, in the versions that we test", async () => {
  assertEquals([...new Set(stages.map(({ from }) => from))], ["debian:trixie-slim"]);
  const [packages] = stages;
  const install = lastOf(packages!, "RUN");
  const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  for (const name of ["bullmq", "ioredis"]) {
    const [, version] = new RegExp(`"npm:(${name}@[^"]+)"`).exec(config)!;
    assert(install.split(" ").includes(version!), `${install} has ${version}`);
  }
});

Deno.test("the queue's Redis keeps what was accepted, and the proxy lets through what servers take", async () => {
  const queue = lastOf(stages.find(({ name }) => name === "queue")!, "ENTRYPOINT");
  for (
    const words of ["--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"]
  ) {
    assert(queue.includes(words), words);
  }
  assert(!/--requirepass/.test(queue), "no password on a command line");
  assertMatch(
    queue,
    /&& exec redis-server/,
    "which SIGTERM reaches: a pipe's other end would be alone",
  );
  const nginx = await read("nginx.conf");
  const number = (name: string): number =>
    Number(new RegExp(`${name} (\\d+)[ms];`).exec(nginx)?.[1]);
  assert(number("client_max_body_size") * 2 ** 20 > DEFAULT_LIMITS.upload.bytes);
  assert(number("proxy_read_timeout") > DEFAULT_LIMITS.deadlineSeconds);
  assert(nginx.includes("proxy_buffering off;"), "events come as they happen");
});

/** Options of a service's command, behind the entry point's; variables have the values that they have by default. */
function options({ command = [], build: { target } }: Service): ReturnType<typeof parseServe> {
  const entry = JSON.parse(lastOf(stages.find(({ name }) => name === target)!, "ENTRYPOINT"));
  const [, , verb, ...words] = entry as string[];
  assertEquals(verb, "serve");
  const given = command.map((word) => word.replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1"));
  return parseServe([...words, ...given]);
}

function parseServe(
  words: readonly string[],
): ReturnType<typeof parseOptions<typeof SERVE.options>> {
  Deno.env.set("INVARDIFF_QUEUE", "redis://queue");
  try {
    return parseOptions(SERVE, words);
  } finally {
    Deno.env.delete("INVARDIFF_QUEUE");
  }
}
