/**
 * Opens what an address names.
 */

import process from "node:process";
import { FolderResults } from "./folder_results.ts";
import type { LastingResults } from "./result_store.ts";

/**
 * A folder (`file:///srv/pictures`) or a bucket that speaks S3 (`s3://NAME/FOLDER?endpoint=URL&region=NAME`; access
 * from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, else `AWS_REGION`, `AWS_ENDPOINT_URL`).
 *
 * @throws {TypeError} When it is neither, or its access is not given.
 */
export async function openResults(address: string): Promise<LastingResults> {
  const url = new URL(address);
  if (url.protocol === "file:") return await FolderResults.open(url);
  if (url.protocol === "s3:") {
    const { BucketResults } = await import("./bucket_results.ts"); // its package is for those who have a bucket
    return BucketResults.open(url, process.env);
  }
  throw new TypeError(
    `Cannot keep results: their place must be file:///… or s3://…: current value is ${url.protocol}`,
  );
}
