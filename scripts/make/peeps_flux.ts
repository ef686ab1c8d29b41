/**
 * Writes `models/peeps-flux` from the float16 pipeline that was trained: packs it, and adds what its tensors do
 * not say.
 *
 * Run: `deno run --allow-read --allow-write scripts/make/peeps_flux.ts DIR`. Model card and notices stay as they are.
 */

import { parseManifest } from "../../src/assets/manifest.ts";
import { packModel } from "../../src/engine/pack/pack.ts";
import { openModel } from "../../src/model/open_model.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";

const DIRECTORY = new URL("../../models/peeps-flux/", import.meta.url);
/** What is written: everything else in the folder is written by hand. */
const WRITTEN = /^(?:model\.json|.*\.safetensors|vae|text_encoder.*|tokenizer.*)$/;

const FACTS = {
  id: "peeps-flux",
  licence: "MIT",
  dataNotice:
    "Trained on Open Peeps by Pablo Stanley, CC0 1.0; Noto Emoji, Copyright Google Inc., Apache-2.0; " +
    "Fluent Emoji, Copyright Microsoft Corporation, MIT; names of emoji from emojibase-data, " +
    "Copyright Miles Johnson, MIT; see NOTICE and DATA-LICENSE.txt",
  // Same pictures on every backend, and as near to the float16 weights as eight bits allow.
  arithmetic: "f32",
  prompts: {
    subject: "a person with",
    examples: [ // drawn from seeds 0 … 7, all forms and colours are as they say
      "a person with curly hair, sunglasses and a green shirt, light blue background",
      "a person with two buns, a big smile and a yellow shirt, purple background",
      "a person with a full beard, a hat and a brown shirt, green background",
      "a person with a hijab, glasses and a blue shirt, beige background",
      "a person with an afro, a big smile and a teal shirt, yellow background",
      "a person with a mohawk, an eyepatch and a gray shirt, red background",
      "a person with straight hair, big glasses and a red shirt, white background",
      "a person with a blue turban, a full beard and a purple shirt, orange background",
    ],
    attributes: {
      hair: listed(
        `curly hair, long curly hair, straight hair, an afro, a bun, two buns, bangs, cornrows, dreadlocks, a flat top, short hair,
        short curly hair, wavy medium hair, long hair with bangs, a pompadour, a mohawk, a buzz cut, shaved sides,
        twists, bantu knots, a bald head, a hijab, a turban, a blue turban, a beanie, a hat, a bear hat`,
      ),
      face: listed(
        `a smile, a big smile, a laughing face, a loving grin, a calm face, a cute face, a cheeky face,
        a serious face, a suspicious face, a tired face, a worried face, a scared face, an angry face with a fang,
        a furious face, closed eyes, one big eye, a monster face, an old face`,
      ),
      beard: listed(
        `a full beard, a long beard, a bushy beard, a chin beard, a goatee, a moustache, a thin moustache,
        a curled moustache, a handlebar moustache`,
      ),
      glasses: listed(
        "glasses, round glasses, square glasses, big glasses, sunglasses, big sunglasses, an eyepatch",
      ),
      mask: listed("a medical mask, a respirator"),
      shirt: listed(
        `red, orange, yellow, green, teal, blue, navy, purple, pink, brown, gray, white, black`,
      )
        .map((colour) => `${colour === "orange" ? "an" : "a"} ${colour} shirt`),
      skin: listed("pale skin, light skin, tan skin, brown skin, dark skin"),
      background: listed(
        `white, light blue, blue, navy, light green, green, yellow, orange, red, pink, purple, gray,
        black, teal, beige`,
      ).map((colour) => `${colour} background`),
    },
  },
} as const;

/** Guidance was distilled for 1 … 6; 2 … 4 look best. */
const GUIDANCE = 3;

if (import.meta.main) {
  const [source] = Deno.args;
  if (source === undefined) throw new TypeError("Cannot pack: DIR must be given");
  const files = await packed(source);
  for await (const { name } of Deno.readDir(DIRECTORY)) {
    if (WRITTEN.test(name)) await Deno.remove(new URL(name, DIRECTORY), { recursive: true });
  }
  let bytes = 0;
  for (const [path, content] of files) {
    const file = new URL(path, DIRECTORY);
    await Deno.mkdir(new URL("./", file), { recursive: true });
    await Deno.writeFile(file, content);
    bytes += content.length;
  }
  console.log(`${files.size} files, ${(bytes / 1e6).toFixed(2)} MB in ${DIRECTORY.pathname}`);
}

/** The files by their paths. */
async function packed(source: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const parts = new Map<string, readonly Uint8Array[]>();
  const write = (path: string, bytes: Uint8Array): Promise<void> => {
    parts.set(path, [...parts.get(path) ?? [], bytes.slice()]);
    return Promise.resolve();
  };
  const model = await openModel(source);
  await packModel({ model, precision: "int8", write }).finally(() => model.close());
  const files = new Map<string, Uint8Array>(
    [...parts].map(([path, of]) => [path, joinBytes(of)]),
  );
  change(files, "model.json", ({ fingerprint, sha256, ...facts }) => {
    const sampler = { ...Object(facts["sampler"]), guidance: GUIDANCE };
    const whole = { ...facts, ...FACTS, sampler, fingerprint, sha256 }; // hashes last: people read the rest
    parseManifest(whole); // proves that we can read what we write
    return whole;
  });
  // The rules of `tokenizer.json` count, lower case among them: T5's own class would pass them over.
  change(files, "tokenizer_2/tokenizer_config.json", (config) => {
    return { ...config, tokenizer_class: "PreTrainedTokenizerFast" };
  });
  for (const folder of ["tokenizer", "tokenizer_2"]) { // half of them was white space
    change(files, `${folder}/tokenizer.json`, (json) => json, { indent: 0 });
  }
  return files;
}

/** Phrases with commas between them. */
function listed(phrases: string): readonly string[] {
  return phrases.split(",").map((phrase) => phrase.trim().replace(/\s+/g, " "));
}

type Json = Readonly<Record<string, unknown>>;

function change(
  files: Map<string, Uint8Array>,
  path: string,
  to: (json: Json) => Json,
  { indent = 2 }: { readonly indent?: number } = {},
): void {
  const json: Json = JSON.parse(new TextDecoder().decode(files.get(path)));
  files.set(path, new TextEncoder().encode(`${JSON.stringify(to(json), null, indent)}\n`));
}
