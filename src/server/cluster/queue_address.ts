/**
 * Addresses of queues.
 */

/** An address that may be shown and logged. */
export function withoutSecrets(url: string): string {
  if (!URL.canParse(url)) return "an address that is no URL";
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
