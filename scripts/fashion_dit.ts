/**
 * The small DiT of the repository, on which tests, benches and quality figures run.
 */

/** Where it lies: `models/fashion-dit`. Whoever means the package's default takes `EMBEDDED_MODEL`. */
export const FASHION_DIT: URL = new URL("../models/fashion-dit/", import.meta.url);
