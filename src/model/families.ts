/**
 * Every kind of model that we compute; a new kind is a new row here.
 */

import { DIT } from "./dit/open.ts";
import { FLUX } from "./flux/open.ts";
import type { Family } from "./model.ts";

/** The first one that claims a directory opens it. */
export const FAMILIES: readonly Family[] = [DIT, FLUX];
