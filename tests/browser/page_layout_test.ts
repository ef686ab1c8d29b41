/** The page at every size, light and dark: Generate in sight, nothing cut off, nobody shut out. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { requires } from "../_shim/requires.ts";
import {
  draw,
  openAgain,
  openPage,
  openSettings,
  PEEPS,
  type Steps,
  untilStatus,
  visit,
  visitInSteps,
} from "./page_fixture.ts";

const needs = await requires("the page's layout in a browser", "chromium", "bundler");

const PICTURE = new URL("../../tests/golden/pictures/plain.jpg", import.meta.url).pathname;

/** Widths from a small telephone to a wide screen, most of them as low as a screen is. */
const SIZES = [[320, 600], [390, 600], [768, 600], [1280, 600], [1366, 768], [1920, 600]] as const;

const STEPS: Steps = {
  "Generate is in sight at every size, also beside a picture to begin from, and while settings are read":
    async (opened) => {
      const { page } = opened;
      for (const [width, height] of SIZES) {
        await page.setViewportSize({ width, height });
        await openPage(opened);
        await expectInSight(page, "at first");
        await page.locator("#image").setInputFiles(PICTURE);
        await page.locator("#image-shown").waitFor();
        await expectInSight(page, "beside a picture");
        await openSettings(page);
        await page.locator("#compare").scrollIntoViewIfNeeded();
        await expectInSight(page, "from the last setting");
        const sideways = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        assertEquals(sideways, 0, `${width} x ${height}`);
      }
    },
  "axe finds nothing, in any state, light and dark, small and large": async (opened) => {
    const { page } = opened;
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await openPage(opened);
      await expectNoViolation(page, "idle");
      await openSettings(page);
      await draw(page, { seed: 7, steps: 2 });
      await page.locator("#code summary").click();
      await expectNoViolation(page, "drawn, with its code");
      await page.locator("#scheme").click();
      await expectNoViolation(page, "the other scheme");
    }
  },
  "nothing stands out of its card, and no chosen word of a list is cut off": async (opened) => {
    const { page } = opened;
    await openPage(opened);
    await openSettings(page);
    await draw(page, { seed: 7, steps: 2 });
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      assertEquals(await page.evaluate(CUT_OFF), [], `${width} x ${height}`);
    }
  },
  "a person chooses light or dark, and it is still so at the next visit": async (opened) => {
    const { page } = opened;
    await page.emulateMedia({ colorScheme: "light" });
    await openPage(opened);
    const ground = (): Promise<unknown> =>
      page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
    const light = await ground();
    await page.locator("#scheme").click();
    const dark = await ground();
    assertNotEquals(dark, light);
    await openAgain(opened);
    assertEquals(await ground(), dark);
    await page.locator("#scheme").click();
    assertEquals(await ground(), light);
  },
  "the first chip's ring is not cut off": async (opened) => {
    const { page } = opened;
    await openPage(opened);
    await page.locator("#scheme").focus();
    await page.keyboard.press("Tab");
    const room = await page.evaluate(() => {
      const chip = document.querySelector<HTMLElement>(
        ":focus-visible + span, .chip:focus-visible",
      )!;
      const list = chip.closest(".chips")!;
      const [inner, outer] = [chip, list].map((element) => element.getBoundingClientRect());
      const { outlineWidth, outlineOffset } = getComputedStyle(chip);
      const ring = parseFloat(outlineWidth) + parseFloat(outlineOffset);
      return [inner!.left - ring - outer!.left, inner!.top - ring - outer!.top];
    });
    assert(room.every((pixels) => pixels >= 0), `${room}`);
  },
  "between the cells of the map there is no colour of theirs": async (opened) => {
    const { page } = opened;
    await openPage(opened);
    await draw(page, { seed: 7, steps: 2 });
    const reused = await page.evaluate(
      "document.querySelector('#map .reuse').getAttribute('d') ?? 'a rectangle'",
    );
    assertEquals(reused, ""); // nothing is reused, so nothing looks as if it were
    await page.locator("#steps").fill("3");
    await page.locator("#map-caption", {
      hasText: /^The next picture: all 3 steps are computed in full\.$/,
    }).waitFor();
  },
};

Deno.test("the page's layout", needs, async (test) => {
  await visitInSteps(test, STEPS);
});

Deno.test("the page of prompts has Generate in sight, and axe finds nothing", needs, async () => {
  await visit({ model: PEEPS }, async (opened) => {
    const { page } = opened;
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await openPage(opened);
      await page.locator("#prompt").fill("a person with a hat ".repeat(20));
      await expectInSight(page, "with a long prompt");
      const sideways = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
      assertEquals(sideways, 0, `${width} x ${height}`);
      assertEquals(await page.evaluate(CUT_OFF), [], `${width} x ${height}`);
    }
    await page.locator("#negative").fill("a beard");
    await expectNoViolation(page, "a prompt, idle");
    await page.locator("#steps").fill("60");
    await page.locator("#generate").click();
    await untilStatus(page, /^Step [1-9]/);
    await expectNoViolation(page, "a prompt, being drawn");
    await page.locator("#cancel").click();
    await untilStatus(page, /^Cancelled/);
    await expectNoViolation(page, "a prompt, cancelled");
  });
});

/** What stands out of its card, and lists that are narrower than what is chosen in them. */
const CUT_OFF = `[...document.querySelectorAll("#form, #stage, #cards li")].flatMap((card) => {
  const shown = [...card.querySelectorAll("input, select, button, a, canvas, img")]
    .filter((one) => one.offsetParent !== null && !one.closest(".chips"));
  const edge = card.getBoundingClientRect().right;
  const outside = shown.filter((one) => one.getBoundingClientRect().right > edge + 1);
  const narrow = shown.filter((one) => {
    if (one.tagName !== "SELECT") return false;
    const alone = one.cloneNode();
    alone.append(one.selectedOptions[0].cloneNode(true));
    alone.style.cssText = "position: absolute; flex: none; width: max-content";
    one.after(alone);
    const { width } = alone.getBoundingClientRect();
    alone.remove();
    return width > one.getBoundingClientRect().width + 1;
  });
  return [...outside, ...narrow].map((one) => one.id || one.textContent);
})`;

/** That a person can press Generate without scrolling. */
async function expectInSight(page: Page, when: string): Promise<void> {
  const [top, bottom, height] = await page.evaluate(() => {
    const { top, bottom } = document.querySelector("#generate")!.getBoundingClientRect();
    return [top, bottom, innerHeight] as const;
  });
  const { width } = page.viewportSize()!; // it was set
  assert(top >= 0 && bottom <= height, `${when}, ${width} wide: ${top} … ${bottom} of ${height}`);
}

async function expectNoViolation(page: Page, state: string): Promise<void> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { readonly axe: typeof import("axe-core") }; // of its source
    const { violations } = await axe.run(document);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  });
  assertEquals(found, [], state);
}
