/** The page of a model that draws prompts: typed, pressed, by lot, varied, linked, and encoded in the browser. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { toTransparency } from "../../src/image/planes.ts";
import { encodePng } from "../../src/image/png.ts";
import { readPicture } from "../../src/image/read_picture.ts";
import { maskOf } from "../../src/page/mask.ts";
import { golden } from "../image/golden_pictures.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { requires } from "../_shim/requires.ts";
import {
  draw,
  drop,
  openAgain,
  openPage,
  pngOf,
  textOf,
  untilStatus,
  type Visit,
  visit,
} from "./page_fixture.ts";

const PEEPS = new URL("../../models/peeps-flux/", import.meta.url);
const needs = await requires("the page of prompts in a browser", "chromium", "bundler");

const STEPS: Readonly<Record<string, (opened: Visit) => Promise<void>>> = {
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
  "begins from the picture that it drew, in this browser as on the server": async (opened) => {
    const { page, complaints } = opened;
    await openPage(opened);
    await page.locator("#steps").fill("2");
    await page.locator("#seed").fill("7"); // which keeps it
    await page.locator("#generate").click();
    await untilStatus(page, /^2 steps in/);
    const first = await pixelsOf(page);
    await page.locator("#begin").click();
    await page.locator("#strength").fill("0.5");
    assertEquals(await textOf(page, "#strength-value"), "0.5");
    await page.locator("#image-shown").waitFor();
    await page.locator("#generate").click();
    await page.locator("#notices", { hasText: "Timed by this page" }).waitFor();
    assert(await pixelsOf(page) !== first);
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
    await page.locator("#steps").fill("2");
    await page.locator("#seed").fill("7"); // which keeps it
    await page.locator("#generate").click();
    await untilStatus(page, /^2 steps in/);
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
  await visit({ model: PEEPS, threads }, async (opened) => {
    for (const [name, step] of Object.entries(STEPS)) {
      opened.complaints.length = 0;
      await test.step(name, () => step(opened));
    }
  });
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

/** The picture of the stage, as a file whose bytes are those of its pixels. */
async function pixelsOf(page: Page): Promise<string> {
  const url = await page.evaluate("document.querySelector('#picture').toDataURL()");
  assert(typeof url === "string");
  return url;
}
