import { assert, assertEquals, assertRejects } from "@std/assert";
import { openBackend } from "../../src/backend/select.ts";
import type { GraphRecipe } from "../../src/engine/load_graph.ts";
import type { Part } from "../../src/engine/segment/segment.ts";
import { segmentRecipe } from "../../src/engine/segment/segment_recipe.ts";
import { Sessions } from "../../src/engine/sessions.ts";
import { BackendError } from "../../src/errors.ts";
import { interfere, type Interference, openSmallModel } from "./small_model.ts";

const RUN = { kind: "module", index: 0, action: "run", store: false } as const;

/** Sessions of the small model's first module; nothing is left alive at the end. */
async function withSessions(
  interference: Interference,
  use: (sessions: Sessions, recipe: (part: Part) => GraphRecipe) => Promise<void>,
): Promise<void> {
  const model = await openSmallModel();
  const { backend } = await openBackend({ backend: "wasm" });
  const watched = interfere(backend, interference);
  const sessions = new Sessions(watched, model.weights);
  await use(sessions, (part) => segmentRecipe(model.transformer, [part], watched.weights));
  await sessions.dispose();
  assertEquals(backend.live, { values: 0, sessions: 0 });
  await backend.dispose();
  await model.close();
}

Deno.test("a session that owns its weights serves runs that store and runs that do not", async () => {
  await withSessions({}, async (sessions, recipe) => {
    const first = await sessions.get(recipe(RUN));
    assert(first === await sessions.get(recipe({ ...RUN, store: true })));
    assertEquals(sessions.backend.live.sessions, 1);
  });
});

Deno.test("a session with a probe takes the place of the one without, and the other way round", async () => {
  await withSessions({}, async (sessions, recipe) => {
    for (const probe of [false, true, false]) {
      await sessions.get(recipe({ ...RUN, probe }));
      assertEquals(sessions.backend.live.sessions, 1);
    }
  });
});

Deno.test("sessions whose weights are inputs share them", async () => {
  await withSessions({ weights: "inputs" }, async (sessions, recipe) => {
    await sessions.get(recipe(RUN));
    const { values } = sessions.backend.live;
    await sessions.get(recipe({ ...RUN, store: true }));
    assertEquals(sessions.backend.live, { values, sessions: 2 });
  });
});

Deno.test("a session that a failed run spoilt is loaded again, once for all who ask", async () => {
  const onRun = (): void => {
    throw new Error("no memory");
  };
  await withSessions({ onRun, spoils: true }, async (sessions, recipe) => {
    const given = recipe(RUN);
    const before = await sessions.get(given);
    const both = [sessions.run(given, {}, []), sessions.run(given, {}, [])];
    for (const run of both) assertEquals((await assertRejects(() => run)).message, "no memory");
    const [first, second] = await Promise.all([sessions.get(given), sessions.get(given)]);
    assert(first === second && first !== before);
    assertEquals(sessions.backend.live.sessions, 1);
  });
});

Deno.test("a session that is as good after a failed run as before stays", async () => {
  let failing = true;
  const onRun = (): void => {
    if (failing) throw new Error("no memory");
  };
  await withSessions({ onRun }, async (sessions, recipe) => {
    const before = await sessions.get(recipe(RUN));
    await assertRejects(() => sessions.run(recipe(RUN), {}, []));
    failing = false;
    assert(before === await sessions.get(recipe(RUN)));
  });
});

Deno.test("sessions that are disposed load nothing more", async () => {
  await withSessions({}, async (sessions, recipe) => {
    const loading = sessions.get(recipe(RUN));
    await sessions.dispose();
    await loading;
    const error = await assertRejects(() => sessions.get(recipe(RUN)), BackendError);
    assertEquals(error.message, "Cannot run 0.s: its sessions are disposed.");
  });
});
