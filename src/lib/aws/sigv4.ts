// AWS Signature Version 4: who calls, proven by an HMAC over the request. Pure; the key of a day is kept, because deriving it costs
// four of the five HMACs.
//
//   https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
import { createHash, createHmac } from "node:crypto";

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface SignedRequest {
  readonly method: string;
  /** As it is sent, with its query. */
  readonly path: string;
  /** All that is signed; `host` must be among them. Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}

export interface SigningScope {
  readonly service: string;
  readonly region: string;
  readonly credentials: AwsCredentials;
  readonly now: Date;
}

/** The headers that make a request a signed one: to be sent besides `headers`, as they are. */
export function sign(request: SignedRequest, { service, region, credentials, now }: SigningScope): Record<string, string> {
  const stamp = now.toISOString().replace(/[-:]|\.\d{3}/g, "");
  const bodyHash = sha256(request.body);
  const added = {
    "x-amz-content-sha256": bodyHash,
    "x-amz-date": stamp,
    ...(credentials.sessionToken && { "x-amz-security-token": credentials.sessionToken }),
  };
  return {
    ...added,
    authorization: authorization({ ...request, headers: { ...request.headers, ...added } }, bodyHash, stamp, {
      service,
      region,
      credentials,
    }),
  };
}

/** The value of `authorization` for exactly these headers. */
export function authorization(
  { method, path, headers }: Omit<SignedRequest, "body">,
  bodyHash: string,
  stamp: string,
  { service, region, credentials }: Omit<SigningScope, "now">,
): string {
  const entries = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value.trim().replace(/ +/g, " ")] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const signedHeaders = entries.map(([name]) => name).join(";");
  const [bare = "/", query = ""] = splitOnce(path, "?");
  const canonical = [
    method,
    canonicalPath(bare, service),
    canonicalQuery(query),
    ...entries.map(([name, value]) => `${name}:${value}`),
    "",
    signedHeaders,
    bodyHash,
  ].join("\n");
  const day = stamp.slice(0, 8);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${sha256(canonical)}`;
  const signature = createHmac("sha256", dayKey(credentials.secretAccessKey, day, region, service))
    .update(toSign)
    .digest("hex");
  return `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
}

/** Dots are resolved and each segment is encoded once more, except for S3. */
function canonicalPath(path: string, service: string): string {
  if (service === "s3") return path;
  const kept: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") kept.pop();
    else kept.push(encode(segment));
  }
  return `/${kept.join("/")}${kept.length > 0 && path.endsWith("/") ? "/" : ""}`;
}

function canonicalQuery(query: string): string {
  if (query === "") return "";
  const pairs = query.split("&").map((pair) => {
    const [name = "", value = ""] = splitOnce(pair, "=");
    return [encode(decode(name)), encode(decode(value))] as const;
  });
  return pairs
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** All but the unreserved characters of RFC 3986. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

let kept: { readonly id: string; readonly key: Buffer }[] = [];
const mostKept = 32;

function dayKey(secret: string, day: string, region: string, service: string): Buffer {
  const id = sha256(`${secret}\n${day}\n${region}\n${service}`);
  const known = kept.find((each) => each.id === id);
  if (known) return known.key;
  const hmac = (key: Buffer | string, data: string) => createHmac("sha256", key).update(data).digest();
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), "aws4_request");
  kept = [{ id, key }, ...kept.slice(0, mostKept - 1)];
  return key;
}
