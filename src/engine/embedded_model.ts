/**
 * The model that comes with the package.
 */

/** Its name in `model.json`, which its folder has too. */
export const EMBEDDED_ID = "peeps-flux";

/** Where a clone has a model of classes, from its root. */
export const LABELLED = "models/fashion-dit";

/** Where the embedded model lies, relative to this module. */
export const EMBEDDED_MODEL: URL = new URL(
  `../../models/${EMBEDDED_ID}/`,
  import.meta.url ?? "file:///", // workerd's modules lie nowhere; models are given there
);
