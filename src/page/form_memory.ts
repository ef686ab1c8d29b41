/**
 * What the form had at the last visit.
 */

import type { FormView } from "./form_view.ts";
import { formatLinked, parseLink } from "./link.ts";
import { readText, writeText } from "./settings_store.ts";

const ITEM = "invardiff-form";

/** Keeps the form for the next visit; a seed only where the visitor keeps it. */
export function keepForm(form: FormView): void {
  const { seed, ...linked } = form.readLinked();
  const { habits } = form;
  const isKept = habits.locked && seed !== undefined;
  const link = formatLinked(isKept ? { ...linked, seed } : linked);
  writeText(ITEM, JSON.stringify({ link, ...habits }));
}

/** Fills the form as it was at the last visit, as far as that can be read. */
export function recallForm(form: FormView): void {
  const kept = parsed(readText(ITEM));
  const field = (name: string): unknown => Reflect.get(Object(kept), name);
  const linked = parseLink(`${field("link")}`)?.linked;
  if (linked === undefined) return;
  form.write(linked);
  form.habits = {
    count: Number(field("count")) || 1,
    compares: field("compares") === true,
    locked: field("locked") === true,
  };
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined; // somebody else's
  }
}
