/**
 * What is told of a run before its first step.
 */

/** How far it is. */
export interface Preparing {
  /**
   * `prompts`: graphs of text encoders, which run once for each text that is new; `graphs`: those of the transformer,
   * which the first run of a model with text encoders loads.
   */
  readonly what: "prompts" | "graphs";
  /** How many are done, from 1. */
  readonly done: number;
  /** How many there are. */
  readonly total: number;
}

/** Who listens. */
export interface PreparingOptions {
  /** Called as prompts are encoded and graphs are loaded, before the first step; not where nothing is left to do. */
  readonly onPreparing?: ((progress: Preparing) => void) | undefined;
}
