import { assert, assertEquals, assertThrows } from "@std/assert";
import { RUN_TIME_POLICIES } from "../../../src/engine/policies/table.ts";
import { choosePolicy, POLICIES, policyLines } from "../../../src/calibrate/policies/table.ts";

Deno.test("choosePolicy() takes published settings but those that are given", () => {
  const { name, settings } = choosePolicy("magcache:threshold=0.06, longest=3", "calibrate");
  assertEquals(name, "magcache");
  assertEquals([settings["threshold"], settings["longest"], settings["warmup"]], [0.06, 3, 0.1]);
  for (const known of Object.keys(POLICIES)) {
    const { policy, settings } = choosePolicy(known, "calibrate");
    assert(policy.record !== undefined || policy.read !== undefined);
    for (const [setting, { or }] of Object.entries(policy.settings)) {
      const given = choosePolicy(`${known}:${setting}=${or}`, "calibrate"); // published ones are within the range
      assertEquals(given.settings, settings);
    }
  }
});

Deno.test("choosePolicy() refuses unknown names and settings, and numbers out of range, by name", () => {
  const wrong: readonly (readonly [string, new (message: string) => Error, string])[] = [
    ["", TypeError, "policy must be one of"],
    ["magcash", TypeError, "current value is magcash"],
    ["constructor", TypeError, "current value is constructor"],
    ["magcache:delta=1", TypeError, "setting of magcache must be one of"],
    ["magcache:__proto__=1", TypeError, "current value is __proto__"],
    [
      "magcache:threshold",
      RangeError,
      "threshold of magcache must be a number of at least 0: current value is none",
    ],
    ["magcache:threshold=NaN", RangeError, "threshold of magcache must be a number of at least 0"],
    ["magcache:threshold=-1", RangeError, "threshold of magcache must be a number of at least 0"],
    [
      "magcache:longest=1.5",
      RangeError,
      "longest of magcache must be a whole number of at least 0",
    ],
    ["magcache:warmup=2", RangeError, "warmup of magcache must be a number in 0 … 1"],
    [
      "learning-to-cache:threshold=2",
      RangeError,
      "threshold of learning-to-cache must be a number in 0 … 1",
    ],
  ];
  for (const [word, type, message] of wrong) {
    assertThrows(() => choosePolicy(word, "calibrate"), type, message);
  }
});

Deno.test("policyLines() names every policy where it can be asked for, and its settings", () => {
  for (const [name, { record, read, settings }] of Object.entries(POLICIES)) {
    for (const [way, can] of [["record", record], ["read", read]] as const) {
      const lines = policyLines(way).join("\n");
      assertEquals(lines.includes(`${name}  `), can !== undefined);
      if (can === undefined) continue;
      for (const setting of Object.keys(settings)) assert(lines.includes(`  ${setting}=`));
    }
  }
});

Deno.test("the folder's README has a row for every policy, with its published settings and where it is asked for", async () => {
  const readme = new URL("../../../src/calibrate/policies/README.md", import.meta.url);
  const lines = (await Deno.readTextFile(readme)).split("\n");
  const tables = { ...RUN_TIME_POLICIES, ...POLICIES }; // TeaCache's coefficients are told of elsewhere
  for (const [name, { settings }] of Object.entries(tables)) {
    const row = lines.find((line) => line.startsWith(`| \`${name}\` `));
    const [, , where = "", , told = ""] = row?.split("|") ?? [];
    const asked: readonly (readonly [string, boolean])[] = [
      ["`calibrate`", POLICIES[name]?.record !== undefined],
      ["`plan import`", POLICIES[name]?.read !== undefined],
      ["`generate`, server", Object.hasOwn(RUN_TIME_POLICIES, name)],
    ];
    for (const [words, is] of asked) assertEquals([name, where.includes(words)], [name, is]);
    const wanted = Object.entries(settings).map(([setting, { or }]) => `\`${setting}=${or}\``);
    assertEquals([name, told.trim()], [name, wanted.join(" ")]);
  }
});
