/**
 * Listening to calls of one object.
 */

/** Replaces a method of one object. Returns what takes the replacement away. */
export function replaceMethod<T extends object, K extends keyof T>(
  target: T,
  name: K,
  make: (original: T[K]) => T[K],
): () => void {
  const original = target[name];
  if (typeof original !== "function") {
    throw new TypeError(`Internal error: no method ${String(name)}`);
  }
  const had = Object.hasOwn(target, name);
  target[name] = make(original.bind(target));
  return () => {
    if (had) target[name] = original;
    else delete target[name];
  };
}
