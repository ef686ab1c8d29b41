/**
 * Code that draws exactly this picture: by curl, by OpenAI's client, by our library.
 */

import type { RunRequest } from "./run.ts";
import { askedOf } from "./server_run.ts";

/** In what a snippet is written. */
export type SnippetKind = "curl" | "openai" | "library";

/** Where the code is run against. */
export interface SnippetPlace {
  /** Address of the server, without a slash at the end. */
  readonly server: string;
  /** Whether it wants a key. */
  readonly isKeyed: boolean;
  /** What the picture shows, for clients that want words. */
  readonly title: string;
  /** Name of the file that is written. */
  readonly file: string;
  /** Provider that drew it, where that is known: others round otherwise. */
  readonly backend?: string | undefined;
}

/** Name of the file of the picture that is begun from, which the visitor has, and of its mask, which the page saves. */
const IMAGE = "begin.png";
const MASK = "mask.png";

/** Writes a snippet. */
export function snippetOf(
  kind: SnippetKind,
  request: RunRequest,
  place: SnippetPlace,
): string {
  return { curl: curlOf, openai: openaiOf, library: libraryOf }[kind](request, place);
}

function curlOf(request: RunRequest, { server, isKeyed, file }: SnippetPlace): string {
  const { edit } = request;
  const asked = apiFields(request);
  const fields = edit === undefined
    ? [
      "-H 'content-type: application/json'",
      `-d ${quoted(JSON.stringify(asked))}`,
    ]
    : [
      `-F image=@${IMAGE}`,
      ...(edit.mask !== undefined ? [`-F mask=@${MASK}`] : []),
      ...Object.entries(asked).map(([name, value]) => `-F ${quoted(`${name}=${value}`)}`),
    ];
  const key = isKeyed ? [`-H "authorization: Bearer $INVARDIFF_API_KEY"`] : [];
  const route = edit === undefined ? "generations" : "edits";
  return [
    `curl -sS ${server}/v1/images/${route}`,
    ...key,
    ...fields,
  ].join(" \\\n  ") + ` |\n  jq -r '.data[0].b64_json' | base64 -d > ${file}`;
}

function openaiOf(request: RunRequest, { server, isKeyed, title, file }: SnippetPlace): string {
  const { edit } = request;
  const asked = { prompt: title, ...apiFields(request) };
  const key = isKeyed ? "process.env.INVARDIFF_API_KEY" : '"none"';
  const fields = edit === undefined ? asked : {
    ...asked,
    image: new Code(`createReadStream("${IMAGE}")`),
    ...(edit.mask !== undefined && { mask: new Code(`createReadStream("${MASK}")`) }),
  };
  const files = edit === undefined ? "writeFileSync" : "createReadStream, writeFileSync";
  const call = edit === undefined ? "generate" : "edit";
  return `import { ${files} } from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${server}/v1", apiKey: ${key} });
const { data } = await client.images.${call}(${codeOf(fields)});
writeFileSync("${file}", Buffer.from(data[0].b64_json, "base64"));
`;
}

function libraryOf(request: RunRequest, { file, backend }: SnippetPlace): string {
  const { model, edit, engine: _, plan = "none", label, ...rest } = request;
  const asked = {
    ...(label !== undefined && { label }),
    ...rest,
    plan,
    ...(edit !== undefined && {
      image: new Code(`await readPicture(readFileSync("${IMAGE}"))`),
      ...(edit.mask !== undefined &&
        { mask: new Code(`await readPicture(readFileSync("${MASK}"))`) }),
      strength: edit.strength,
    }),
  };
  const files = edit === undefined ? "writeFileSync" : "readFileSync, writeFileSync";
  const folder = `"models/${model}"`;
  const opened = backend === undefined ? folder : `{ model: ${folder}, backend: "${backend}" }`;
  const reader = edit === undefined ? "" : `import { readPicture } from "@invardiff/edge/png";\n`;
  return `import { ${files} } from "node:fs";
import { openPipeline } from "@invardiff/edge";
${reader}
const pipeline = await openPipeline(${opened}); // the folder where it is
const { pictures } = await pipeline.generate(${codeOf(asked)});
writeFileSync("${file}", await pictures[0].png());
await pipeline.close();
`;
}

/** What both clients send; a picture in base64 is what the API gives by itself. */
function apiFields(request: RunRequest): Readonly<Record<string, string | number>> {
  const { edit } = request;
  return { ...askedOf(request), ...(edit !== undefined && { strength: edit.strength }) };
}

/** A value that is written as it is. */
class Code {
  constructor(readonly text: string) {}
}

/** An object as a program writes it. */
function codeOf(fields: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(fields).filter(([, value]) => value !== undefined).map(
    ([name, value]) => `  ${name}: ${value instanceof Code ? value.text : JSON.stringify(value)},`,
  );
  return `{\n${lines.join("\n")}\n}`;
}

/** A word of a shell, whatever it has in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
