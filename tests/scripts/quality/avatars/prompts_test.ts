import { assert, assertEquals } from "@std/assert";
import { shareFound } from "../../../../scripts/quality/avatars/judge.ts";
import { ATTRIBUTES, avatarPrompts } from "../../../../scripts/quality/avatars/prompts.ts";
import avatars from "../../../../scripts/train/avatars.json" with { type: "json" };

Deno.test("avatarPrompts() names what it asks for, the same for a seed however many there are", () => {
  const prompts = avatarPrompts(300, 7);
  assertEquals(avatarPrompts(20, 7), prompts.slice(0, 20));
  assert(`${avatarPrompts(20, 8)}` !== `${prompts.slice(0, 20).map(({ prompt }) => prompt)}`);
  const tables: Readonly<Record<string, object>> = avatars;
  for (const { prompt, ...named } of prompts) {
    for (const [kind, name] of Object.entries(named)) {
      assert(ATTRIBUTES.some((known) => known === kind), kind);
      assert(Object.hasOwn(tables[kind]!, name!), `${kind} ${name}`);
    }
    assert(prompt.endsWith(`${named["skin"]} skin, ${named["background"]} background`), prompt);
    assert(prompt.includes(`, a ${named["shirt"]} shirt, `) && !/[{}]/.test(prompt), prompt);
  }
  const kinds = (kind: string): number => prompts.filter((each) => kind in each).length;
  assertEquals(kinds("head"), 300);
  assert(kinds("facialHair") > 60 && kinds("facialHair") < 120);
});

Deno.test("no two names that avatarPrompts() takes have one phrase: a judge could not tell them apart", () => {
  const seen = new Map<string, string>();
  const faces: Readonly<Record<string, readonly string[]>> = avatars.face;
  for (const { prompt, head, face, shirt } of avatarPrompts(2000, 1)) {
    const end = prompt.indexOf(`, ${faces[face!]![0]}`); // what follows hair
    const phrase = prompt.slice("a person with ".length, end);
    const plain = phrase.replace(
      new RegExp(`\\b(?:${Object.keys(avatars.hair).join("|")})\\b`),
      "",
    );
    assertEquals(seen.get(plain) ?? head, head, `${phrase}, ${shirt}`);
    seen.set(plain, head!);
  }
  assert(seen.size > 35);
});

Deno.test("shareFound() counts the named attributes of a kind, and none where none is named", () => {
  const prompt = { prompt: "", head: "afro", face: "smile", facialHair: null, skin: "tan" };
  const shown = { head: "afro", face: "calm", facialHair: "full", skin: "tan" };
  assertEquals(shareFound(prompt, shown, ["head", "face", "facialHair"]), 0.5);
  assertEquals(shareFound(prompt, shown, ["skin", "shirt"]), 1);
  assertEquals(shareFound(prompt, shown, ["facialHair", "shirt"]), undefined);
});
