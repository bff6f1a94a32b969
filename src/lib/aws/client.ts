// Calls of AWS: signed, bounded in time and size, errors as AWS names them. Edge.
import { type AwsEndpoints, type AwsService, awsHost } from "./endpoints.ts";
import { type AwsCredentials, sign } from "./sigv4.ts";
import { parseXml, type XmlElement } from "./xml.ts";

export interface AwsCall {
  readonly service: AwsService;
  readonly region: string;
  readonly endpoints: AwsEndpoints;
  /** Absent for calls that prove who calls by other means. */
  readonly credentials?: AwsCredentials;
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** AWS refused, or could not be asked. The message holds no secret. */
export class AwsError extends Error {
  override readonly name = "AwsError";
  /** AWS's own word, `UnauthorizedOperation`, or `Unreachable`. */
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.status = status;
  }
}

export const timeoutMs = 10_000;
export const maxBytes = 32 * 1024 * 1024;

/** The body of the answer. */
export async function callAws(call: AwsCall): Promise<string> {
  const { service, region, endpoints, credentials, method, path, headers = {}, body = "" } = call;
  const base = new URL(endpoints[service] ?? `https://${awsHost(service, region)}`);
  const whole = `${base.pathname.replace(/\/$/, "")}${path}`;
  const signed =
    credentials &&
    sign({ method, path: whole, headers: { ...headers, host: base.host }, body }, { service, region, credentials, now: new Date() });
  let answer: Response;
  let content: string;
  try {
    answer = await fetch(new URL(whole, base), {
      method,
      headers: { ...headers, ...signed },
      redirect: "error",
      signal: AbortSignal.any([call.signal, AbortSignal.timeout(timeoutMs)]),
      ...(body !== "" && { body }),
    });
    content = await readAtMost(answer, maxBytes);
  } catch (cause) {
    throw new AwsError("Unreachable", 0, `${base.host} did not answer: ${reasonOf(cause)}`, { cause });
  }
  if (!answer.ok) throw refusal(base.host, answer.status, content);
  return content;
}

/** A call of the Query API (EC2, STS): parameters in a form, XML back. */
export async function queryAws(
  call: Omit<AwsCall, "method" | "path" | "body" | "headers">,
  parameters: Readonly<Record<string, string>>,
): Promise<XmlElement> {
  const body = new URLSearchParams(parameters).toString();
  const content = await callAws({
    ...call,
    method: "POST",
    path: "/",
    body,
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  try {
    return parseXml(content);
  } catch (cause) {
    throw new AwsError("Unreadable", 200, `what ${call.service} answered is no XML`, { cause });
  }
}

export async function readAtMost(answer: Response, bytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    size += chunk.length;
    if (size > bytes) throw new RangeError(`the answer is longer than ${bytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** AWS's own code and words; what a page of HTML says is left out. */
function refusal(host: string, status: number, content: string): AwsError {
  const found = fromXml(content) ?? fromJson(content) ?? { code: `Status${status}`, message: "" };
  const said = found.message === "" ? "" : `: ${found.message.slice(0, 300)}`;
  return new AwsError(found.code, status, `${host} answered ${status} ${found.code}${said}`);
}

function fromXml(content: string): { readonly code: string; readonly message: string } | undefined {
  const code = /<Code>([\w.:-]{1,100})<\/Code>/.exec(content)?.[1];
  return code === undefined ? undefined : { code, message: /<Message>([^<]*)<\/Message>/.exec(content)?.[1] ?? "" };
}

function fromJson(content: string): { readonly code: string; readonly message: string } | undefined {
  try {
    const { Message, message, __type: type, Type } = JSON.parse(content) as Record<string, unknown>;
    const code =
      String(type ?? Type ?? "Refused")
        .split("#")
        .at(-1) ?? "Refused";
    return { code, message: String(Message ?? message ?? "") };
  } catch {
    return undefined;
  }
}

function reasonOf(cause: unknown): string {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  return inner instanceof Error ? inner.message : String(inner);
}
