// Who may do what: the policies of RBAC as functions of a request.

import type { JsonValue } from "@bufbuild/protobuf";
import {
  MetadataSource,
  type Permission,
  type Policy,
  type Principal,
  RBAC_Action,
  type RBAC as Rules,
  type SourcedMetadata,
} from "../../gen/envoy/envoy/config/rbac/v3/rbac_pb.js";
import type { HeaderMatcher } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { PathMatcher } from "../../gen/envoy/envoy/type/matcher/v3/path_pb.js";
import type { StringMatcher } from "../../gen/envoy/envoy/type/matcher/v3/string_pb.js";
import type { Int32Range } from "../../gen/envoy/envoy/type/v3/range_pb.js";
import { compileAddressRange } from "../compile/address-range.ts";
import type { Findings } from "../compile/findings.ts";
import { compileMetadataMatcher } from "../compile/metadata-matcher.ts";
import { compileHeaderMatcher } from "../compile/route-match.ts";
import { compileStringMatcher, type StringTest } from "../compile/strings.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { pathOnly } from "../match.ts";

export type RequestTest = (exchange: Exchange) => boolean;

export interface Engine {
  readonly action: "allow" | "deny" | "log";
  /** In the order in which they are asked. */
  readonly policies: readonly { readonly name: string; readonly matches: RequestTest }[];
}

export interface Decision {
  readonly isAllowed: boolean;
  /** The policy that matched; empty: none. */
  readonly policy: string;
}

export function decide({ action, policies }: Engine, exchange: Exchange): Decision {
  const policy = policies.find(({ matches }) => matches(exchange))?.name;
  const isAllowed = action === "log" || (policy !== undefined) === (action === "allow");
  return { isAllowed, policy: policy ?? "" };
}

/** A policy that cannot be executed never lets anybody in, and lets nobody pass where it would keep requests out. */
export function compileRules({ action, policies }: Rules, findings: Findings): Engine {
  const kind = ({ [RBAC_Action.DENY]: "deny", [RBAC_Action.LOG]: "log" } as const)[action as 1 | 2] ?? "allow";
  const consequence = { allow: "it allows nothing", deny: "it denies everything", log: "it is about nothing" }[kind];
  const compiled = Object.entries(policies).map(([name, policy]) => {
    try {
      return { name, matches: compilePolicy(policy) };
    } catch (error) {
      const path = `policies[${JSON.stringify(name)}]`;
      if (error instanceof UnknownKind) findings.notExecuted(`${path}.${error.kind}`, `; ${consequence}`);
      else findings.refused(path, `${(error as Error).message}; ${consequence}`);
      return { name, matches: () => kind === "deny" };
    }
  });
  // Envoy keeps them by name, as bytes.
  return { action: kind, policies: compiled.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name))) };
}

class UnknownKind extends Error {
  readonly kind: string;

  constructor(kind: string) {
    super(kind);
    this.kind = kind;
  }
}

function compilePolicy({ permissions, principals, condition, checkedCondition }: Policy): RequestTest {
  if (condition !== undefined) throw new UnknownKind("condition");
  if (checkedCondition !== undefined) throw new UnknownKind("checked_condition");
  const may = anyOf(permissions.map(compilePermission));
  const is = anyOf(principals.map(compilePrincipal));
  return (exchange) => may(exchange) && is(exchange);
}

function compilePermission({ rule }: Permission): RequestTest {
  switch (rule.case) {
    case "andRules":
      return allOf(rule.value.rules.map(compilePermission));
    case "orRules":
      return anyOf(rule.value.rules.map(compilePermission));
    case "notRule":
      return not(compilePermission(rule.value));
    case "any":
      return () => true;
    case "header":
      return header(rule.value);
    case "urlPath":
      return urlPath(rule.value);
    case "destinationIp": {
      const isIn = compileAddressRange(rule.value);
      return ({ localAddress }) => isIn(localAddress);
    }
    case "destinationPort":
      return portIn(rule.value, rule.value + 1);
    case "destinationPortRange":
      return portRange(rule.value);
    case "metadata":
      return dynamicMetadata(rule.value);
    case "sourcedMetadata":
      return sourcedMetadata(rule.value);
    case "requestedServerName": {
      const name = text(rule.value);
      return ({ serverName }) => name.test(serverName);
    }
    default:
      throw new UnknownKind(`permissions.${rule.case === undefined ? "rule" : snake(rule.case)}`);
  }
}

function compilePrincipal({ identifier }: Principal): RequestTest {
  switch (identifier.case) {
    case "andIds":
      return allOf(identifier.value.ids.map(compilePrincipal));
    case "orIds":
      return anyOf(identifier.value.ids.map(compilePrincipal));
    case "notId":
      return not(compilePrincipal(identifier.value));
    case "any":
      return () => true;
    case "authenticated":
      return authenticated(identifier.value.principalName);
    case "sourceIp": {
      // The other end of the connection, whatever headers say.
      const isIn = compileAddressRange(identifier.value);
      return ({ client }) => isIn(client.remoteAddress);
    }
    case "directRemoteIp": {
      const isIn = compileAddressRange(identifier.value);
      return ({ directRemoteAddress }) => isIn(directRemoteAddress);
    }
    case "remoteIp": {
      const isIn = compileAddressRange(identifier.value);
      return ({ remoteAddress }) => isIn(remoteAddress);
    }
    case "header":
      return header(identifier.value);
    case "urlPath":
      return urlPath(identifier.value);
    case "metadata":
      return dynamicMetadata(identifier.value);
    case "sourcedMetadata":
      return sourcedMetadata(identifier.value);
    default:
      throw new UnknownKind(`principals.${identifier.case === undefined ? "identifier" : snake(identifier.case)}`);
  }
}

const allOf =
  (tests: readonly RequestTest[]): RequestTest =>
  (exchange) =>
    tests.every((test) => test(exchange));
const anyOf =
  (tests: readonly RequestTest[]): RequestTest =>
  (exchange) =>
    tests.some((test) => test(exchange));
const not =
  (test: RequestTest): RequestTest =>
  (exchange) =>
    !test(exchange);

function header(matcher: HeaderMatcher): RequestTest {
  const condition = compileHeaderMatcher(matcher);
  if (condition === undefined) throw new UnknownKind("header");
  return (exchange) => condition.test(exchange);
}

function text(matcher: StringMatcher): StringTest {
  const compiled = compileStringMatcher(matcher);
  if (compiled === undefined) throw new UnknownKind("string_match");
  return compiled;
}

function urlPath({ rule }: PathMatcher): RequestTest {
  if (rule.case !== "path") throw new UnknownKind("url_path");
  const path = text(rule.value);
  return (exchange) => path.test(pathOnly(exchange.path));
}

function portRange({ start, end }: Int32Range): RequestTest {
  if (start < 0 || end > 65_536 || start >= end) throw new Error(`${start} to ${end} is no range of ports`);
  return portIn(start, end);
}

/** Without its end. On a Unix socket there is no port. */
function portIn(start: number, end: number): RequestTest {
  return ({ localAddress, localPort }) => localAddress !== "" && localPort >= start && localPort < end;
}

/** Without a name, any connection with TLS. */
function authenticated(name: StringMatcher | undefined): RequestTest {
  const wanted = name && text(name);
  return ({ tls }) => {
    if (tls === undefined) return false;
    if (wanted === undefined) return true;
    const { uris, dnsNames } = tls.peerNames;
    return [...uris, ...dnsNames, tls.peerSubject].some((each) => wanted.test(each));
  };
}

function dynamicMetadata(matcher: Parameters<typeof compileMetadataMatcher>[0]): RequestTest {
  const test = compileMetadataMatcher(matcher);
  return ({ dynamicMetadata: known }) => test(known as Readonly<Record<string, Record<string, JsonValue>>> | undefined);
}

function sourcedMetadata({ metadataMatcher, metadataSource }: SourcedMetadata): RequestTest {
  if (metadataMatcher === undefined) throw new UnknownKind("sourced_metadata");
  if (metadataSource === MetadataSource.DYNAMIC) return dynamicMetadata(metadataMatcher);
  const test = compileMetadataMatcher(metadataMatcher);
  // Without a route there is nothing to match, inverted or not.
  return ({ route }) => route !== undefined && test(route.metadata);
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
