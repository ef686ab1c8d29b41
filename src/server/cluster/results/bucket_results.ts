/**
 * Results in a bucket that speaks S3. Objects expire by a rule of the bucket's own ("lifecycle"), a day at least.
 *
 * *Source:* Amazon S3 API reference, PutObject, GetObject, DeleteObject; requests are signed by `aws4fetch` (2 KB
 * compressed, no dependencies), since Amazon's own client is 3 MB and more.
 */

import { AwsClient } from "npm:aws4fetch@1.0.20";
import { BackendError } from "../../../errors.ts";
import { type LastingResults, plainName } from "./result_store.ts";

/** A bucket that is busy or away is asked again so often; about two seconds in all. */
const RETRIES = 5;

/** An object for each key. */
export class BucketResults implements LastingResults {
  private constructor(readonly client: AwsClient, readonly base: string) {}

  /**
   * Uses a bucket: `s3://NAME/FOLDER?endpoint=URL&region=NAME`; Amazon's own without an endpoint.
   *
   * @throws {TypeError} When the environment has no access to it.
   */
  static open(url: URL, env: Readonly<Record<string, string | undefined>>): BucketResults {
    const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
    if (!accessKeyId || !secretAccessKey) {
      throw new TypeError(
        "Cannot keep results in a bucket: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set",
      );
    }
    const region = url.searchParams.get("region") ?? env["AWS_REGION"] ?? "us-east-1";
    const endpoint = url.searchParams.get("endpoint") ?? env["AWS_ENDPOINT_URL"];
    const { AWS_SESSION_TOKEN: sessionToken } = env;
    const client = new AwsClient({
      ...{ accessKeyId, secretAccessKey, region, service: "s3", retries: RETRIES },
      ...(sessionToken && { sessionToken }),
    });
    return new BucketResults(client, `${originOf(url, { region, endpoint })}${folderOf(url)}`);
  }

  async keep(key: string, bytes: Uint8Array): Promise<void> {
    await this.#ask("PUT", key, new Uint8Array(bytes));
  }

  async kept(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const response = await this.#ask("GET", key);
    return response && new Uint8Array(await response.arrayBuffer());
  }

  async drop(keys: readonly string[]): Promise<void> {
    await Promise.all(keys.map((key) => this.#ask("DELETE", key)));
  }

  /** The bucket's own rule removes what is old. */
  async sweep(): Promise<void> {}

  /** Nothing where there is no such object. */
  async #ask(
    method: "PUT" | "GET" | "DELETE",
    key: string,
    body?: Uint8Array<ArrayBuffer>,
  ): Promise<Response | undefined> {
    const object = `${this.base}/${key.split(":").map(plainName).join("/")}`;
    const response = await this.client.fetch(object, { method, ...(body && { body }) })
      .catch((cause: unknown) => failed(method, "it does not answer", cause));
    if (response.ok && method === "GET") return response;
    const said = await response.text();
    if (response.ok || response.status === 404 && !said.includes("NoSuchBucket")) return undefined;
    const [, code = ""] = /<Code>(\w+)<\/Code>/.exec(said) ?? [];
    return failed(method, `it answered ${response.status} ${code}`.trim());
  }
}

function failed(method: string, why: string, cause?: unknown): never {
  const verb = { PUT: "keep", GET: "read", DELETE: "remove" }[method];
  throw new BackendError(`Cannot ${verb} a result in the bucket: ${why}.`, { cause });
}

/** Of another service, buckets are in the path; Amazon's have names of their own. */
function originOf(
  { host }: URL,
  { region, endpoint }: { readonly region: string; readonly endpoint: string | undefined },
): string {
  if (endpoint === undefined) return `https://${host}.s3.${region}.amazonaws.com`;
  return `${new URL(endpoint).href.replace(/\/+$/, "")}/${host}`;
}

function folderOf({ pathname }: URL): string {
  return pathname.replace(/\/+$/, "");
}
