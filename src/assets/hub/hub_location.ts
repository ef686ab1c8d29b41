/**
 * `hf://owner/name[@revision][/subfolder]`: a model on a hub, in text and in parts.
 */

import { AssetError } from "../../errors.ts";
import { weightFormat } from "../weight_files.ts";

/** Where a model lies on a hub. */
export interface HubLocation {
  /** Who publishes it. */
  readonly owner: string;
  readonly name: string;
  /** Branch, tag or commit; `main` unless the text names one. */
  readonly revision: string;
  /** Folder in the repository, such as `transformer`; empty is its top. */
  readonly folder: string;
  /** The file of weights that the text names, in that folder. */
  readonly file?: string;
}

const SCHEME = /^hf:\/\//i;
/** As hubs allow them: they become folders of the cache, so no dot comes first. */
const NAME = /^[a-z0-9_][a-z0-9._-]{0,95}$/i;
/** Revisions with a slash that are known without percent-encoding it. */
const SLASHED = /^(refs\/(?:pr|convert)\/[^/]+)(?:\/(.*))?$/;

/** Whether a location is written as one of a hub's. */
export function isHubLocation(text: string): boolean {
  return SCHEME.test(text);
}

/** The end of a message about a text that is none, where it would be one with the scheme; else nothing. */
export function hubHint(text: string): string {
  const [owner, name, ...more] = text.split("/");
  const isName = more.length === 0 && [owner, name].every((part) => NAME.test(part ?? ""));
  return isName ? `; a model of a hub begins with hf://, as in hf://${text}` : "";
}

/**
 * Takes a location apart.
 *
 * @throws {AssetError} Naming the part that is absent or malformed.
 */
export function parseHubLocation(text: string): HubLocation {
  if (!isHubLocation(text)) refuse(text, "it must begin with hf://");
  const [, owner = "", tail = ""] = /^([^/]*)\/?(.*)$/s.exec(text.replace(SCHEME, ""))!; // of any text
  if (!NAME.test(owner)) refuse(text, "its owner must be letters, digits, '.', '-' and '_'");
  const at = /^([^/@]*)(@?)(.*)$/s.exec(tail)!; // of any text
  const name = at[1]!.replace(/\/$/, "");
  if (!NAME.test(name)) refuse(text, "its name must be letters, digits, '.', '-' and '_'");
  const { revision, path } = at[2] === "@"
    ? splitRevision(text, at[3]!)
    : { revision: "main", path: at[3]!.slice(1) };
  return { owner, name, revision, ...splitPath(text, path) };
}

/** The text of a location; `main` is left out. */
export function formatHubLocation({ owner, name, revision, folder, file }: HubLocation): string {
  const at = revision === "main" ? "" : `@${encodeURIComponent(revision)}`;
  return ["hf://" + owner, name + at, ...(folder ? [folder] : []), ...(file ? [file] : [])]
    .join("/");
}

/** Whether a revision is a whole commit, which always means the same files. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

function splitRevision(text: string, rest: string): { revision: string; path: string } {
  const [, written = "", path = ""] = SLASHED.exec(rest) ?? /^([^/]*)\/?(.*)$/s.exec(rest)!; // of any text
  const revision = decoded(text, written);
  const valid = /^[\w.+-]+(\/[\w.+-]+)*$/.test(revision) && !revision.includes("..");
  if (!valid || revision.length > 200) refuse(text, "its revision must be a branch, tag or commit");
  return { revision, path };
}

function splitPath(text: string, path: string): { folder: string; file?: string } {
  const parts = decoded(text, path.replace(/\/$/, "")).split("/");
  const wrong = (part: string): boolean => /^\.{0,2}$|^\s|\s$|[\\:?#\0]/.test(part);
  if (parts.length === 1 && parts[0] === "") return { folder: "" };
  if (parts.some(wrong)) refuse(text, "its subfolder must be a path inside of the repository");
  const file = weightFormat(parts.at(-1)!) === undefined ? undefined : parts.pop(); // a split has a part
  return { folder: parts.join("/"), ...(file !== undefined && { file }) };
}

function decoded(text: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return refuse(text, "its percent signs must encode letters");
  }
}

function refuse(text: string, why: string): never {
  throw new AssetError(
    `Cannot open model: ${why}, as in hf://owner/name@revision/subfolder: ` +
      `current value is ${JSON.stringify(text.slice(0, 200))}`,
  );
}
