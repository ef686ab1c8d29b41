/** What the tests of hubs share. */

const net = await Deno.permissions.query({ name: "net", host: "127.0.0.1" });

/** Options of a test that has a server on the loopback. */
export const NET: { readonly ignore: boolean } = { ignore: net.state !== "granted" };

/** Bytes that differ from their neighbours, the same on every call. */
export function numbered(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) % 251);
}
