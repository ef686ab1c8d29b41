import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { BackendError } from "../../../../src/errors.ts";
import { openResults } from "../../../../src/server/cluster/results/open_results.ts";
import type { LastingResults } from "../../../../src/server/cluster/results/result_store.ts";
import { ACCESS, SmallBucket } from "./small_bucket.ts";

const BYTES = Uint8Array.of(1, 2, 3);

Deno.test("results in a folder, and in a bucket, are there until they are dropped", async (t) => {
  await withFolder(async (folder) => {
    await using bucket = new SmallBucket("pictures");
    const addresses = { folder, bucket: `s3://pictures/of/ours?endpoint=${bucket.url}` };
    for (const [name, address] of Object.entries(addresses)) {
      await t.step(name, () => withAccess(async () => await conform(await openResults(address))));
    }
    const paths = [...bucket.objects.keys()];
    assert(paths.every((path) => path.startsWith("/pictures/of/ours/")), `${paths}`);
  });
});

async function conform(results: LastingResults): Promise<void> {
  const key = "task:4c2a:picture:0d1e:7:0";
  assertEquals(await results.kept(key), undefined);
  await results.keep(key, BYTES);
  await results.keep("task:other", new Uint8Array());
  assertEquals(await results.kept(key), BYTES);
  assertEquals(await results.kept("task:other"), new Uint8Array());
  await results.keep(key, Uint8Array.of(4));
  assertEquals(await results.kept(key), Uint8Array.of(4));
  await results.drop([key, "task:none"]);
  assertEquals(await results.kept(key), undefined);
  const odd = fc.string({ minLength: 1, maxLength: 40 }).filter((text) => text.isWellFormed());
  await fc.assert(
    fc.asyncProperty(odd, async (name) => {
      await results.keep(`image:${name}`, BYTES);
      assertEquals(await results.kept(`image:${name}`), BYTES);
      assertEquals(await results.kept(`image:${name}.`), undefined);
      await results.drop([`image:${name}`]);
    }),
    { numRuns: 30 },
  );
}

Deno.test("no key leads out of the folder, and what is old in it is swept, ours only", async () => {
  await withFolder(async (folder) => {
    const results = await openResults(folder);
    const path = decodeURIComponent(new URL(folder).pathname);
    for (const key of ["../out", "..", "/etc/x", "%2e%2e%2fout", "a/b"]) {
      await results.keep(key, BYTES);
    }
    const inside = [...Deno.readDirSync(path)].map(({ name }) => name);
    assertEquals(inside.length, 5, inside.join(" "));
    await Deno.writeTextFile(`${path}/notes.txt`, "of somebody else");
    const old = new Date(Date.now() - 100_000);
    for (const { name } of [...Deno.readDirSync(path)].slice(1)) {
      await Deno.utime(`${path}/${name}`, old, old);
    }
    await results.sweep(50_000);
    const left = [...Deno.readDirSync(path)].map(({ name }) => name);
    assertEquals([left.length, left.includes("notes.txt")], [2, true], left.join(" "));
  });
});

Deno.test("a bucket that is busy is asked again; one that refuses is told by its word, without secrets", async () => {
  await using bucket = new SmallBucket("pictures");
  await withAccess(async () => {
    const results = await openResults(`s3://pictures?endpoint=${bucket.url}&region=eu-central-1`);
    bucket.busy = 2;
    await results.keep("a", BYTES);
    assertEquals(await results.kept("a"), BYTES);
    const other = await openResults(`s3://other?endpoint=${bucket.url}`);
    const missing = await assertRejects(() => other.kept("a"), BackendError);
    assertStringIncludes(missing.message, "it answered 404 NoSuchBucket");
  });
  await withAccess(async () => {
    const results = await openResults(`s3://pictures?endpoint=${bucket.url}`);
    const refused = await assertRejects(() => results.keep("b", BYTES), BackendError);
    assertStringIncludes(refused.message, "403 SignatureDoesNotMatch");
    assert(!refused.message.includes("wrong-secret"));
  }, "wrong-secret");
  assertEquals([...bucket.objects.keys()], ["/pictures/a"]);
});

Deno.test("an address that names neither folder nor bucket, or a bucket without access, is refused", async () => {
  for (
    const [address, words] of [["https://example.com", "https:"], ["s3://pictures", "AWS_ACC"]]
  ) {
    const error = await assertRejects(() => openResults(address!), TypeError);
    assertStringIncludes(error.message, words!);
  }
});

async function withFolder(use: (url: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(`file://${folder}/pictures of ours`.replaceAll(" ", "%20"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** With access to the bucket in the environment. */
async function withAccess(use: () => Promise<void>, secret = ACCESS.secret): Promise<void> {
  Deno.env.set("AWS_ACCESS_KEY_ID", ACCESS.id);
  Deno.env.set("AWS_SECRET_ACCESS_KEY", secret);
  try {
    await use();
  } finally {
    Deno.env.delete("AWS_ACCESS_KEY_ID");
    Deno.env.delete("AWS_SECRET_ACCESS_KEY");
  }
}
