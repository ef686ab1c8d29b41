/**
 * A service that speaks as much S3 as we do, and checks signatures by its own arithmetic.
 *
 * *Source:* AWS, "Signature Version 4 signing process": canonical request, string to sign, signing key.
 */
import { createHash, createHmac } from "node:crypto";

/** Who may ask. */
export const ACCESS = { id: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };

/** A bucket on loopback. */
export class SmallBucket {
  readonly objects = new Map<string, Uint8Array<ArrayBuffer>>();
  /** How many of the next requests are answered 503. */
  busy = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(readonly name: string) {
    const options = { port: 0, hostname: "127.0.0.1", onListen: (): void => {} };
    this.#server = Deno.serve(options, (request) => this.#answer(request));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { method, url } = request;
    const body = await request.bytes();
    const { pathname } = new URL(url);
    if (this.busy-- > 0) return failure(503, "SlowDown");
    this.busy = 0;
    if (!isSigned(request, body)) return failure(403, "SignatureDoesNotMatch");
    if (!pathname.startsWith(`/${this.name}/`)) return failure(404, "NoSuchBucket");
    const found = this.objects.get(pathname);
    if (method === "PUT") this.objects.set(pathname, body);
    if (method === "DELETE") this.objects.delete(pathname);
    if (method !== "GET") return new Response(null, { status: method === "PUT" ? 200 : 204 });
    return found === undefined ? failure(404, "NoSuchKey") : new Response(found);
  }
}

function failure(status: number, code: string): Response {
  return new Response(`<Error><Code>${code}</Code></Error>`, { status });
}

function isSigned({ method, url, headers }: Request, body: Uint8Array<ArrayBuffer>): boolean {
  const fields = /^AWS4-HMAC-SHA256 Credential=(.+), SignedHeaders=(.+), Signature=(.+)$/;
  const [, credential = "", names = "", signature] =
    fields.exec(headers.get("authorization") ?? "") ?? [];
  const [id, day = "", region = "", service = "", last = ""] = credential.split("/");
  if (id !== ACCESS.id) return false;
  const claimed = headers.get("x-amz-content-sha256") ?? "";
  if (claimed !== "UNSIGNED-PAYLOAD" && claimed !== sha256(body)) return false;
  const { pathname, search } = new URL(url);
  const signed = names.split(";").map((name) => `${name}:${headers.get(name)!.trim()}\n`).join("");
  const canonical = [method, encoded(pathname), search.slice(1), signed, names, claimed].join("\n");
  const scope = [day, region, service, last].join("/");
  const text = ["AWS4-HMAC-SHA256", headers.get("x-amz-date"), scope, sha256(canonical)].join("\n");
  const key = [day, region, service, last].reduce<string | Uint8Array>(
    (key, part) => createHmac("sha256", key).update(part).digest(),
    `AWS4${ACCESS.secret}`,
  );
  return createHmac("sha256", key).update(text).digest("hex") === signature;
}

/** A path as signatures have it: all but letters, digits and `-._~/` is escaped, and that once. */
function encoded(path: string): string {
  const escape = (letter: string): string => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`;
  return path.split("/").map((part) =>
    encodeURIComponent(decodeURIComponent(part)).replaceAll(/[!'()*]/g, escape)
  ).join("/");
}

function sha256(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}
