/**
 * A hub on the loopback that speaks a hub's routes and misbehaves on demand: for tests and for
 * `bench_download.ts`. Large files lie on a second origin, as with real ones.
 */

import { createHash } from "node:crypto";

/** The bytes of a file, made when they are asked for. */
export interface Content {
  readonly size: number;
  readonly read: (offset: number, length: number) => Uint8Array<ArrayBuffer>;
}

/** A file of the repository. */
export interface FakeFile extends Content {
  /** sha256 of a large file, which is redirected; absent for a small one. */
  readonly sha256?: string;
  /** Git's blob hash. */
  readonly git: string;
}

/** What goes wrong with the next answer that has bytes of a file. */
export type Trouble =
  /** The connection breaks after so many bytes. */
  | { readonly kind: "cut"; readonly after: number }
  /** Nothing more comes after so many bytes. */
  | { readonly kind: "silence"; readonly after: number }
  /** Another status. */
  | {
    readonly kind: "status";
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
  }
  /** Another `content-range`. */
  | { readonly kind: "range"; readonly text: string }
  /** 200 with the whole file; broken after so many bytes where that is given. */
  | { readonly kind: "whole"; readonly after?: number }
  /** Another etag, and with it other bytes. */
  | { readonly kind: "changed"; readonly after: number }
  /** Right length, one byte wrong. */
  | { readonly kind: "wrong" }
  /** So many bytes too many. */
  | { readonly kind: "extra"; readonly bytes: number }
  /** A body that ends early, as if it were whole. */
  | { readonly kind: "short"; readonly bytes: number }
  /** As it should be. */
  | { readonly kind: "none" };

/** A request that came. */
export interface FakeRequest {
  readonly host: "hub" | "cdn";
  readonly path: string;
  readonly range: string | null;
  readonly authorization: string | null;
}

/** A running hub. */
export interface FakeHub extends AsyncDisposable {
  readonly endpoint: URL;
  /** The other origin. */
  readonly cdn: URL;
  /** What came, in order. */
  readonly requests: FakeRequest[];
  /** What goes wrong, answer by answer. */
  readonly troubles: Trouble[];
  /** Answers instead of all routes, where it gives an answer. */
  intercept?: (request: Request) => Response | undefined;
}

/** How a hub is made. */
export interface FakeOptions {
  readonly files: Readonly<Record<string, FakeFile>>;
  readonly commit?: string;
  /** Entries of a page of the listing. */
  readonly pageSize?: number;
  /** Bytes of one write to the network. */
  readonly blockBytes?: number;
}

/** The one repository that is there. */
const REPOSITORY = "owner/name";
/** Its commit. */
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

const RANGE = /^bytes=(\d+)-(\d+)$/;

/** A file of bytes in memory; large ones are redirected. */
export function fileOfBytes(bytes: Uint8Array<ArrayBuffer>, kind: "large" | "small"): FakeFile {
  const sha1 = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  return {
    size: bytes.length,
    read: (offset, length) => bytes.slice(offset, offset + length),
    git: sha1,
    ...(kind === "large" && { sha256: createHash("sha256").update(bytes).digest("hex") }),
  };
}

/** Starts hub and content network on two ports of the loopback. */
export function startFakeHub(options: FakeOptions): FakeHub {
  const hub = { requests: [] as FakeRequest[], troubles: [] as Trouble[] };
  const state: FakeHub & { stopSilence: AbortController } = Object.assign(hub, {
    endpoint: new URL("http://127.0.0.1"),
    cdn: new URL("http://127.0.0.1"),
    stopSilence: new AbortController(),
    [Symbol.asyncDispose]: async (): Promise<void> => {
      state.stopSilence.abort();
      await Promise.all([main.shutdown(), cdn.shutdown()]);
    },
  });
  const serve = (host: FakeRequest["host"]): Deno.HttpServer<Deno.NetAddr> =>
    Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const { pathname, search } = new URL(request.url);
      const { headers } = request;
      state.requests.push({
        host,
        path: pathname + search,
        range: headers.get("range"),
        authorization: headers.get("authorization"),
      });
      const given = state.intercept?.(request) ??
        (host === "hub" ? answerHub(request) : answerCdn(request));
      const answer = new Response(given.body, given); // a redirect's headers cannot be changed
      // As real ones do: a page of any origin may read them.
      answer.headers.set("access-control-allow-origin", "*");
      answer.headers.set("access-control-expose-headers", "*");
      return answer;
    });
  const body = (request: Request, file: FakeFile): Response =>
    answerFile(request, file, {
      trouble: state.troubles.shift() ?? { kind: "none" },
      blockBytes: options.blockBytes ?? 1 << 16,
      over: state.stopSilence.signal,
    });
  const answerHub = (request: Request): Response => {
    const { pathname } = new URL(request.url);
    const api = `/api/models/${REPOSITORY}/`;
    if (pathname.startsWith(`${api}revision/`)) {
      return Response.json({ sha: options.commit ?? COMMIT });
    }
    if (pathname.startsWith(`${api}tree/`)) return listing(request, options);
    const path = pathname.replace(/^\/owner\/name\/resolve\/[0-9a-f]{40}\//, "");
    const file = options.files[decodeURIComponent(path)];
    if (file === undefined) {
      return new Response("no", { status: 404, headers: { "x-error-code": "EntryNotFound" } });
    }
    return file.sha256 === undefined ? body(request, file) : redirect(file.sha256, cdn.addr.port);
  };
  const answerCdn = (request: Request): Response => {
    const hash = new URL(request.url).pathname.slice(1);
    const file = Object.values(options.files).find(({ sha256 }) => sha256 === hash);
    return file === undefined ? new Response("no", { status: 404 }) : body(request, file);
  };
  const cdn = serve("cdn");
  const main = serve("hub");
  state.endpoint.port = `${main.addr.port}`;
  state.cdn.port = `${cdn.addr.port}`;
  return state;
}

function redirect(sha256: string, port: number): Response {
  const location = `http://127.0.0.1:${port}/${sha256}?signature=secret`;
  return new Response(null, {
    status: 302,
    headers: { location, "x-linked-etag": `"${sha256}"`, "x-repo-commit": COMMIT },
  });
}

function listing(request: Request, { files, pageSize = 1000 }: FakeOptions): Response {
  const url = new URL(request.url);
  const from = Number(url.searchParams.get("cursor") ?? 0);
  const all = Object.entries(files).map(([path, { size, git, sha256 }]) => ({
    type: "file",
    path,
    size,
    oid: git,
    ...(sha256 !== undefined && { lfs: { oid: sha256, size, pointerSize: 130 } }),
  }));
  const entries = [{ type: "directory", path: "folder", size: 0, oid: "0".repeat(40) }, ...all];
  url.searchParams.set("cursor", `${from + pageSize}`);
  const headers = from + pageSize < entries.length ? { link: `<${url}>; rel="next"` } : undefined;
  return Response.json(entries.slice(from, from + pageSize), { ...(headers && { headers }) });
}

interface AnswerOptions {
  readonly trouble: Trouble;
  readonly blockBytes: number;
  readonly over: AbortSignal;
}

function answerFile(request: Request, file: FakeFile, options: AnswerOptions): Response {
  const { trouble } = options;
  if (trouble.kind === "status") {
    return new Response("trouble", { status: trouble.status, headers: trouble.headers ?? {} });
  }
  const match = trouble.kind === "whole" ? null : RANGE.exec(request.headers.get("range") ?? "");
  const first = Number(match?.[1] ?? 0);
  const last = Math.min(Number(match?.[2] ?? Infinity), file.size - 1);
  const etag = `"${trouble.kind === "changed" ? "changed" : file.sha256 ?? file.git}"`;
  const range = trouble.kind === "range" ? trouble.text : `bytes ${first}-${last}/${file.size}`;
  const length = last + 1 - first;
  return new Response(bodyOf(file, { first, length, ...options }), {
    status: match === null ? 200 : 206,
    headers: {
      etag,
      ...(match !== null && { "content-range": range }),
      // A body that ends before its length breaks the connection.
      ...("after" in trouble && { "content-length": `${length}` }),
    },
  });
}

interface BodyOptions extends AnswerOptions {
  readonly first: number;
  readonly length: number;
}

/** Byte by byte what the trouble leaves of a range. */
function bodyOf(file: Content, options: BodyOptions): ReadableStream<Uint8Array> {
  const { first, trouble, blockBytes, over } = options;
  const length = bodyLength(options);
  let sent = 0;
  return new ReadableStream({
    pull: async (to): Promise<void> => {
      const count = Math.min(blockBytes, length - sent);
      if (count > 0) {
        const block = sent < options.length
          ? file.read(first + sent, Math.min(count, options.length - sent))
          : new Uint8Array(count);
        if (trouble.kind === "changed" || trouble.kind === "wrong" && sent === 0) block[0]! ^= 1;
        sent += block.length;
        return to.enqueue(block);
      }
      if (trouble.kind === "silence") {
        await new Promise((resolve) => over.addEventListener("abort", resolve, { once: true }));
      }
      to.close();
    },
  }, { highWaterMark: 0 });
}

function bodyLength({ length, trouble }: BodyOptions): number {
  if (trouble.kind === "extra") return length + trouble.bytes;
  if (trouble.kind === "short") return Math.max(0, length - trouble.bytes);
  if ("after" in trouble) return Math.min(length, trouble.after ?? length);
  return length;
}
