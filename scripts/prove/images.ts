/**
 * Whether the images of `examples/cluster` can be built and do what they promise, where no builder of images is at
 * hand: each step of the Dockerfile is done in a folder of its own with Debian's packages, by `chroot`; then each image
 * runs as its user, without capabilities, on a root that is mounted read-only.
 *
 *     deno task build:npm "file://$PWD/examples/cluster/"
 *     sudo deno run -A scripts/prove/images.ts [debian.tar]   # needs mmdebstrap and setpriv
 *
 * Starts the queue, a server, a worker and the proxy as compose.yaml does (on one network), draws a picture through
 * the proxy, tries to write, and stops all of it; exits with 1 where anything fails, or one of them ends with another
 * code than 0.
 */

import { lastOf, parseDockerfile, type Stage } from "./dockerfile.ts";

const EXAMPLE = new URL("../../examples/cluster/", import.meta.url);
const KEY = "a-key-of-sixteen-letters";
const PASSWORD = "some-letters-and-digits";
const QUEUE_URL = `redis://:${PASSWORD}@127.0.0.1:6379`;

/** Whom this machine trusts: its registry of packages may be behind a proxy. */
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";
const TRUSTED = "/tmp/certificates.crt";
const TRUST = `export NODE_EXTRA_CA_CERTS=${TRUSTED}`;

/** Ends with 1 where anything but a root that is mounted read-only keeps us from writing, or nothing does. */
const TRY_TO_WRITE = `for folder in / /etc /usr /var /home; do
  touch "$folder/x" 2>&1 | grep -q "Read-only file system" || { echo "can write to $folder"; exit 1; }
done;`;

const work = await Deno.makeTempDir();
const mounted: string[] = [];
const running: { readonly what: string; readonly child: Deno.ChildProcess }[] = [];
try {
  await buildAll();
  await tryAll();
} catch (error) {
  console.error(error); // before what was made is removed, which takes a while
  Deno.exitCode = 1;
} finally {
  for (const { what, child } of running.reverse()) {
    const code = await stopped(child);
    console.log(`${what} ended with ${code}`);
    if (code !== 0) Deno.exitCode = 1;
  }
  for (const path of mounted.reverse()) await run("umount", path);
  await run("rm", "-rf", "--one-file-system", work); // never what was mounted
}

/** Does the steps of each stage. */
async function buildAll(): Promise<void> {
  const stages = parseDockerfile(await Deno.readTextFile(new URL("Dockerfile", EXAMPLE)));
  const [base = `${work}/debian.tar`] = Deno.args;
  const [suite = ""] = stages[0]!.from.split(":")[1]?.split("-") ?? [];
  if (Deno.args.length === 0) await run("mmdebstrap", "--variant=minbase", suite, base);
  for (const stage of stages) {
    const root = `${work}/${stage.name}`;
    await Deno.mkdir(root);
    await run("tar", "-xf", base, "-C", root);
    await mount(root, "--bind", "/dev", "dev");
    await mount(root, "-t", "proc", "proc", "proc");
    await run("cp", "/etc/resolv.conf", `${root}/etc/resolv.conf`);
    await run("cp", CERTIFICATES, `${root}${TRUSTED}`);
    await run("sh", "-c", `echo force-unsafe-io > ${root}/etc/dpkg/dpkg.cfg.d/quick`); // it is thrown away
    let folder = "/";
    for (const { name, text } of stage.instructions) {
      if (name === "WORKDIR") await run("mkdir", "-p", `${root}${folder = text}`);
      if (name === "COPY") await copy(stage, text, `${root}${folder}`);
      if (name === "RUN") {
        await run("chroot", root, "sh", "-c", `${TRUST}; cd ${folder} && ${text}`);
      }
    }
    console.log(`built ${stage.name}`);
  }
}

async function copy({ name }: Stage, text: string, folder: string): Promise<void> {
  const words = text.split(/\s+/);
  const from = words[0]!.startsWith("--from=") ? `${work}/${words.shift()!.slice(7)}` : undefined;
  const [source = "", target = ""] = words;
  const origin = from === undefined ? `${EXAMPLE.pathname}${source}` : `${from}${source}`;
  const to = target.startsWith("/") ? `${work}/${name}${target}` : folder;
  await run("sh", "-c", `mkdir -p "$(dirname ${to})" && cp -r ${origin} ${to}`);
}

/** Starts all and draws. */
async function tryAll(): Promise<void> {
  const stages = parseDockerfile(await Deno.readTextFile(new URL("Dockerfile", EXAMPLE)));
  const stage = (name: string): Stage => stages.find((each) => each.name === name)!; // it is there
  const hosts = `127.0.0.1 api queue\n`;
  const proxy = `${work}/proxy/etc/nginx/nginx.conf`; // no Docker, no DNS of its own
  await Deno.writeTextFile(`${work}/proxy/etc/hosts`, hosts);
  const conf = await Deno.readTextFile(proxy);
  await Deno.writeTextFile(
    proxy,
    conf.replace(/set \$servers .*\n.*proxy_pass.*/, "proxy_pass http://api:8000;"),
  );
  for (const name of ["invardiff", "queue", "proxy"]) await makeReadOnly(name);
  start(stage("queue"), [], { QUEUE_PASSWORD: PASSWORD });
  await reach(6379);
  const env = { INVARDIFF_QUEUE: QUEUE_URL, INVARDIFF_API_KEYS: KEY };
  start(stage("invardiff"), ["--role", "worker", "--port", "8001"], env);
  start(stage("invardiff"), ["--role", "api"], env);
  start(stage("proxy"), [], {});
  for (const port of [8000, 8080]) await reach(port);
  const url = "http://127.0.0.1:8080";
  for (let tries = 0; (await fetch(`${url}/readyz`)).status !== 200; tries++) {
    if (tries > 300) throw new Error("no worker came");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const response = await fetch(`${url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${KEY}` },
    body: JSON.stringify({ prompt: "a person with curly hair", seed: 3, steps: 4 }),
  });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  const { data } = await response.json();
  console.log(`drew through the proxy: ${data[0].b64_json.length} letters`);
}

/** Tells a process to stop, unless it has ended; its code. */
async function stopped(child: Deno.ChildProcess): Promise<number> {
  try {
    child.kill("SIGTERM");
  } catch {
    // It ended before it was told to.
  }
  return (await child.status).code;
}

async function makeReadOnly(name: string): Promise<void> {
  const root = `${work}/${name}`;
  await mount(root, "--bind", root, "");
  await run("mount", "-o", "remount,bind,ro", root);
  await mount(root, "-t", "tmpfs", "tmpfs", "tmp");
  await mount(root, "--bind", "/dev", "dev");
  await mount(root, "-t", "proc", "proc", "proc");
  if (name !== "queue") return;
  await mount(root, "-t", "tmpfs", "tmpfs", "data");
  await run("chown", "10001:10001", `${root}/data`);
}

/** Runs an image's program as its user; first, what it must not be able to do. */
function start(stage: Stage, args: readonly string[], env: Readonly<Record<string, string>>): void {
  const [uid = "", gid = ""] = lastOf(stage, "USER").split(":");
  const program: readonly string[] = JSON.parse(lastOf(stage, "ENTRYPOINT"));
  const alone = ["--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs"];
  const bare = [...alone, "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"];
  const folder = lastOf(stage, "WORKDIR") || "/";
  const script = `cd ${folder}; ${TRY_TO_WRITE} id -u >&2; exec "$@"`;
  const chroot = ["chroot", `${work}/${stage.name}`, "setpriv", ...bare];
  const child = new Deno.Command(chroot[0]!, {
    args: [...chroot.slice(1), "sh", "-c", script, "sh", ...program, ...args],
    clearEnv: true, // it has nothing of this machine's
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...env },
  }).spawn();
  running.push({ what: [stage.name, ...args].join(" "), child });
}

async function reach(port: number): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    try {
      return (await Deno.connect({ port, hostname: "127.0.0.1" })).close();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error(`nothing listens at port ${port}`);
}

async function mount(root: string, ...args: readonly string[]): Promise<void> {
  const target = `${root}/${args.at(-1)}`;
  await run("mount", ...args.slice(0, -1), target);
  mounted.push(target);
}

async function run(command: string, ...args: readonly string[]): Promise<void> {
  const options: Deno.CommandOptions = { args: [...args], stdout: "piped", stderr: "piped" };
  const { success, stdout, stderr } = await new Deno.Command(command, options).output();
  if (success) return;
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  throw new Error(`${command} ${args.join(" ")} failed: ${said.slice(-2000)}`);
}
