/** What the page keeps, and what brings pictures back: the history, links, files; and what is refused in words. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { unzipSync } from "fflate";
import { recordText } from "../../src/engine/picture_record.ts";
import { encodePng } from "../../src/image/png.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { requires } from "../_shim/requires.ts";
import {
  download,
  draw,
  drop,
  openAgain,
  openPage,
  pngOf,
  type Steps,
  textOf,
  untilStatus,
  visit,
  visitInSteps,
} from "./page_fixture.ts";

const needs = await requires("the page's history in a browser", "chromium", "bundler");
const PIXEL = { width: 1, height: 1, channels: 1, pixels: new Uint8Array(1) } as const;

const STEPS: Steps = {
  "pictures and settings outlive a reload; a card brings back what was drawn; one is deleted":
    async (
      opened,
    ) => {
      const { page, complaints } = opened;
      await openPage(opened);
      await draw(page, { seed: 11, steps: 2 });
      await page.getByText("Bag", { exact: true }).click();
      await draw(page, { seed: 12, steps: 3 });
      const bag = await pngOf(page);
      await page.getByText("Coat", { exact: true }).click();
      await page.locator("#count").fill("4");
      await openAgain(opened);
      assertEquals(await textOf(page, "#gallery-count"), "2 pictures");
      assertEquals(await page.getByLabel("Coat", { exact: true }).isChecked(), true);
      const fields = ["#steps", "#seed", "#count"].map((id) => page.locator(id).inputValue());
      assertEquals(await Promise.all(fields), ["3", "12", "4"]); // a seed that was typed is kept
      await page.locator(".card-show").first().click();
      await page.locator("#stage-title", { hasText: "Bag, seed 12" }).waitFor();
      assertMatch(await textOf(page, "#status"), /^3 steps in /);
      assertEquals(await pngOf(page), bag);
      await page.getByRole("button", { name: "Delete Bag, seed 12" }).click();
      await page.locator("#gallery-count", { hasText: /^1 picture$/ }).waitFor();
      await openAgain(opened);
      assertEquals(await page.locator("#cards li").count(), 1);
      assertEquals(complaints, []);
    },
  "all pictures come in one ZIP, each as it was drawn, and all are deleted when that is confirmed":
    async (
      opened,
    ) => {
      const { page } = opened;
      await openPage(opened);
      const drawn: Uint8Array[] = [];
      for (const [seed, steps] of [[5, 1], [5, 2]] as const) { // their files have one name
        await draw(page, { seed, steps });
        drawn.push(await pngOf(page));
      }
      const { name, bytes } = await download(page, "#save-all");
      assertMatch(name, /^invardiff-\d{4}-\d\d-\d\d\.zip$/);
      const files = unzipSync(bytes);
      assertEquals(Object.keys(files), [
        "t-shirt-top-5-full.png",
        "t-shirt-top-5-full-2.png",
      ]);
      assertEquals(Object.values(files), drawn.reverse()); // newest first
      page.once("dialog", (dialog) => void dialog.dismiss());
      await page.locator("#delete-all").click();
      assertEquals(await page.locator("#cards li").count(), 2);
      page.once("dialog", (dialog) => void dialog.accept());
      await page.locator("#delete-all").click();
      await page.locator("#gallery").waitFor({ state: "hidden" });
      await openAgain(opened);
      assertEquals(await page.locator("#gallery").isVisible(), false);
    },
  "a link draws the same bytes in another browser, a PNG does so when it is dropped": async (
    opened,
  ) => {
    const { page } = opened;
    await openPage(opened);
    await page.getByText("Dress", { exact: true }).click();
    await page.locator("#guidance").fill("3.5");
    await page.locator("label", { hasText: "8x" }).click();
    await page.locator("#seed").fill("21");
    await page.locator("#generate").click();
    await untilStatus(page, /^6 steps in /);
    const drawn = await pngOf(page);
    const link = new URL(await page.locator("#link").getAttribute("href") ?? "").hash;
    assertEquals(link, new URL(page.url()).hash);
    assertEquals(link, await page.locator(".card-link").first().getAttribute("href"));
    await openPage(opened); // as in another browser
    await openAgain(opened, link);
    await untilStatus(page, /^6 steps in /);
    assertEquals(await pngOf(page), drawn);
    await openPage(opened);
    await drop(page, { name: "dress.png", type: "image/png", bytes: drawn });
    await untilStatus(page, /^Restored; Generate draws it again\.$/);
    assertEquals(await textOf(page, "#stage-title"), "Dress, seed 21");
    assertEquals(await page.locator("#guidance").inputValue(), "3.5");
    assertEquals(await page.locator("#cards li").count(), 1);
    await page.locator("#generate").click();
    await untilStatus(page, /^6 steps in /);
    assertEquals(await pngOf(page), drawn);
    assertEquals(await page.locator("#cards li").count(), 1); // it is the same picture
  },
  "a link to what this browser has drawn shows it, and draws nothing": async (opened) => {
    const { page } = opened;
    await openPage(opened);
    await draw(page, { seed: 31, steps: 2 });
    const { hash } = new URL(page.url());
    const jobs: string[] = [];
    page.on("request", (request) => {
      if (request.url().endsWith("/v1/jobs")) jobs.push(request.url());
    });
    await openAgain(opened, hash);
    await untilStatus(page, /^2 steps in /);
    assertEquals(await textOf(page, "#stage-title"), "T-shirt/top, seed 31");
    assertEquals(jobs, []);
  },
  "files that cannot be drawn again are refused in words, or begun from": async (opened) => {
    const { page, complaints } = opened;
    await openPage(opened);
    const record = {
      model: "sdxl",
      fingerprint: "sha256:1",
      labels: [0],
      seed: 1,
      steps: 1,
      guidance: 1,
    };
    const other = await encodePng(PIXEL, recordText(record));
    const type = "image/png";
    await drop(page, { name: "other.png", type, bytes: other });
    await untilStatus(page, /^other\.png was drawn by sdxl, which is not what this server has\.$/);
    await drop(page, { name: "cut.png", type, bytes: other.slice(0, 50) });
    await untilStatus(page, /^cut\.png is damaged: it is no whole PNG\.$/);
    await drop(page, { name: "notes.txt", type: "text/plain", bytes: new Uint8Array(3) });
    await untilStatus(page, /^notes\.txt is no picture\.$/);
    await page.evaluate(() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([new Uint8Array(50e6)], "huge.png", { type: "image/png" }));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
    });
    await untilStatus(page, /^huge\.png is too large: it has 50 MB, and 20 MB are the most\.$/);
    assertEquals(await page.locator("#generate").isEnabled(), true);
    await drop(page, { name: "plain.png", type, bytes: await encodePng(PIXEL) });
    await untilStatus(
      page,
      /^plain\.png does not say how it was drawn: the next picture begins from it\.$/,
    );
    await page.locator("#image-shown").waitFor();
    assertEquals(complaints, []);
  },
  "a link with nonsense draws nothing and says what it cannot read; what else it says is in the form":
    async (
      opened,
    ) => {
      const { page, complaints } = opened;
      await openPage(opened);
      const cases: readonly (readonly [string, RegExp])[] = [
        ["#label=3&seed=abc&steps=-4", /^This link says of seed and of steps what cannot be read/],
        [
          "#label=3&model=sdxl",
          /^This picture is of the model sdxl, which this server does not have\.$/,
        ],
        [
          "#label=3&plan=warp",
          /^This picture follows the plan warp, which this server does not have\.$/,
        ],
        [
          "#label=3&sampler=guess",
          /^This picture is sampled by guess, which fashion-dit is not\.$/,
        ],
        [
          `#label=3&image=sha256:${"0".repeat(64)}&strength=0.5`,
          /^This picture begins from a picture that this browser does not have/,
        ],
      ];
      for (const [link, words] of cases) {
        await openAgain(opened, link);
        await untilStatus(page, words);
        assertEquals(await page.getByLabel("Dress", { exact: true }).isChecked(), true, link);
        assertEquals(await page.locator("#generate").isEnabled(), true);
      }
      await openAgain(opened, "#label=99&seed=1&steps=1"); // the server knows no such class
      await untilStatus(page, /label must be/);
      await openAgain(opened, "#%E0%A4%A&&=&\u0000");
      await untilStatus(page, /^Ready\./);
      assertEquals(complaints.filter((line) => !line.includes("status of 400")), []);
    },
};

Deno.test("the page's history", needs, async (test) => {
  await visitInSteps(test, STEPS);
});

Deno.test(
  "a browser that keeps nothing, or has no room, says so and loses nothing meanwhile",
  needs,
  async () => {
    await visit({}, async (opened) => {
      const { page, complaints } = opened;
      await page.addInitScript(() => {
        const put = IDBObjectStore.prototype.put;
        IDBObjectStore.prototype.put = function (...args): IDBRequest<IDBValidKey> {
          if (Reflect.get(globalThis, "full") !== true) return put.apply(this, args);
          throw new DOMException("The quota has been exceeded.", "QuotaExceededError");
        };
      });
      await openPage(opened);
      await page.evaluate("void (globalThis.full = true)");
      await draw(page, { seed: 1, steps: 1 });
      assertMatch(
        await textOf(page, "#history-notice"),
        /^The browser has no room left: the last 1 /,
      );
      assertEquals((await pngOf(page)).slice(1, 4), new TextEncoder().encode("PNG"));
      await page.evaluate("void (globalThis.full = false)");
      await draw(page, { seed: 2, steps: 1 });
      await page.getByRole("button", { name: /^Delete .* seed 2$/ }).click(); // which makes room
      await page.locator("#history-notice:empty").waitFor({ state: "attached" });
      await openAgain(opened);
      assertEquals(await page.locator("#cards li").count(), 1);
      await page.addInitScript(() => {
        IDBFactory.prototype.open = (): never => {
          throw new DOMException("It is forbidden.", "SecurityError");
        };
        Storage.prototype.getItem = (): never => {
          throw new DOMException("It is forbidden.", "SecurityError");
        };
      });
      await openAgain(opened);
      await draw(page, { seed: 3, steps: 1 });
      assertMatch(await textOf(page, "#history-notice"), /^This browser keeps no history/);
      assertEquals(await page.locator("#cards li").count(), 1);
      const { bytes } = await download(page, "#save-all");
      const [file] = Object.values(unzipSync(bytes));
      assert(readPngText(file!)["invardiff"]?.includes('"seed":3'));
      assertEquals(complaints, []);
    });
  },
);
