/** A tab that is closed at any moment: nothing is left running for it, and nothing is lost that was finished. */
import { assertEquals, assertMatch } from "@std/assert";
import type { BrowserContext, Page } from "playwright-core";
import { requires } from "../_shim/requires.ts";
import {
  jobOf,
  openAgain,
  openSettings,
  otherJob,
  PATIENCE_MS,
  until,
  untilStatus,
  type Visit,
  visit,
} from "./page_fixture.ts";

const needs = await requires("closed tabs of the page", "chromium", "bundler");

/** A moment in the life of a tab; what the history has afterwards. */
interface Moment {
  /** Brings the tab to it. */
  readonly reach: (tab: Page) => Promise<void>;
  /** How it goes; it is closed unless given. */
  readonly leave?: (tab: Page) => Promise<void>;
  /** Pictures that were finished by then. */
  readonly finished: number;
  /** Whether a long job of another client is drawn meanwhile. */
  readonly busy?: true;
}

const MOMENTS: Readonly<Record<string, Moment>> = {
  "before the server has told it which job is its own": {
    async reach(tab): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      await tab.route("**/v1/jobs", async (route) => {
        await route.fetch(); // the server has it, and the tab never hears of it
        resolve();
      });
      await press(tab, { steps: 250 });
      await promise;
    },
    finished: 0,
  },
  "while its job waits": {
    async reach(tab): Promise<void> {
      await press(tab, { steps: 3 });
      await untilStatus(tab, /^Next in line/);
    },
    busy: true,
    finished: 0,
  },
  "while its picture is drawn": {
    async reach(tab): Promise<void> {
      await press(tab, { steps: 250 });
      await untilStatus(tab, /^Step [1-9]/);
    },
    finished: 0,
  },
  "while its picture is drawn, by a process that dies": {
    async reach(tab): Promise<void> {
      await press(tab, { steps: 250 });
      await untilStatus(tab, /^Step [1-9]/);
    },
    async leave(tab): Promise<void> {
      const session = await tab.context().newCDPSession(tab);
      const crashed = tab.waitForEvent("crash");
      void session.send("Page.crash").catch(() => {}); // who dies does not answer
      await crashed;
      await tab.close();
    },
    finished: 0,
  },
  "between the pictures of several": {
    async reach(tab): Promise<void> {
      await press(tab, { steps: 60, count: 8 });
      await untilStatus(tab, /^Picture 2 of 8 · Step [1-9]/);
    },
    finished: 1,
  },
  "while its picture is compared with full computation": {
    async reach(tab): Promise<void> {
      await openSettings(tab);
      await tab.locator("label", { hasText: "8x" }).click();
      await tab.locator("#compare").click();
      await tab.locator("#generate").click();
      await untilStatus(tab, /^Full computation: step [1-9]/);
    },
    finished: 1,
  },
  "while it draws itself": {
    async reach(tab): Promise<void> {
      await tab.getByText("This browser", { exact: true }).click();
      await tab.locator("#engine").selectOption("wasm");
      await press(tab, { steps: 250 });
      await untilStatus(tab, /^Step [1-9]/);
    },
    finished: 0,
  },
};

Deno.test("a tab that is closed", needs, async (test) => {
  await visit({ app: { limits: { unwatchedSeconds: 1 } } }, async (opened) => {
    for (const [name, moment] of Object.entries(MOMENTS)) {
      await test.step(name, () => expectNothingLeft(opened, moment));
    }
  });
});

/** Closes a tab at a moment, then opens another in the same browser. */
async function expectNothingLeft(opened: Visit, moment: Moment): Promise<void> {
  const { reach, leave, finished, busy } = moment;
  const context: BrowserContext = await opened.page.context().browser()!.newContext(); // it was launched
  const openTab = async (): Promise<Page> => {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await openAgain({ ...opened, page });
    return page;
  };
  const other = busy && await occupy(opened);
  const tab = await openTab();
  await reach(tab);
  await (leave?.(tab) ?? tab.close());
  await until(async () => (await openJobs(opened)).every((id) => id === other));
  if (other !== undefined) {
    const { state } = await jobOf(opened.app, other);
    assertMatch(state, /^(?:running|completed)$/); // another's goes on
    await (await opened.app.request(`/v1/jobs/${other}`, { method: "DELETE" })).body?.cancel();
  }
  await until(async () => (await opened.renderer.counts()).values === 0);
  const again = await openTab();
  assertEquals(await again.locator("#cards li").count(), finished);
  await press(again, { steps: 1 }); // and the next one is drawn
  await untilStatus(again, /^1 step in /);
  await context.close();
}

/** Presses Generate. */
async function press(
  page: Page,
  { steps, count = 1 }: { readonly steps: number; readonly count?: number },
): Promise<void> {
  await openSettings(page);
  await page.locator("#steps").fill(`${steps}`);
  await page.locator("#count").fill(`${count}`);
  await page.locator("#generate").click();
}

/** A long job of another client; its id, once it is drawn. */
async function occupy({ app }: Visit): Promise<string> {
  const id = await otherJob(app, { label: 0, steps: 250 });
  await until(async () => (await jobOf(app, id)).state === "running");
  return id;
}

/** Ids of jobs that wait or run, by what the server tells. */
async function openJobs({ app }: Visit): Promise<readonly string[]> {
  const lists = await Promise.all(["queued", "running"].map(async (state) => {
    return (await (await app.request(`/v1/jobs?state=${state}`)).json()).data;
  }));
  return lists.flat().map(({ id }) => id);
}
