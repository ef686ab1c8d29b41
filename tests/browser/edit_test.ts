/** Edits on the page: pictures that begin from another, and parts of them that are painted over. */
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { toTransparency } from "../../src/image/planes.ts";
import { encodePng } from "../../src/image/png.ts";
import { readPicture } from "../../src/image/read_picture.ts";
import { maskOf } from "../../src/page/mask.ts";
import { golden } from "../image/golden_pictures.ts";
import { requires } from "../_shim/requires.ts";
import {
  draw,
  openAgain,
  openPage,
  PEEPS,
  pngOf,
  type Steps,
  textOf,
  untilStatus,
  visitInSteps,
} from "./page_fixture.ts";

const needs = await requires("edits on the page in a browser", "chromium", "bundler");

const STEPS: Steps = {
  "begins from the picture that it drew, in this browser as on the server": async (opened) => {
    const { page, complaints } = opened;
    await openPage(opened);
    await draw(page, { seed: 7, steps: 2 });
    const first = await levelsOf(page);
    await page.locator("#begin").click();
    await page.locator("#strength").fill("0.5");
    assertEquals(await textOf(page, "#strength-value"), "0.5");
    await page.locator("#image-shown").waitFor();
    await page.locator("#generate").click();
    await page.locator("#notices", { hasText: "Timed by this page" }).waitFor();
    assertNotEquals(await levelsOf(page), first);
    const edited = await levelsOf(page);
    assertMatch(new URL(page.url()).hash, /&image=sha256%3A[0-9a-f]{64}&strength=0\.5$/);
    await page.getByText("This browser", { exact: true }).click();
    await page.locator("#engine").selectOption("wasm");
    await page.locator("#generate").click();
    await untilStatus(page, /^1 step in/);
    assertEquals(await levelsOf(page), edited);
    await page.locator("#no-image").click();
    assert(await page.locator("#edit").isHidden());
    assertEquals(complaints, []);
  },
  "draws anew what is painted over, by mouse, keys or from a file, here as on the server": async (
    opened,
  ) => {
    const { page, complaints } = opened;
    await openPage(opened);
    await draw(page, { seed: 7, steps: 2 });
    const first = await levelsOf(page);
    await page.locator("#begin").click();
    await page.locator("#mask-field summary").click();
    await page.locator("#mask-share", { hasText: "All of it is drawn anew." }).waitFor();
    assertEquals(await page.evaluate(OUTSIDE), []);
    await paintLeftHalf(page);
    await page.locator("#mask-share", { hasText: /^[45]\d % of it is drawn anew\.$/ }).waitFor();
    await page.locator("#prompt").fill("a person with a bald head, black background");
    await page.locator("#strength").fill("1");
    await page.locator("#generate").click();
    await page.locator("#notices", { hasText: "Timed by this page" }).waitFor();
    const painted = await levelsOf(page);
    const [left, right] = halves(painted.map((level, i) => Math.abs(level - first[i]!)));
    assert(left! > 4 * right!, `${left} levels where it is painted, ${right} where not`);
    await page.getByText("This browser", { exact: true }).click();
    await page.locator("#engine").selectOption("wasm");
    await page.locator("#generate").click();
    await page.locator("#notices", { hasText: "Drawn by this browser, wasm" }).waitFor();
    assertEquals(await levelsOf(page), painted);
    assertEquals(complaints, []);
  },
  "paints by keys, takes masks from files, and refuses those of another size": async (opened) => {
    const { page, complaints } = opened;
    await openPage(opened);
    const share = page.locator("#mask-share");
    await page.locator("#image").setInputFiles(await file("source.png")); // 48 × 36
    await page.locator("#mask-field summary").click();
    await page.locator("#mask").focus();
    await page.keyboard.press("Space");
    await page.locator("#mask-share", { hasText: /^\d % of it is drawn anew\.$/ }).waitFor();
    const dot = await share.innerText();
    for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "Enter"]) {
      await page.keyboard.press(key);
    }
    assert(await share.innerText() !== dot);
    await page.keyboard.press("Backspace");
    assertEquals(await share.innerText(), dot);
    await page.locator("#mask-file").setInputFiles(await file("mask.png"));
    await page.locator("#mask-share", { hasText: /^[1-9]\d % of it is drawn anew\.$/ }).waitFor();
    await page.locator("#mask-file").setInputFiles({ ...await file("mask.png"), ...OTHER_SIZE });
    await page.locator("#mask-share", { hasText: "The mask must be 48 × 36, as the picture is" })
      .waitFor();
    const [saved] = await Promise.all([
      page.waitForEvent("download"),
      page.locator("#save-mask").click(),
    ]);
    assertEquals(saved.suggestedFilename(), "mask.png");
    const mask = toTransparency(await readPicture(await Deno.readFile(await saved.path())));
    assertEquals([mask.width, mask.height], [48, 36]);
    assertEquals(mask, maskOf(await readPicture(await golden("mask.png"))));
    await page.locator("#no-mask").click();
    assertEquals(await share.innerText(), "All of it is drawn anew.");
    assertEquals(complaints, []);
  },
  "an edit's link draws again from the picture that the history has": async (opened) => {
    const { page } = opened;
    await openPage(opened);
    await draw(page, { seed: 11, steps: 2 });
    await page.locator("#begin").click();
    await page.locator("#strength").fill("0.5");
    await page.locator("#seed").fill("12");
    await page.locator("#generate").click();
    await page.locator("#notices", { hasText: "Timed by this page" }).waitFor();
    await page.locator("#generate:enabled").waitFor();
    const { hash } = new URL(page.url());
    await openAgain(opened, hash.replace("seed=12", "seed=13"));
    await page.locator("#cards li").nth(2).waitFor(); // drawn anew, from the same picture
    await page.locator("#generate:enabled").waitFor();
    const thirteen = await pngOf(page);
    await page.locator("#seed").fill("13");
    await page.locator("#generate").click();
    await page.locator("#generate:enabled").waitFor();
    assertEquals(await pngOf(page), thirteen);
  },
};

Deno.test("edits on the page", needs, async (test) => {
  const threads = navigator.hardwareConcurrency; // as many as this browser takes
  await visitInSteps(test, STEPS, { model: PEEPS, threads });
});

/** Ids of what stands out of the form's card or the stage's. */
const OUTSIDE = `[...document.querySelectorAll("#form, #stage")].flatMap((card) => {
  const edge = card.getBoundingClientRect().right;
  const inside = [...card.querySelectorAll("input, select, button, a, canvas")];
  const hidden = ".chips, [hidden]";
  return inside.filter((one) => !one.closest(hidden) && one.getBoundingClientRect().right > edge + 1)
    .map(({ id }) => id);
})`;

/** Paints the left half over, in strokes from top to bottom. */
async function paintLeftHalf(page: Page): Promise<void> {
  await page.locator("#brush").fill("10");
  await page.locator("#mask").evaluate((mask) => mask.scrollIntoView({ block: "center" }));
  const { x, y, width, height } = (await page.locator("#mask").boundingBox())!; // it is shown
  for (const share of [0.02, 0.1, 0.18, 0.26, 0.34, 0.42]) {
    await page.mouse.move(x + share * width, y + 1);
    await page.mouse.down();
    await page.mouse.move(x + share * width, y + height - 1, { steps: 4 });
    await page.mouse.up();
  }
}

/** Means of RGBA numbers of a square picture, left and right of a strip in its middle. */
function halves(numbers: readonly number[]): readonly number[] {
  const side = Math.sqrt(numbers.length / 4);
  return [[0, 0.35], [0.65, 1]].map(([from, to]) => {
    const of = numbers.filter((_, i) => {
      const x = (Math.floor(i / 4) % side) / side;
      return x >= from! && x < to!;
    });
    return of.reduce((sum, number) => sum + number, 0) / of.length;
  });
}

/** A file of `tests/golden/pictures` as a person chooses it. */
async function file(name: string): Promise<{ name: string; mimeType: string; buffer: Buffer }> {
  return { name, mimeType: "image/png", buffer: Buffer.from(await golden(name)) };
}

/** A picture of one pixel. */
const OTHER_SIZE = {
  buffer: Buffer.from(
    await encodePng({ width: 1, height: 1, channels: 1, pixels: Uint8Array.of(255) }),
  ),
};

/** The picture's bytes, RGBA. */
async function levelsOf(page: Page): Promise<readonly number[]> {
  const script = `(() => {
    const canvas = document.querySelector("#picture");
    const { width, height } = canvas;
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    return [...copy.getImageData(0, 0, width, height).data];
  })()`;
  return await page.evaluate(script) as number[]; // of bytes
}
