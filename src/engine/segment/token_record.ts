/**
 * Which tokens of a module a partial cell computes, and what a run remembers for that: how often each was passed over,
 * and what it was attended to. Nothing of it depends on the step's own numbers, so it is known before the step begins.
 *
 * *Source:* ToCa's rule as ProCache's published code has it (macovaseas/ProCache, `cache_functions`).
 */

import type { TokenScore } from "../../plan/columns.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** The tokens of a module at a step. */
export interface TokenQuestion {
  /** Rows of the batch; each has tokens of its own. */
  readonly rows: number;
  /** Tokens of each row. */
  readonly tokens: number;
  /** How many of them are computed. */
  readonly count: number;
  readonly score: TokenScore;
  /** Under which name what attention saw was told, and which of its tokens is the module's first. */
  readonly attention: { readonly name: string; readonly first: number };
  /** Where the picture's tokens are, if they form rows and columns; edges that no whole cell fits are cells, too. */
  readonly picture?: { readonly first: number; readonly grid: readonly [number, number] };
}

/** What one run remembers of the tokens of its modules, by name. */
export class TokenRecord {
  /** By row and token: partial updates since it was last computed. */
  readonly #ages = new Map<string, Float64Array>();
  readonly #attended = new Map<string, Tensor>();

  /** Every token of a module was computed. */
  renew(module: string): void {
    this.#ages.delete(module);
  }

  /** Hears what each token of an attention was attended to, `(N, S)`. */
  attend(attention: string, sums: Tensor): void {
    this.#attended.set(attention, sums);
  }

  /** By row: the tokens of a module that are computed, in order; all others have grown older. */
  choose(module: string, question: TokenQuestion): readonly (readonly number[])[] {
    const { rows, tokens, count, score } = question;
    const ages = this.#ages.get(module) ?? new Float64Array(rows * tokens);
    this.#ages.set(module, ages);
    return Array.from({ length: rows }, (_, row) => {
      const own = ages.subarray(row * tokens, (row + 1) * tokens);
      const scores = own.map((age) => score.age * age);
      if (score.attention !== 0) {
        this.#shares(row, question).forEach((share, t) => scores[t]! += score.attention * share);
      }
      if (score.bonus !== 0) favour(scores, question);
      const chosen = highest(scores, count);
      own.forEach((age, t) => own[t] = age + 1);
      for (const token of chosen) own[token] = 0;
      return chosen;
    });
  }

  /** What the tokens of a row are attended to, of length 1 over all of the module's. */
  #shares(row: number, { attention: { name, first }, tokens }: TokenQuestion): Float32Array {
    const sums = this.#attended.get(name);
    if (sums === undefined) throw new Error(`Internal error: ${name} was not heard`);
    const begin = row * sums.dims[1]! + first; // (N, S)
    const own = sums.data.slice(begin, begin + tokens);
    const length = Math.hypot(...own);
    return own.map((sum) => sum / Math.max(length, SHORTEST));
  }
}

/** *Source:* PyTorch's `normalize(eps=1e-12)`. */
const SHORTEST = 1e-12;

/** In each cell of the picture the highest score gains a share of itself. */
function favour(scores: Float64Array, { score: { bonus, cell }, picture }: TokenQuestion): void {
  if (picture === undefined) return;
  const { first, grid: [rows, columns] } = picture;
  for (let top = 0; top < rows; top += cell) {
    for (let left = 0; left < columns; left += cell) {
      let best = first + top * columns + left;
      for (let y = top; y < Math.min(top + cell, rows); y++) {
        for (let x = left; x < Math.min(left + cell, columns); x++) {
          const token = first + y * columns + x;
          if (scores[token]! > scores[best]!) best = token;
        }
      }
      scores[best]! += bonus * scores[best]!;
    }
  }
}

/** The tokens of the highest scores, the first of equal ones, in order. */
function highest(scores: Float64Array, count: number): readonly number[] {
  return [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, count)
    .sort((a, b) => a - b);
}
