/**
 * Pictures that are wanted again: by a link, or by a file that says how it was drawn.
 */

import { type Drawable, readDropped } from "./dropped.ts";
import type { Entry, HistoryStore } from "./history_store.ts";
import { formatLink, type Linked, parseLink } from "./link.ts";
import { titleOf } from "./outcome.ts";
import type { RunEdit, RunRequest } from "./run.ts";

/** What a link asks for. */
export interface RecalledLink {
  readonly linked: Linked;
  /** What it begins from. */
  readonly edit: RunEdit | undefined;
  /** Why it is not drawn at once, in words; absent where it is. */
  readonly words: string | undefined;
}

/** What a file turned out to be. */
export type RecalledFile =
  | { readonly kind: "drawn"; readonly entry: Entry; readonly words: string }
  | { readonly kind: "begin" | "refused"; readonly words: string };

/** Finds what links and files speak of. */
export class Recall {
  constructor(readonly history: HistoryStore, readonly offer: Drawable) {}

  /** What a link asks for; `undefined` where it is none of ours. */
  link(hash: string): RecalledLink | undefined {
    const read = parseLink(hash);
    if (read === undefined) return undefined;
    const { linked, misread } = read;
    const words = misread.length > 0
      ? `This link says of ${misread.join(" and of ")} what cannot be read, so nothing is drawn. ` +
        "What else it says is in the form."
      : this.lackOf(linked);
    return { linked, edit: this.#editOf(linked), words };
  }

  /** What a picture needs that is not here, in words; `undefined` where it can be drawn. */
  lackOf(linked: Linked): string | undefined {
    const model = linked.model === undefined
      ? this.offer.models[0]
      : this.offer.models.find(({ id }) => id === linked.model);
    if (model === undefined) {
      return `This picture is of the model ${linked.model}, which this server does not have.`;
    }
    const { plan = "auto", sampler, begins } = linked;
    if (plan !== "auto" && plan !== "none" && !model.plans.includes(plan)) {
      return `This picture follows the plan ${plan}, which this server does not have.`;
    }
    if (sampler !== undefined && model.samplers?.includes(sampler) === false) {
      return `This picture is sampled by ${sampler}, which ${model.id} is not.`;
    }
    if (begins === undefined || this.#editOf(linked) !== undefined) return undefined;
    return "This picture begins from a picture that this browser does not have: choose it below " +
      "“Begin from a picture”, then press Generate.";
  }

  /** Looks into a file that was dropped. */
  async file(file: File, { edits }: { readonly edits: boolean }): Promise<RecalledFile> {
    const dropped = await readDropped(file, this.offer);
    if (dropped.kind === "refused") return dropped;
    if (dropped.kind === "picture") {
      const words = `${file.name} does not say how it was drawn`;
      return edits
        ? { kind: "begin", words: `${words}: the next picture begins from it.` }
        : { kind: "refused", words: `${words}, so it cannot be drawn again.` };
    }
    const { linked, pictures } = dropped;
    const lack = this.lackOf(linked) ??
      (pictures === 1
        ? "Restored; Generate draws it again."
        : `${file.name} shows ${pictures} pictures: Generate draws the first of them.`);
    return { kind: "drawn", entry: this.#entryOf(linked, file), words: lack };
  }

  /** A file as a picture of the history, unless it is there. */
  #entryOf(linked: Linked, png: Blob): Entry {
    const request = requestOf(linked, this.#editOf(linked));
    const link = formatLink(request, linked.begins);
    return this.history.get(link) ?? {
      ...{ request, link, title: titleOf(request, this.offer.models), made: Date.now() },
      words: "Restored from a file.",
      result: { png, notices: [] },
    };
  }

  /** The picture that another begins from, where the history has it. */
  #editOf({ begins }: Linked): RunEdit | undefined {
    if (begins === undefined) return undefined;
    const found = this.history.entries.find(({ link }) => {
      const other = parseLink(link)?.linked.begins;
      return other?.image === begins.image && other.mask === begins.mask;
    });
    const edit = found?.request.edit;
    return edit && { ...edit, strength: begins.strength };
  }
}

/** All of a request, by a file's record. */
function requestOf(linked: Linked, edit: RunEdit | undefined): RunRequest {
  const { model = "", seed = 0, steps = 1, guidance = 1, plan, begins: _, ...rest } = linked;
  const planned = plan === "none" ? undefined : plan;
  return { ...rest, model, seed, steps, guidance, plan: planned, edit };
}
