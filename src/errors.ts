/**
 * The errors that callers catch. Every message has one grammar:
 * `Cannot <verb> <thing>: <what> must be <wanted>: current value is <value>`.
 */

/** Bytes from outside (weights, model.json, PNG, URL) are not what they claim to be, or cannot be read. */
export class AssetError extends Error {
  /** Always `"AssetError"`. */
  override readonly name = "AssetError";
}

/** The execution provider is absent, refuses a graph, or does not have the room for it. */
export class BackendError extends Error {
  /** Always `"BackendError"`. */
  override readonly name = "BackendError";
}

/** A cache plan is malformed or does not fit the model or the request. */
export class PlanError extends Error {
  /** Always `"PlanError"`. */
  override readonly name = "PlanError";
}
