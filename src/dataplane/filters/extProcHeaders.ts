// The headers of a message as an external processor sees them, and what it may change of them: Envoy's `mutation_rules`.

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HeaderMutationRules } from "../../gen/envoy/envoy/config/common/mutation_rules/v3/mutation_rules_pb.js";
import type { HeaderMapSchema } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { HeaderMutation } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import type { Exchange } from "../exchange/exchange.ts";
import { type Headers, hasHeader, removeHeader, setHeader } from "../http1/headers.ts";
import { headerName } from "../http1/names.ts";
import { regex } from "../regex.ts";
import { breaksLines } from "../text.ts";
import { isStructural } from "./authorization.ts";
import type { MutationManner } from "./extProcContract.ts";
import type { FilteredResponse } from "./http-filter.ts";

/** The headers of one message. Pseudo headers and content-length are among them, wherever they are kept. */
export interface HeaderView {
  /** Of the body, as the head tells it; -1: it does not. */
  length: number;
  /** How much of them there may be; undefined: nobody says. */
  readonly most: HeaderLimits | undefined;
  list(): Iterable<readonly [name: string, value: string]>;
  has(name: string): boolean;
  set(name: string, value: string): void;
  add(name: string, value: string): void;
  remove(name: string): void;
}

export interface HeaderLimits {
  readonly count: number;
  readonly bytes: number;
}

abstract class View implements HeaderView {
  readonly headers: Headers;

  constructor(headers: Headers, most: HeaderLimits | undefined) {
    this.headers = headers;
    this.most = most;
  }

  abstract list(): Iterable<readonly [name: string, value: string]>;
  /** Of what is kept elsewhere. */
  protected abstract own(name: string): boolean;
  protected abstract setOwn(name: string, value: string): void;
  abstract length: number;
  readonly most: HeaderLimits | undefined;

  protected *rest(): Iterable<readonly [string, string]> {
    if (this.length >= 0) yield ["content-length", String(this.length)];
    for (let i = 0; i < this.headers.length; i += 2) yield [this.headers[i] as string, this.headers[i + 1] as string];
  }

  has(name: string): boolean {
    return this.own(name) || (name === "content-length" ? this.length >= 0 : hasHeader(this.headers, name));
  }

  set(name: string, value: string): void {
    if (name === "content-length") this.#setLength(value);
    else if (this.own(name)) this.setOwn(name, value);
    else if (!isStructural(name) && !name.startsWith(":")) setHeader(this.headers, name, value);
  }

  add(name: string, value: string): void {
    if (this.own(name) || isStructural(name)) this.set(name, value);
    else if (!name.startsWith(":")) this.headers.push(name, value);
  }

  remove(name: string): void {
    if (name === "content-length") this.length = -1;
    else if (!this.own(name) && !isStructural(name)) removeHeader(this.headers, name);
  }

  #setLength(value: string): void {
    if (/^\d{1,15}$/.test(value)) this.length = Number(value);
  }
}

const ofRequests = new Set([":authority", "host", ":path", ":method", ":scheme"]);

export class RequestHeaders extends View {
  readonly #exchange: Exchange;
  readonly #hasBody: boolean;

  constructor(exchange: Exchange) {
    super(exchange.headers, { count: exchange.hcm.limits.maxHeaders, bytes: exchange.hcm.maxHeadBytes });
    this.#exchange = exchange;
    this.#hasBody = exchange.isChunked || exchange.contentLength > 0;
  }

  *list(): Iterable<readonly [string, string]> {
    const { authority, path, method, scheme, upgrade } = this.#exchange;
    yield [":authority", authority];
    yield [":path", path];
    yield [":method", method];
    yield [":scheme", scheme];
    if (upgrade !== undefined) yield* [["connection", "Upgrade"] as const, ["upgrade", upgrade] as const];
    yield* this.rest();
  }

  protected own(name: string): boolean {
    return ofRequests.has(name);
  }

  protected setOwn(name: string, value: string): void {
    if (name === ":method") this.#exchange.method = value;
    else this.#exchange.setPseudo(name, value);
  }

  get length(): number {
    return this.#exchange.contentLength;
  }
  /** Whoever takes the length away says that one cannot tell it. */
  set length(value: number) {
    this.#exchange.contentLength = value;
    this.#exchange.isChunked = value < 0 && this.#hasBody;
  }
}

export class ResponseHeaders extends View {
  readonly #response: FilteredResponse;

  constructor(response: FilteredResponse, most: HeaderLimits | undefined) {
    super(response.headers, most);
    this.#response = response;
  }

  *list(): Iterable<readonly [string, string]> {
    yield [":status", String(this.#response.status)];
    if (this.#response.isChunked && this.#response.contentLength < 0) yield ["transfer-encoding", "chunked"];
    yield* this.rest();
  }

  protected own(name: string): boolean {
    return name === ":status";
  }

  protected setOwn(_: string, value: string): void {
    this.#response.status = Number(value);
  }

  get length(): number {
    return this.#response.contentLength;
  }
  set length(value: number) {
    this.#response.contentLength = value;
  }
}

/** Trailers, and the headers of an answer that is being made. */
export class PlainHeaders extends View {
  length = -1;

  constructor(headers: Headers) {
    super(headers, undefined);
  }

  *list(): Iterable<readonly [string, string]> {
    yield* this.rest();
  }

  protected own(): boolean {
    return false;
  }

  protected setOwn(): void {}
}

/** As they are told to a processor, which sees the bytes. */
export function toldHeaders(view: HeaderView, isForwarded: (name: string) => boolean): MessageInitShape<typeof HeaderMapSchema> {
  const told = [...view.list()].filter(([name]) => isForwarded(name));
  return { headers: told.map(([key, value]) => ({ key, rawValue: Buffer.from(value, "latin1") })) };
}

type Operation = "set" | "append" | "remove";

export interface MutationRules {
  allows(operation: Operation, name: string, value: string): boolean;
  /** What is not allowed is an error, and not just left out. */
  readonly isStrict: boolean;
}

const routing = new Set([":authority", "host", ":scheme", ":method"]);

/** Throws for a regular expression that RE2 refuses. */
export function compileMutationRules(rules: HeaderMutationRules | undefined): MutationRules {
  const [allowed, disallowed] = [rules?.allowExpression, rules?.disallowExpression].map((each) => each && regex(each.regex));
  const isAllowed = (name: string): boolean => {
    if (disallowed?.matches(name)) return false;
    if (allowed?.matches(name)) return true;
    if (rules?.disallowAll) return false;
    if (!rules?.allowAllRouting && routing.has(name)) return false;
    if (rules?.disallowSystem && name.startsWith(":")) return false;
    return rules?.allowEnvoy === true || !name.startsWith("x-envoy");
  };
  return {
    allows(operation, name, value) {
      const isSystem = name.startsWith(":") || name === "host";
      if (isSystem && operation !== "set") return false;
      return isAllowed(name) && (!isSystem || isPossible(name, value));
    },
    isStrict: rules?.disallowIsError ?? false,
  };
}

/** What there is no such message without. Envoy takes any path, and sends a request line that is none. */
function isPossible(name: string, value: string): boolean {
  switch (name) {
    case ":status":
      return /^[2-5]\d\d$/.test(value);
    case ":scheme":
      return value === "http" || value === "https";
    case ":method":
      // What comes back on CONNECT would be a tunnel to the upstream, and is none for the client.
      return headerName(value) !== undefined && value !== "CONNECT";
    case ":path":
      return /^\/[\x21-\x7e\x80-\xff]*$/.test(value);
    default:
      return /^[\x21-\x7e]+$/.test(value);
  }
}

export interface MutationCount {
  rejected(): void;
}

/** Returns what is wrong with it, in Envoy's words, and undefined when nothing is. */
export function mutateView(
  view: HeaderView,
  mutation: HeaderMutation,
  rules: MutationRules,
  { isReplacing = false, keepsNoLength = false }: MutationManner,
  count: MutationCount,
): string | undefined {
  const most = view.most?.count ?? Number.POSITIVE_INFINITY;
  if (mutation.removeHeaders.length > most || mutation.setHeaders.length > most) {
    count.rejected();
    return "header_mutation_operation_count_exceeds_limit";
  }
  for (const given of mutation.removeHeaders) {
    const name = nameOf(given);
    if (name === undefined) {
      count.rejected();
      return "header_mutation_remove_contains_invalid_character";
    }
    if (rules.allows("remove", name, "")) view.remove(name);
    else {
      count.rejected();
      if (rules.isStrict) return "header_mutation_remove_headers_failed";
    }
  }
  for (const { header, append = false } of mutation.setHeaders) {
    if (header === undefined) continue;
    const name = nameOf(header.key);
    if (keepsNoLength && name === "content-length") continue;
    // As in Envoy, `value` says nothing here.
    const value = Buffer.from(header.rawValue).toString("latin1");
    if (name === undefined || breaksLines(value)) {
      count.rejected();
      return "header_mutation_set_contains_invalid_character";
    }
    const operation = append && view.has(name) ? "append" : "set";
    if (rules.allows(operation, name, value) || (isReplacing && name === ":method" && isPossible(name, value))) {
      if (append) view.add(name, value);
      else view.set(name, value);
      continue;
    }
    count.rejected();
    if (rules.isStrict) return "header_mutation_set_headers_failed";
  }
  if (!isTooMuch(view)) return undefined;
  count.rejected();
  return "header_mutation_result_exceeds_limit";
}

function isTooMuch(view: HeaderView): boolean {
  if (view.most === undefined) return false;
  let [count, bytes] = [0, 0];
  for (const [name, value] of view.list()) {
    count++;
    bytes += name.length + value.length;
  }
  return count > view.most.count || bytes > view.most.bytes;
}

/** In lower case; undefined for what is no name of a header. */
function nameOf(given: string): string | undefined {
  const lower = given.toLowerCase();
  const plain = lower.startsWith(":") ? lower.slice(1) : lower;
  return headerName(plain) === undefined ? undefined : lower;
}
