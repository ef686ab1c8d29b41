/**
 * Origins as the header `content-security-policy` takes them.
 */

/** *Source:* CSP Level 3, "host-source", as far as it is an origin: no path, and nothing that ends a directive. */
export const ORIGIN: RegExp = /^https?:\/\/(?:[\w*-]+(?:\.[\w-]+)*|\[[\da-f:]+\])(?::\d+)?$/i;
