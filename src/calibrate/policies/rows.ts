/**
 * Rows of plans that compute some steps in full and do one other thing at all others, as those of most policies do.
 */

import { evenRow, type Row } from "../../plan/row.ts";

/** By step: every module where it is computed, the other row where it is not. */
export function rowsWhere(
  computed: readonly boolean[],
  { modules, other }: { readonly modules: number; readonly other: Row },
): readonly Row[] {
  const full = evenRow("run", modules);
  return computed.map((each) => each ? full : other);
}

/** The same where every feature is reused at the other steps, with fresh gates. */
export function rowsReusing(computed: readonly boolean[], modules: number): readonly Row[] {
  return rowsWhere(computed, { modules, other: evenRow("reuse", modules) });
}
