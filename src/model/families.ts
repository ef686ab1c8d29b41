/**
 * Every kind of model that we compute. Whoever adds one adds a row here.
 *
 * @module
 */

import { DIT } from "./dit/open.ts";
import { FLUX } from "./flux/open.ts";
import type { Family } from "./model.ts";

/** The first one that claims a directory opens it. */
export const FAMILIES: readonly Family[] = [DIT, FLUX];
