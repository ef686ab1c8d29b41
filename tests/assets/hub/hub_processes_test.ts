/** Processes that share a cache, and processes that die. */
import { assert, assertEquals } from "@std/assert";
import { type FakeHub, fileOfBytes, startFakeHub } from "./fake_hub.ts";
import { openDiskStore } from "../../../src/assets/store/disk_store.ts";
import { openHub } from "../../../src/assets/hub/hub_source.ts";
import { fakeClock } from "../store/fake_clock.ts";
import { NET, numbered } from "./hub_fixture.ts";
import { LOCK } from "../../_shim/watched.ts";

const SCRIPT = new URL("hub_process.ts", import.meta.url).pathname;
const FILE = fileOfBytes(numbered(6 << 20), "large");
const KEY = `sha256-${FILE.sha256}`;

interface Shared {
  readonly hub: FakeHub;
  readonly folder: string;
}

async function withHub(use: (shared: Shared) => Promise<void>): Promise<void> {
  await using hub = startFakeHub({ files: { "a.bin": FILE }, blockBytes: 50_000 });
  const folder = await Deno.makeTempDir();
  try {
    await use({ hub, folder });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function start({ hub, folder }: Shared): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", LOCK, "--no-prompt", "--allow-net=127.0.0.1", "--allow-read", "--allow-env"],
      ...[`--allow-write=${folder}`, SCRIPT, "hf://owner/name", "a.bin"],
    ],
    env: { HF_ENDPOINT: hub.endpoint.origin, INVARDIFF_CACHE: folder },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

/** Kills a process, for good, when it has told of so many bytes. */
async function killAt(bytes: number, child: Deno.ChildProcess): Promise<void> {
  let text = "";
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.split("\n").some((line) => Number(line) >= bytes)) break;
  }
  child.kill("SIGKILL");
  assertEquals((await child.status).signal, "SIGKILL");
}

/** Lets the dead one's last sign of life be an hour ago. */
async function age(folder: string): Promise<void> {
  const then = new Date(Date.now() - 3_600_000);
  for await (const { name } of Deno.readDir(`${folder}/partial`)) {
    await Deno.utime(`${folder}/partial/${name}`, then, then);
  }
}

async function fetchHere({ hub, folder }: Shared): Promise<Uint8Array> {
  const source = openHub("hf://owner/name", {
    store: openDiskStore(folder),
    settings: { endpoint: hub.endpoint, offline: false },
    clock: fakeClock(),
  });
  try {
    await source.fetch("a.bin");
    return await source.read("a.bin", { offset: 0, length: FILE.size });
  } finally {
    await source.close();
  }
}

function bodyRanges({ requests }: FakeHub): readonly (string | null)[] {
  return requests.filter(({ host }) => host === "cdn").map(({ range }) => range);
}

Deno.test("two processes with one cache download a file once", NET, async () => {
  await withHub(async (shared) => {
    const outputs = await Promise.all([start(shared).output(), start(shared).output()]);
    for (const { success, stdout } of outputs) {
      assert(success);
      assert(new TextDecoder().decode(stdout).endsWith("whole\n"));
    }
    assertEquals(bodyRanges(shared.hub).length, 1);
    assertEquals(await fetchHere(shared), FILE.read(0, FILE.size));
  });
});

Deno.test(
  "a killed download leaves what a later one goes on with, and nothing it trusts",
  NET,
  async () => {
    await withHub(async (shared) => {
      const { hub, folder } = shared;
      hub.troubles.push({ kind: "silence", after: 3 << 20 });
      await killAt(3 << 20, start(shared));
      assertEquals((await Array.fromAsync(Deno.readDir(`${folder}/blobs`))).length, 0);
      await age(folder);
      assertEquals(await fetchHere(shared), FILE.read(0, FILE.size));
      assertEquals(bodyRanges(hub).at(-1), `bytes=${3 << 20}-${FILE.size - 1}`);
    });
  },
);

Deno.test("a killed download whose leftover went bad is begun anew", NET, async () => {
  await withHub(async (shared) => {
    const { hub, folder } = shared;
    hub.troubles.push({ kind: "silence", after: 3 << 20 });
    await killAt(3 << 20, start(shared));
    for await (const { name } of Deno.readDir(`${folder}/partial`)) {
      if (!name.endsWith(".part")) continue;
      const file = await Deno.open(`${folder}/partial/${name}`, { write: true });
      await file.write(Uint8Array.of(255, 255, 255));
      file.close();
    }
    await age(folder);
    assertEquals(await fetchHere(shared), FILE.read(0, FILE.size));
    assertEquals(bodyRanges(hub).slice(-2), [
      `bytes=${3 << 20}-${FILE.size - 1}`,
      `bytes=0-${FILE.size - 1}`,
    ]);
    const left = await Array.fromAsync(Deno.readDir(`${folder}/partial`));
    assertEquals(left.map(({ name }) => name), []);
    assertEquals((await Deno.stat(`${folder}/blobs/${KEY}`)).size, FILE.size);
  });
});
