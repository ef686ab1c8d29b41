/** The package for npm in a project of Node, made by npm alone. */
import { assert, assertEquals } from "@std/assert";
import { buildPackage } from "../../scripts/build/npm.ts";
import { EMBEDDED_ID } from "../../src/engine/embedded_model.ts";
import { openPipeline } from "../../src/engine/open_pipeline.ts";
import { VERSION } from "../../src/version.ts";
import { openBrowser } from "../browser/page_fixture.ts";
import { NAME } from "../_shim/packed.ts";
import { isHere, requires } from "../_shim/requires.ts";
import { runWatched } from "../_shim/watched.ts";

const SECONDS = 180; // npm's install takes 10 on a free core, the rest 5 at most
/** The programs of a project that its bundle and its types are checked with. */
const TOOLS = ["esbuild@0.28.1", "typescript@7.0.2"];

Deno.test({
  ...await requires("the package for npm", "node", "registry"),
  name: "the package for npm has a command, types and a bundle for the browser",
  fn: async (t) => {
    const project = new URL(`file://${await Deno.makeTempDir()}/`);
    const run = (...command: [string, ...string[]]): Promise<string> =>
      runWatched(command, { seconds: SECONDS, cwd: project });
    try {
      await install(project, run);
      await t.step("npx invardiff says its version", async () => {
        assertEquals(await run("npx", "invardiff", "--version"), `${VERSION}\n`);
      });
      await t.step("npx invardiff generate writes a picture", async () => {
        await run(
          ..."npx invardiff generate --count 1 --steps 2 --out a.png".split(" ") as [string],
        );
        const png = await Deno.readFile(new URL("a.png", project));
        assertEquals(String.fromCharCode(...png.subarray(1, 4)), "PNG");
      });
      await t.step("TypeScript checks a consumer", async () => {
        const [from, to] = [import.meta.url, project].map((base) => new URL("consumer.ts", base));
        await Deno.copyFile(from!, to!); // there are two
        const strict = "--strict --noEmit --module nodenext --target es2024 --types node";
        await run("npx", "tsc", ...strict.split(" "), "consumer.ts");
      });
      await t.step("Node makes our picture", async () => {
        const show = "console.log(JSON.stringify(globalThis.latents));";
        await Deno.writeTextFile(new URL("node.js", project), `${program("undefined")}${show}`);
        await expectOurLatents(JSON.parse(await run("node", "node.js")));
      });
      await t.step("a bundle for the browser is built as documented", () => bundle(project, run));
      await t.step({
        name: "the bundle makes our picture in Chromium",
        ignore: !await isHere("chromium"),
        fn: async () => await expectOurLatents(await drawInBrowser(project)),
      });
    } finally {
      await Deno.remove(project, { recursive: true });
    }
  },
});

type Run = (...command: [string, ...string[]]) => Promise<string>;

async function install(project: URL, run: Run): Promise<void> {
  const tarball = await buildPackage(project);
  const json = JSON.stringify({ type: "module", private: true });
  await Deno.writeTextFile(new URL("package.json", project), json);
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await run("npm", "install", ...quiet, tarball.pathname, ...TOOLS);
}

/** A program that draws by the model that the expression names. */
function program(model: string): string {
  return `import { openPipeline } from "${NAME}";

const pipeline = await openPipeline({ model: ${model}, backend: "wasm", threads: 1 });
const { latents } = await pipeline.generate({ prompt: "a person", seed: 7, steps: 2 });
await pipeline.close();
globalThis.latents = [...latents.data];
`;
}

/** As src/edge/README.md says: one ES module; beside it the runtime's files, and the model where the program looks. */
async function bundle(project: URL, run: Run): Promise<void> {
  const app = program('new URL("model/", location.href)');
  await Deno.writeTextFile(new URL("app.js", project), app);
  await run(
    "npx",
    "esbuild",
    "app.js",
    "--bundle",
    "--format=esm",
    "--splitting",
    "--outdir=public",
  );
  const runtime = new URL("node_modules/onnxruntime-web/dist/", project);
  for await (const { name } of Deno.readDir(runtime)) {
    if (!/^ort-wasm-simd-threaded\.(?:mjs|wasm)$/.test(name)) continue;
    await Deno.copyFile(new URL(name, runtime), new URL(`public/${name}`, project));
  }
  const model = new URL(`node_modules/${NAME}/models/${EMBEDDED_ID}`, project).pathname;
  await run("cp", "-r", model, "public/model");
  const page = '<script type="module" src="app.js"></script>';
  await Deno.writeTextFile(new URL("public/index.html", project), page);
}

/** Types of files that a browser runs only under their own. */
const TYPES = [[/html$/, "text/html"], [/m?js$/, "text/javascript"], [/wasm$/, "application/wasm"]];

/** Serves the folder as any host of static files does, and visits it. */
async function drawInBrowser(project: URL): Promise<readonly number[]> {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async ({ url }) => {
      const path = new URL(url).pathname.replace(/\/$/, "/index.html");
      const file = await Deno.readFile(new URL(`public${path}`, project)).catch(() => undefined);
      const type = TYPES.find(([end]) => (end as RegExp).test(path))?.[1] as string ?? "";
      return new Response(file ?? null, {
        status: file === undefined ? 404 : 200,
        headers: { "content-type": type },
      });
    },
  );
  const browser = await openBrowser(false);
  try {
    const page = await browser.newPage();
    const faults: string[] = [];
    page.on("pageerror", ({ message }) => void faults.push(message));
    const url = `http://127.0.0.1:${server.addr.port}/`;
    await page.goto(url, { waitUntil: "commit" }); // its script draws before the page counts as loaded
    await page.waitForFunction("globalThis.latents !== undefined", null, { timeout: 120_000 })
      .catch((cause) => {
        throw new Error(`the bundle drew nothing: ${faults.join("; ")}`, { cause });
      });
    return await page.evaluate("globalThis.latents");
  } finally {
    await browser.close();
    await server.shutdown();
  }
}

async function expectOurLatents(latents: readonly number[]): Promise<void> {
  const pipeline = await openPipeline({ backend: "wasm", threads: 1 });
  const ours = await pipeline.generate({ prompt: "a person", seed: 7, steps: 2 });
  await pipeline.close();
  assert(latents.length > 0);
  assertEquals(latents, [...ours.latents.data]);
}
