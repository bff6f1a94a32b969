// What a function returned, as a response: in the form of a load balancer of AWS, or of API Gateway.
import { type Headers, headerValue, removeHeader } from "../http1/headers.ts";
import { headerName } from "../http1/names.ts";
import { breaksLines } from "../text.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

const framing = new Set(["connection", "content-length", "transfer-encoding", "upgrade", "keep-alive"]);
type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export function albAnswer(answer: Answer): Answer {
  if (answer.status >= 300) return answer;
  const headers = [...answer.headers];
  removeHeader(headers, "content-type");
  const failed: Answer = { status: 500, headers, body: Buffer.alloc(0) };
  const fields = fieldsOf(answer.body);
  if (fields === undefined) return failed;
  const { statusCode, isBase64Encoded, body } = fields;
  if (statusCode !== undefined && !isStatus(statusCode)) return failed;
  if (isBase64Encoded !== undefined && typeof isBase64Encoded !== "boolean") return failed;
  if (body !== undefined && typeof body !== "string") return failed;
  const added = headersOf(fields, (value) => (typeof value === "string" ? value : undefined));
  const payload = bodyOf(body ?? "", isBase64Encoded === true);
  if (added === undefined || payload === undefined) return failed;
  return {
    status: statusCode === undefined ? answer.status : Number(rawText(statusCode)),
    headers: [...headers, ...added.flat()],
    body: payload,
  };
}

export function apiGatewayAnswer(answer: Answer): Answer {
  const fail = (message: string, more: Headers = []): Answer => ({
    status: 500,
    headers: ["content-type", "text/plain", "x-amzn-errortype", "500", ...more],
    body: Buffer.from(`500: ${message}`),
  });
  if (answer.status >= 300) {
    const reason = answer.status === 429 ? ["x-envoygloo-lambda-statusreason", "Too Many Requests"] : [];
    return fail(`Lambda answered with status ${answer.status}`, ["x-envoygloo-lambda-statuscode", String(answer.status), ...reason]);
  }
  const whole = parsed(answer.body);
  if (whole === undefined) return fail("failed to parse response body as JSON");
  const fields = fieldsOf(answer.body);
  if (fields === undefined) return fail("response body is no JSON object");
  const { statusCode, isBase64Encoded, body } = fields;
  if (statusCode !== undefined && !isStatus(statusCode)) {
    return fail(
      typeof statusCode === "number" || isRaw(statusCode) ? "invalid status code" : "cannot parse non unsigned integer status code",
    );
  }
  if (fields.headers !== undefined && !isObject(fields.headers)) return fail("invalid headers object");
  if (fields.multiValueHeaders !== undefined && !isObject(fields.multiValueHeaders)) return fail("invalid multi headers object");
  const added = headersOf(fields, textOf);
  if (added === undefined) return fail("invalid multi header value object");
  const payload = bodyOf(body === undefined ? "{}" : textOf(body), isBase64Encoded === true);
  if (payload === undefined) return fail("the body is not Base64");
  return { status: statusCode === undefined ? 200 : Number(rawText(statusCode)), headers: joined(added), body: payload };
}

/** Numbers keep their text: `2.50` is not `2.5` to everybody. */
const keepNumbers = (_: string, value: unknown, { source }: { source?: string }) =>
  typeof value === "number" && source !== undefined ? rawJson.rawJSON(source) : value;
const rawJson = JSON as unknown as { rawJSON(text: string): Json; isRawJSON(value: unknown): boolean };
const isRaw = (value: unknown) => rawJson.isRawJSON(value);
const rawText = (value: Json): string => (isRaw(value) ? (value as unknown as { rawJSON: string }).rawJSON : String(value));

function parsed(body: Buffer): Json | undefined {
  try {
    return JSON.parse(body.toString("utf8"), keepNumbers as never) as Json;
  } catch {
    return undefined;
  }
}

function fieldsOf(body: Buffer): Readonly<Record<string, Json>> | undefined {
  const value = parsed(body);
  return isObject(value) ? value : undefined;
}

function isObject(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isRaw(value);
}

function isStatus(value: Json): boolean {
  return isRaw(value) && /^[2-5]\d\d$/.test(rawText(value));
}

function textOf(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(inOrder(value));
}

function inOrder(value: Json): Json {
  if (Array.isArray(value)) return value.map(inOrder);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, inOrder(value[name] as Json)]),
  );
}

/** Names and values that can be sent; undefined where they are none. Text becomes latin1, as everything on the wire here. */
function headersOf(fields: Readonly<Record<string, Json>>, text: (value: Json) => string | undefined): [string, string][] | undefined {
  const pairs: [string, Json][] = [];
  const { headers, multiValueHeaders } = fields;
  if (headers !== undefined) {
    if (!isObject(headers)) return undefined;
    pairs.push(...Object.entries(headers));
  }
  if (multiValueHeaders !== undefined) {
    if (!isObject(multiValueHeaders)) return undefined;
    for (const [name, list] of Object.entries(multiValueHeaders)) {
      if (!Array.isArray(list)) return undefined;
      for (const each of list) pairs.push([name, each as Json]);
    }
  }
  const out: [string, string][] = [];
  for (const [name, value] of pairs) {
    const written = text(value);
    if (written === undefined) return undefined;
    const wire = Buffer.from(written, "utf8").toString("latin1");
    const known = headerName(name.toLowerCase());
    if (known !== undefined && !framing.has(known.name) && !breaksLines(wire)) out.push([known.name, wire]);
  }
  return out;
}

/** One header for each name, but for cookies. */
function joined(pairs: readonly [string, string][]): Headers {
  const out: Headers = [];
  for (const [name, value] of pairs) {
    const before = name === "set-cookie" ? undefined : headerValue(out, name);
    if (before === undefined) out.push(name, value);
    else out[out.indexOf(name) + 1] = `${before},${value}`;
  }
  return out;
}

function bodyOf(text: string, isBase64: boolean): Buffer | undefined {
  if (!isBase64) return Buffer.from(text, "utf8");
  const bare = text.replace(/=+$/, "");
  return /^[A-Za-z0-9+/]*$/.test(bare) ? Buffer.from(bare, "base64") : undefined;
}
