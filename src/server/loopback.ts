/**
 * Servers that only their own machine reaches, and those that everyone may use.
 */

/** Addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[?::1\]?)$/.test(host);
}

/** What an operator should know of a server without keys that others reach. */
export const OPEN_TO_ALL =
  "warning: everyone who reaches this address may use the server and see its jobs; ";
