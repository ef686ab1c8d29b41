/**
 * The names of `@std/assert` that our tests use, over `node:assert/strict`, for places where JSR
 * does not resolve. To switch, map `"@std/assert"` to `"jsr:@std/assert@1"` in deno.json.
 */
import nodeAssert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

// `message!`: Node's own types take a message or none, and say nothing of undefined, which does as well.

// deno-lint-ignore no-explicit-any -- constructor of any error class, as in @std/assert
type ErrorClass<E extends Error> = new (...args: any[]) => E;

/** Fails unless `condition` is truthy. */
export function assert(condition: unknown, message?: string): asserts condition {
  nodeAssert.ok(condition, message!);
}

/** Fails unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  if (isLong(actual) && isLong(expected)) failLong(actual, expected, message);
  nodeAssert.deepStrictEqual(actual, expected, message!);
}

/** Numbers, such as those of a picture, that are too many for Node's comparison line by line: it took 21 GB. */
type Long = ArrayLike<unknown>;

function isLong(value: unknown): value is Long {
  return (Array.isArray(value) || value instanceof Uint8Array ||
    value instanceof Uint8ClampedArray ||
    value instanceof Float32Array) && value.length > 2000;
}

function failLong(actual: Long, expected: Long, message = "arrays differ"): never {
  const most = Math.max(actual.length, expected.length);
  const at = Array.from({ length: most }, (_, i) => i)
    .find((i) => !isDeepStrictEqual(actual[i], expected[i]));
  throw new nodeAssert.AssertionError({
    message: `${message}: [${at}] is ${actual[at!]}, not ${expected[at!]}; ` +
      `lengths ${actual.length} and ${expected.length}`,
  });
}

/** Fails when both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  nodeAssert.notDeepStrictEqual(actual, expected, message!);
}

/** Fails unless both are the same value by `Object.is`. */
export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): void {
  nodeAssert.strictEqual(actual, expected, message!);
}

/** Fails unless `|actual - expected| <= tolerance`. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance: number = Math.abs(expected) * 1e-7,
  message?: string,
): void {
  const close = Object.is(actual, expected) || Math.abs(actual - expected) <= tolerance;
  nodeAssert.ok(close, message ?? `${actual} is not within ${tolerance} of ${expected}`);
}

/** Fails unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, message?: string): void {
  nodeAssert.ok(actual >= expected, message ?? `${actual} is not >= ${expected}`);
}

/** Fails unless `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, message?: string): void {
  nodeAssert.ok(actual <= expected, message ?? `${actual} is not <= ${expected}`);
}

/** Fails unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  nodeAssert.ok(actual.includes(expected), message ?? `"${actual}" does not include "${expected}"`);
}

/** Fails unless `actual` matches `expected`. */
export function assertMatch(actual: string, expected: RegExp, message?: string): void {
  nodeAssert.match(actual, expected, message!);
}

/** Fails unless `actual` is an instance of `type`. */
export function assertInstanceOf<E extends Error>(
  actual: unknown,
  type: ErrorClass<E>,
  message?: string,
): asserts actual is E {
  nodeAssert.ok(actual instanceof type, message ?? `${actual} is not a ${type.name}`);
}

/** Fails unless `fn` throws an error of this class whose message includes the text; returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  type?: ErrorClass<E>,
  messageIncludes?: string,
): E {
  try {
    fn();
  } catch (error) {
    return checked(error, type, messageIncludes);
  }
  throw new nodeAssert.AssertionError({ message: "Expected function to throw" });
}

/** Fails unless `fn` rejects with an error of this class whose message includes the text. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  type?: ErrorClass<E>,
  messageIncludes?: string,
): Promise<E> {
  try {
    await fn();
  } catch (error) {
    return checked(error, type, messageIncludes);
  }
  throw new nodeAssert.AssertionError({ message: "Expected function to reject" });
}

function checked<E extends Error>(
  error: unknown,
  type: ErrorClass<E> | undefined,
  messageIncludes = "",
): E {
  nodeAssert.ok(error instanceof Error, `Expected an Error, got ${error}`);
  if (type !== undefined && !(error instanceof type)) {
    throw new nodeAssert.AssertionError({
      message: `Expected ${type.name}, got ${error.name}: ${error.message}`,
    });
  }
  assertStringIncludes(error.message, messageIncludes);
  return error as E; // checked just above, as far as a class was asked for
}
