/** The page of a model that draws prompts: typed, pressed, by lot, varied, linked, and encoded in the browser. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { readPngText } from "../../src/image/png_text.ts";
import { requires } from "../_shim/requires.ts";
import {
  draw,
  drop,
  openAgain,
  openPage,
  PEEPS,
  pngOf,
  type Steps,
  textOf,
  untilStatus,
  visit,
  visitInSteps,
} from "./page_fixture.ts";

const needs = await requires("the page of prompts in a browser", "chromium", "bundler");

const STEPS: Steps = {
  "begins with an example, and its phrases are pressed, exchanged and let go": async (opened) => {
    const { page } = opened;
    await openPage(opened);
    const first = "a person with curly hair, sunglasses and a green shirt, light blue background";
    assertEquals(await promptOf(page), first);
    assertEquals(await pressed(page), [
      ...["curly hair", "sunglasses", "a green shirt", "light blue background"],
    ]);
    await page.getByRole("button", { name: "an afro", exact: true }).click();
    await page.getByRole("button", { name: "sunglasses", exact: true }).click();
    assertEquals(
      await promptOf(page),
      "a person with an afro and a green shirt, light blue background",
    );
    await page.locator("#examples-field summary").click();
    await page.locator("#examples button").nth(7).click();
    assertMatch(await textOf(page, "#stage-title"), /^a person with a blue turban.*, seed \d+$/);
  },
  "draws on Enter what is typed, and its address draws it again": async (opened) => {
    const { page, complaints } = opened;
    await openPage(opened);
    await page.locator("#steps").fill("2");
    await page.locator("#seed").fill("11");
    await page.locator("#prompt").fill("a pirate with an eyepatch & a #1 hat");
    await page.locator("#prompt").press("Enter");
    await untilStatus(page, /^2 steps in/);
    const drawn = await pixelsOf(page);
    const link = page.url();
    assertMatch(link, /#prompt=a\+pirate.*&seed=11&steps=2/);
    await page.goto("about:blank");
    await page.goto(link);
    await untilStatus(page, /^2 steps in/);
    assertEquals(await promptOf(page), "a pirate with an eyepatch & a #1 hat");
    assertEquals(await pixelsOf(page), drawn);
    assertEquals(complaints, []);
  },
  "draws a prompt by lot, and variations of it": async (opened) => {
    const { page } = opened;
    await openPage(opened);
    await page.locator("#steps").fill("1");
    await page.locator("#surprise").click();
    await untilStatus(page, /^1 step in/);
    const [prompt, seed] = [await promptOf(page), Number(await page.locator("#seed").inputValue())];
    assertMatch(prompt, /^a person with ./);
    await page.locator("#vary").click();
    await page.locator("#cards li").nth(4).waitFor();
    await page.locator("#generate:enabled").waitFor();
    assertMatch(await textOf(page, "#stage-title"), new RegExp(`, seed ${seed + 4}$`));
    assertEquals(await promptOf(page), prompt);
  },
  "says how much of a long prompt was read": async (opened) => {
    const { page } = opened;
    await openPage(opened);
    await page.locator("#steps").fill("1");
    await page.locator("#prompt").fill("a very ".repeat(40) + "long prompt");
    await page.locator("#generate").click();
    await untilStatus(page, /^1 step in/);
    assertMatch(await textOf(page, "#notices"), /CLIP reads 40 of the \d+ tokens of "a very/);
  },
  "leads away from a negative prompt, by a solver of choice, and its link and file say so": async (
    opened,
  ) => {
    const { page, complaints } = opened;
    await openPage(opened);
    await page.locator("#negative").fill("sunglasses");
    await page.locator("#true-guidance").fill("3");
    await page.locator("#sampler").selectOption("flow-unipc");
    await draw(page, { seed: 4, steps: 2 });
    const drawn = await pngOf(page);
    const record = JSON.parse(readPngText(drawn)["invardiff"] ?? "{}");
    assertEquals(
      [record.prompts[0].negativePrompt, record.trueGuidance, record.solver],
      ["sunglasses", 3, "flow-unipc"],
    );
    const { hash } = new URL(page.url());
    assertMatch(hash, /&negative=sunglasses&true_guidance=3&.*&sampler=flow-unipc&/);
    await openPage(opened);
    await openAgain(opened, hash);
    await untilStatus(page, /^2 steps in/);
    assertEquals(await pngOf(page), drawn);
    await openPage(opened);
    await drop(page, { name: "a.png", type: "image/png", bytes: drawn });
    await untilStatus(page, /^Restored/);
    assertEquals(await page.locator("#negative").inputValue(), "sunglasses");
    assertEquals(complaints, []);
  },
  "encodes the prompt and draws it in this browser as the server does, to the last level": async (
    opened,
  ) => {
    const { page, complaints } = opened;
    await openPage(opened);
    await page.locator("#seed").fill("7"); // the same for each of its pictures
    await page.locator("#steps").fill("2");
    await page.locator("#generate").click();
    await untilStatus(page, /^2 steps in/);
    const wanted = await pixelsOf(page);
    await page.getByText("This browser", { exact: true }).click();
    await page.locator("#engine").selectOption("wasm");
    await page.locator("#generate").click();
    await page.locator("#notices", { hasText: "Drawn by this browser, wasm" }).waitFor();
    assertEquals(await pixelsOf(page), wanted);
    assertEquals(complaints, []);
  },
};

Deno.test("the page of prompts", needs, async (test) => {
  const threads = navigator.hardwareConcurrency; // as many as this browser takes
  await visitInSteps(test, STEPS, { model: PEEPS, threads });
});

Deno.test(
  "this browser draws a prompt on WebGPU as the server draws it on WebAssembly",
  needs,
  async () => {
    await visit({ model: PEEPS, webgpu: true }, async (opened) => {
      const { page } = opened;
      await openPage(opened);
      await page.locator("#seed").fill("7"); // the same for each of its pictures
      await page.locator("#steps").fill("2");
      await page.locator("#generate").click();
      await untilStatus(page, /^2 steps in/);
      await page.evaluate(KEEP);
      await page.getByText("This browser", { exact: true }).click();
      await page.locator("#engine").selectOption("webgpu");
      await page.locator("#generate").click();
      await page.locator("#notices", { hasText: "Drawn by this browser, webgpu" }).waitFor();
      const squares = Number(await page.evaluate(DISTANCE));
      const psnr = 10 * Math.log10(255 ** 2 / squares);
      console.log(`a prompt on SwiftShader: ${psnr.toFixed(1)} dB to WebAssembly`);
      assert(psnr >= 45, `${psnr} dB`);
    });
  },
);

/** Keeps the levels of the picture in the page. */
const LEVELS = `(() => {
  const canvas = document.querySelector("#picture");
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
})()`;
const KEEP = `void (globalThis.kept = ${LEVELS})`;
/** Mean square of what the picture differs by from the kept one, of red, green and blue. */
const DISTANCE = `(() => {
  const now = ${LEVELS};
  const squares = Array.from(now, (level, i) => (level - kept[i]) ** 2);
  return squares.reduce((sum, square) => sum + square, 0) / (squares.length * 3 / 4);
})()`;

async function promptOf(page: Page): Promise<string> {
  return await page.locator("#prompt").inputValue();
}

async function pressed(page: Page): Promise<string[]> {
  return await page.locator('#phrases [aria-pressed="true"]').allInnerTexts();
}

/** The picture of the stage, as a file whose bytes are those of its pixels. */
async function pixelsOf(page: Page): Promise<string> {
  const url = await page.evaluate("document.querySelector('#picture').toDataURL()");
  assert(typeof url === "string");
  return url;
}
