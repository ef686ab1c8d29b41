/**
 * Prompts for avatars of which every attribute is named, so that a judge can look for each.
 */
import avatars from "../../train/avatars.json" with { type: "json" };
import { philox } from "../../../src/tensor/random.ts";

/** What a prompt can name, in its order: the form of things, and their colours. */
export const FORMS = ["head", "face", "facialHair", "accessories"] as const;
export const COLOURS = ["shirt", "skin", "background"] as const;
export const ATTRIBUTES = [...FORMS, ...COLOURS] as const;

/** A prompt, and the names of what it asks for; what it does not ask for is absent or null. */
export type AvatarPrompt =
  & { readonly prompt: string }
  & Readonly<Partial<Record<string, string | null>>>;

/** How often a prompt has what not everyone has. */
const SHARES: Readonly<Record<string, number>> = { facialHair: 0.3, accessories: 0.5 };

/** Prompts i = 0 … count − 1 of a seed; each is the same however many there are. */
export function avatarPrompts(count: number, seed: number): readonly AvatarPrompt[] {
  return Array.from({ length: count }, (_, i) => avatarPrompt(dice(i, seed)));
}

/** *Source:* the form of the prompts that the judge was first asked about. */
function avatarPrompt(roll: () => number): AvatarPrompt {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(roll() * of.length)]!; // below the length
  const named: Record<string, string> = {};
  const bits: string[] = [];
  for (const kind of FORMS) {
    const isThere = roll() < (SHARES[kind] ?? 1);
    const [name, phrase] = pick(DISTINCT[kind]);
    if (!isThere) continue;
    named[kind] = name;
    bits.push(phrase.replace("{hair}", pick(Object.keys(avatars.hair))));
  }
  const colours = COLOURS.map((kind) => {
    named[kind] = pick(Object.keys(avatars[kind]));
    return `${kind === "shirt" ? "a " : ""}${named[kind]} ${kind}`;
  });
  return { prompt: `a person with ${[...bits, ...colours].join(", ")}`, ...named };
}

type Phrases = readonly (readonly [name: string, phrase: string])[];

/** The first phrase of every name, without those that stand for several, or name a shirt's colour. */
function distinct(phrases: Readonly<Record<string, readonly string[]>>): Phrases {
  const all = Object.entries(phrases).map(([name, [first = ""]]) => [name, first] as const);
  const isFirst = ([name, phrase]: Phrases[number]): boolean =>
    all.find((other) => other[1] === phrase)![0] === name; // itself at least
  return all.filter((each) => isFirst(each) && !each[1].includes("{shirt}"));
}

const DISTINCT: Readonly<Record<typeof FORMS[number], Phrases>> = {
  head: distinct(avatars.head),
  face: distinct(avatars.face),
  facialHair: distinct(avatars.facialHair),
  accessories: distinct(avatars.accessories),
};

/** Uniform numbers in 0 … 1, the same for a number and a seed. */
function dice(i: number, seed: number): () => number {
  let rolled = 0;
  return () => {
    const block = philox([Math.floor(rolled / 4), i, 0, 0], [seed, 0]);
    return block[rolled++ % 4]! / 2 ** 32; // of four
  };
}
