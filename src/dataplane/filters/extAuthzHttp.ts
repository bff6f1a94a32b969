// An authorization server that speaks HTTP: it gets the head of the request, and its status decides.

import { create } from "@bufbuild/protobuf";
import { HeaderValueOption_HeaderAppendAction, HeaderValueOptionSchema } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { HttpService } from "../../gen/envoy/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import type { ListStringMatcher } from "../../gen/envoy/envoy/type/matcher/v3/string_pb.js";
import { timeoutMs } from "../compile/durations.ts";
import type { Findings } from "../compile/findings.ts";
import { compileHeaderMutations, type HeaderMutations, mutateHeaders } from "../compile/header-mutations.ts";
import { compileStringMatcher } from "../compile/strings.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { type Headers, headerValue, setHeader } from "../http1/headers.ts";
import { wireText } from "../text.ts";
import { ask, type Question, type WholeAnswer } from "../upstream/ask.ts";
import { type Authorization, type Authorizer, type HeaderChange, isStructural, sanitized } from "./authorization.ts";

export type NameTest = (name: string) => boolean;

/** Undefined without a list. */
export function compileNames(list: ListStringMatcher | undefined): NameTest | undefined {
  if (list === undefined || list.patterns.length === 0) return undefined;
  const tests = list.patterns.map(compileStringMatcher).filter((each) => each !== undefined);
  return (name) => tests.some((each) => each.test(name));
}

/** @param allowed what the filter says, for all kinds of servers */
export function compileHttpAuthorizer(
  service: HttpService,
  allowed: NameTest | undefined,
  disallowed: NameTest | undefined,
  findings: Findings,
): Authorizer | undefined {
  const { serverUri, pathPrefix, authorizationRequest, authorizationResponse } = service;
  if (serverUri?.httpUpstreamType.case !== "cluster") {
    findings.notExecuted("server_uri", "; nobody is asked");
    return undefined;
  }
  if (service.retryPolicy !== undefined) findings.notExecuted("retry_policy");
  const added = (authorizationRequest?.headersToAdd ?? []).map((header) =>
    create(HeaderValueOptionSchema, { header, appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD }),
  );
  const sent = allowed ?? compileNames(authorizationRequest?.allowedHeaders) ?? (() => false);
  const settings: Settings = {
    cluster: serverUri.httpUpstreamType.value,
    timeoutMs: timeoutMs(serverUri.timeout, Number.POSITIVE_INFINITY),
    pathPrefix: wireText(pathPrefix),
    pathOverride: wireText(service.pathOverride),
    isSent: (name) => (name === "authorization" || name === "x-envoy-auth-partial-body" || sent(name)) && disallowed?.(name) !== true,
    added: compileHeaderMutations(added, [], findings, "authorization_request.headers_to_add"),
    toUpstream: compileNames(authorizationResponse?.allowedUpstreamHeaders) ?? never,
    appendedUpstream: compileNames(authorizationResponse?.allowedUpstreamHeadersToAppend) ?? never,
    toClient: compileNames(authorizationResponse?.allowedClientHeaders),
    toClientOnSuccess: compileNames(authorizationResponse?.allowedClientHeadersOnSuccess) ?? never,
    toMetadata: compileNames(authorizationResponse?.dynamicMetadataFromHeaders) ?? never,
  };
  return {
    cluster: settings.cluster,
    check: (exchange, _, body, onAnswer) =>
      ask(exchange.tables.cluster(settings.cluster), question(settings, exchange, body), (answer) => onAnswer(judge(settings, answer))),
  };
}

const never: NameTest = () => false;

interface Settings {
  readonly cluster: string;
  readonly timeoutMs: number;
  readonly pathPrefix: string;
  /** In the place of the request's own. */
  readonly pathOverride: string;
  readonly isSent: NameTest;
  readonly added: HeaderMutations | undefined;
  readonly toUpstream: NameTest;
  readonly appendedUpstream: NameTest;
  /** Undefined: all of them. */
  readonly toClient: NameTest | undefined;
  readonly toClientOnSuccess: NameTest;
  readonly toMetadata: NameTest;
}

function question(
  { pathPrefix, pathOverride, isSent, added, timeoutMs }: Settings,
  exchange: Exchange,
  body: Buffer | undefined,
): Question {
  const headers: Headers = [];
  for (let i = 0; i < exchange.headers.length; i += 2) {
    const name = exchange.headers[i] as string;
    if (!isSent(name) || name === "content-length") continue;
    const before = headerValue(headers, name);
    const value = wireText(sanitized(exchange.headers[i + 1] as string));
    if (before === undefined) headers.push(name, value);
    else setHeader(headers, name, `${before},${value}`);
  }
  if (added !== undefined) mutateHeaders(headers, added, exchange);
  headers.push("x-envoy-internal", "true");
  if (timeoutMs !== Number.POSITIVE_INFINITY) headers.push("x-envoy-expected-rq-timeout-ms", String(timeoutMs));
  const { method, authority } = exchange;
  return {
    method,
    path: pathOverride || `${pathPrefix}${exchange.path}`,
    authority,
    headers,
    body: body ?? noBody,
    timeoutMs,
    tellsLength: "always",
  };
}

const noBody = Buffer.alloc(0);

/** What a client gets to see of a refusal, besides what is allowed by name. */
const always = new Set(["www-authenticate", "location"]);

function judge(settings: Settings, answer: WholeAnswer | undefined): Authorization {
  if (answer === undefined || answer.head.status >= 500) return { kind: "error" };
  const { status, headers } = answer.head;
  const metadata: Record<string, string> = Object.create(null);
  for (let i = 0; i < headers.length; i += 2)
    if (settings.toMetadata(headers[i] as string)) metadata[headers[i] as string] = headers[i + 1] as string;
  const found = Object.keys(metadata).length > 0 ? metadata : undefined;
  if (status !== 200) {
    const shown: Headers = [];
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string;
      if (isStructural(name)) continue;
      if (settings.toClient === undefined || always.has(name) || settings.toClient(name)) shown.push(name, headers[i + 1] as string);
    }
    // As the router of Envoy adds it to what it sends back.
    if (settings.toClient === undefined) shown.push("x-envoy-upstream-service-time", String(Math.floor(answer.tookMs)));
    return { kind: "denied", status, headers: shown, body: answer.body.toString("latin1"), metadata: found };
  }
  const remove = (headerValue(headers, "x-envoy-auth-headers-to-remove") ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const request: HeaderChange[] = [];
  const response: HeaderChange[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const [name, value] = [headers[i] as string, headers[i + 1] as string];
    if (name === "x-envoy-auth-headers-to-remove" || (isStructural(name) && name !== "host")) continue;
    if (settings.toUpstream(name)) request.push({ name, value, how: "set" });
    if (settings.appendedUpstream(name)) request.push({ name, value, how: "add" });
    if (settings.toClientOnSuccess(name) && name !== "host") response.push({ name, value, how: "add" });
  }
  return { kind: "allowed", request, remove, response, setQuery: [], removeQuery: [], metadata: found };
}
