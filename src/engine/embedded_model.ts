/**
 * The model that comes with the package.
 */

/** Where the embedded model lies, relative to this module. */
export const EMBEDDED_MODEL: URL = new URL(
  "../../models/fashion-dit/",
  import.meta.url ?? "file:///", // workerd's modules lie nowhere; models are given there
);
