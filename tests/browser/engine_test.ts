/** The engine in Debian's Chromium: it draws, and draws what the server draws. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { BrowserEngine } from "../../src/page/engine.ts";
import type { BrowserBackend } from "../../src/page/run.ts";
import type { Batch, Renderer } from "../../src/worker/renderer.ts";
import { requires } from "../_shim/requires.ts";
import { onFashionDit } from "../fashion_dit.ts";
import { withFolder } from "../cli/captured_run.ts";
import { expectRepeated } from "../cli/repeated.ts";
import { openPage, pngOf, textOf, untilStatus, type Visit, visit } from "./page_fixture.ts";

const needs = await requires("the engine in a browser", "chromium", "bundler");

Deno.test("this browser draws on WebAssembly what the server draws", needs, async (test) => {
  await visit({}, async (opened) => {
    const { page, complaints } = opened;
    await test.step("from files that are kept for the second visit", async () => {
      const weights: string[] = [];
      page.on("request", (request) => {
        if (request.url().includes("weights.safetensors")) weights.push(request.url());
      });
      for (let time = 0; time < 2; time++) {
        await openPage(opened);
        await chooseEngine(opened, "wasm");
        await page.locator("#steps").fill("4");
        await page.locator("#generate").click();
        await untilStatus(page, /^4 steps in/);
        assertMatch(await textOf(page, "#notices"), /Drawn by this browser, wasm, \d+ threads?\./);
      }
      assertEquals(weights.length, 1);
    });
    await test.step("to the last bit", async () => {
      // The same WebAssembly on both sides: the sums are the same ones, whatever the number of threads.
      assertEquals(await distance(opened, "wasm", { steps: 4, guidance: 2 }), 0);
    });
    await test.step("and what it draws, `generate --from` draws again", async () => {
      await page.locator("#steps").fill("50"); // along the plan that fits
      await page.locator("#generate").click();
      await untilStatus(page, /^12 steps in/);
      const bytes = await pngOf(page);
      await withFolder(async (folder) => {
        await Deno.writeFile(`${folder}/one.png`, bytes);
        await expectRepeated(`${folder}/one.png`, onFashionDit([]));
      });
    });
    await test.step("until it is stopped, and along a plan", async () => {
      await page.locator("#steps").fill("250");
      await page.locator("#generate").click();
      await untilStatus(page, /^Step [1-9]\d* of 250/);
      await page.locator("#cancel").click();
      await untilStatus(page, /^Cancelled after/);
      await page.locator("label", { hasText: "8x" }).click();
      await page.locator("#generate").click();
      await untilStatus(page, /^6 steps in/);
      assertMatch(await textOf(page, "#speed"), /^\d+(\.\d)?×$/);
    });
    await test.step("where an adapter promises WebGPU and does not hold it", async () => {
      await page.addInitScript(() => {
        const info = { vendor: "", device: "", description: "a promise", isFallbackAdapter: false };
        const adapter = {
          info,
          features: new Set(),
          limits: { maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27 },
        };
        const gpu = { requestAdapter: () => Promise.resolve(adapter) };
        Object.defineProperty(navigator, "gpu", { value: gpu }); // of the page, not of its workers
      });
      await openPage(opened);
      await chooseEngine(opened, "auto");
      await page.locator("#steps").fill("2");
      await page.locator("#generate").click();
      await untilStatus(page, /^2 steps in/);
      assertMatch(await textOf(page, "#notices"), /Drawn by this browser, wasm,/);
    });
    assertEquals(complaints, []);
  });
});

Deno.test("this browser draws on WebGPU what the server draws", needs, async () => {
  await visit({ webgpu: true }, async (opened) => {
    const { page, complaints } = opened;
    await openPage(opened);
    // 3e-6 was measured. SwiftShader's subgroups have four lanes, with which attention would be wrong.
    const far = await distance(opened, "webgpu", { steps: 10, guidance: 2 });
    console.log(`10 guided steps on SwiftShader: ${far.toExponential(1)} × max|wasm|`);
    assert(far < 1e-3, `${far}`);
    await chooseEngine(opened, "webgpu");
    await page.locator("#steps").fill("4");
    await page.locator("#generate").click();
    await untilStatus(page, /^4 steps in/);
    assertMatch(await textOf(page, "#notices"), /Drawn by this browser, webgpu, fallback adapter/);
    assertEquals(complaints, []);
  });
});

async function chooseEngine({ page }: Visit, engine: BrowserBackend): Promise<void> {
  await page.getByText("This browser", { exact: true }).click();
  await page.locator("#engine").selectOption(engine);
}

/** What the page's file `engine.js` exports, with the field of its class that the interface hides. */
interface EngineModule {
  openBrowserEngine(
    ...args: Parameters<typeof import("../../src/page/engine.ts").openBrowserEngine>
  ): Promise<
    BrowserEngine & { readonly renderer: Renderer }
  >;
}

/** Largest difference of latents drawn here and there, × the largest of the server's. */
async function distance(
  { page, renderer }: Visit,
  backend: BrowserBackend,
  { steps, guidance }: { readonly steps: number; readonly guidance: number },
): Promise<number> {
  const batch: Batch = { pictures: [{ label: 7, seed: 7, guidance }], steps };
  const { latents: { data: wanted } } = await renderer.render(batch);
  const { id: model, fingerprint } = renderer.facts;
  const drawn = await page.evaluate(async ({ batch, backend, model, fingerprint }) => {
    const base = `${location.origin}/page/`;
    const { openBrowserEngine }: EngineModule = await import(`${base}engine.js`);
    const run = { onEvent: (): void => {}, signal: new AbortController().signal };
    const engine = await openBrowserEngine({ model, fingerprint, backend, base }, run);
    const { latents } = await engine.renderer.render(batch);
    await engine.close();
    return [...latents.data];
  }, { batch, backend, model, fingerprint });
  const peak = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return drawn.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0) / peak;
}
