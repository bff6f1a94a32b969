// One issuer of JWTs: where its tokens are in a request, whether one is good, and what of it goes on with the request.

import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { JwtProvider as Message } from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { durationMs } from "../compile/durations.ts";
import type { Findings } from "../compile/findings.ts";
import { compileStringMatcher, type StringTest } from "../compile/strings.ts";
import { bytesOf } from "../compile/tls-sources.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { queryParameter } from "../formatter.ts";
import { headerValues, removeHeader } from "../http1/headers.ts";
import { wireText } from "../text.ts";
import { safeHeader } from "./authorization.ts";
import { type KeySource, localKeys, remoteKeys } from "./jwks.ts";
import { faultCode } from "./jwtFaults.ts";

export interface JwtProvider {
  readonly name: string;
  readonly issuer: string;
  readonly audiences: ReadonlySet<string>;
  readonly subjects: StringTest | undefined;
  readonly requiresExpiration: boolean;
  readonly maxLifetimeMs: number | undefined;
  readonly skewSeconds: number;
  readonly forwards: boolean;
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  readonly payloadHeader: string;
  readonly padsPayload: boolean;
  readonly payloadKey: string;
  readonly headerKey: string;
  readonly faultKey: string;
  readonly claims: readonly { readonly header: string; readonly path: readonly string[] }[];
  readonly keys: KeySource;
}

export interface Token {
  readonly text: string;
  /** Where it was found; sorted as Envoy looks there. */
  readonly place: string;
  /** Takes it out of the request. */
  readonly remove: () => void;
}

/** Undefined: good. Otherwise Envoy's words for what is wrong. */
export type Fault = string | undefined;

export const missing = "Jwt is missing";
export const unknownIssuer = "Jwt issuer is not configured";

export function tokensIn(exchange: Exchange, { fromHeaders, fromParams, fromCookies }: JwtProvider): Token[] {
  const found: Token[] = [];
  for (const { name, prefix } of fromHeaders)
    for (const [index, value] of valuesOf(exchange, name).entries()) {
      const at = value.indexOf(prefix);
      if (at < 0) continue;
      // As Envoy: a prefix may be followed by more than one blank.
      const text = prefix === "" ? value : value.slice(at + prefix.length).replace(/^[^A-Za-z0-9\-_=.]+/, "");
      found.push({
        text,
        place: `0 ${name}${prefix} ${String(index).padStart(4, "0")}`,
        remove: () => removeHeader(exchange.headers, name),
      });
    }
  for (const name of fromParams) {
    const text = queryParameter(exchange.path, name);
    if (text !== undefined) found.push({ text, place: `1 ${name}`, remove: () => removeParameter(exchange, name) });
  }
  for (const name of fromCookies) {
    const lines = headerValues(exchange.headers, "cookie");
    const cookie = lines.flatMap((each) => each.split(/; */)).find((each) => each.startsWith(`${name}=`));
    if (cookie !== undefined)
      found.push({ text: cookie.slice(name.length + 1).replace(/^"(.*)"$/, "$1"), place: `2 ${name}`, remove: () => undefined });
  }
  return found;
}

/** Of several lines each is a token, but for the header that Envoy keeps as one. */
function valuesOf({ headers }: Exchange, name: string): string[] {
  const values = headerValues(headers, name);
  return name === "authorization" && values.length > 1 ? [values.join()] : values;
}

function removeParameter(exchange: Exchange, name: string): void {
  const [path = "", query = ""] = exchange.path.split(/\?(.*)/s);
  const rest = query.split("&").filter((pair) => pair.split("=", 1)[0] !== name);
  exchange.path = rest.length === 0 ? path : `${path}?${rest.join("&")}`;
}

export interface ReadToken {
  readonly header: JsonObject;
  readonly payload: JsonObject;
  readonly payloadText: string;
}

/** In Envoy's order, and in its words. What has another type than it should is no token: a claim that is not understood must not count as none. */
export function readToken(text: string): ReadToken | string {
  const [headerText = "", payloadText = "", signature = "", ...more] = text.split(".");
  if (headerText === "" || payloadText === "" || signature === "" || more.length > 0)
    return "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
  if (!isBase64url(headerText)) return "Jwt header is an invalid Base64url encoded";
  const header = jsonOf(headerText);
  if (header === undefined) return "Jwt header is an invalid JSON";
  if (typeof header.alg !== "string") return "Jwt header [alg] field is required and must be a string";
  if (!algorithms.has(header.alg)) return "Jwt header [alg] is not supported";
  if (header.kid !== undefined && typeof header.kid !== "string") return "Jwt header [kid] field is not a string";
  if (!isBase64url(payloadText)) return "Jwt payload is an invalid Base64url encoded";
  const payload = jsonOf(payloadText);
  if (payload === undefined) return "Jwt payload is an invalid JSON";
  const wrong = wrongClaim(payload);
  if (wrong !== undefined) return `Jwt payload [${wrong}`;
  if (!isBase64url(signature)) return "Jwt signature is an invalid Base64url encoded";
  return { header, payload, payloadText };
}

const algorithms = new Set([
  "ES256",
  "ES384",
  "ES512",
  "HS256",
  "HS384",
  "HS512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "EdDSA",
]);

function wrongClaim(payload: JsonObject): string | undefined {
  const isText = (name: string) => payload[name] === undefined || typeof payload[name] === "string";
  for (const name of ["iss", "sub"]) if (!isText(name)) return `${name}] field is not a string`;
  for (const name of ["iat", "nbf", "exp"]) {
    const value = payload[name];
    if (value === undefined) continue;
    if (typeof value !== "number") return `${name}] field is not an integer`;
    if (value < 0 || value >= 2 ** 64) return `${name}] field is not a positive 64 bit integer`;
  }
  if (!isText("jti")) return "jti] field is not a string";
  const { aud } = payload;
  const isAudience = aud === undefined || typeof aud === "string" || (Array.isArray(aud) && aud.every((each) => typeof each === "string"));
  return isAudience ? undefined : "aud] field is not a string or string list";
}

function isBase64url(text: string): boolean {
  return text !== "" && text.length % 4 !== 1 && /^[A-Za-z0-9_-]+$/.test(text);
}

function jsonOf(part: string): JsonObject | undefined {
  try {
    const value = JSON.parse(Buffer.from(part, "base64url").toString("utf8")) as JsonValue;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** In Envoy's order: issuer, subject, time, audience; the signature last. */
export async function verify(
  exchange: Exchange,
  provider: JwtProvider,
  audiences: ReadonlySet<string>,
  token: Token,
  { payload }: ReadToken,
): Promise<Fault> {
  if (provider.issuer !== "" && payload.iss !== provider.issuer) return unknownIssuer;
  if (provider.subjects !== undefined && !provider.subjects.test(String(payload.sub ?? ""))) return "Jwt subject is not allowed";
  const now = Date.now() / 1_000;
  const [from, until] = [payload.nbf, payload.exp];
  if (provider.requiresExpiration && until === undefined) return "Jwt must have an exp claim";
  if (typeof from === "number" && now + provider.skewSeconds < from) return "Jwt not yet valid";
  if (typeof until === "number" && now > until + provider.skewSeconds) return "Jwt is expired";
  const lifetime = (typeof until === "number" ? until : Number.POSITIVE_INFINITY) - (typeof payload.iat === "number" ? payload.iat : now);
  if (provider.maxLifetimeMs !== undefined && lifetime * 1_000 > provider.maxLifetimeMs) return "Jwt lifetime exceeds the maximum";
  const own = Array.isArray(payload.aud) ? payload.aud : [payload.aud];
  if (audiences.size > 0 && !own.some((each) => typeof each === "string" && audiences.has(audienceOf(each)))) return notForUs;
  const check = await provider.keys(exchange.tables);
  return check === undefined ? "Jwks remote fetch is failed" : check(token.text);
}

export const notForUs = "Audiences in Jwt are not allowed";

/** As Envoy: neither the scheme nor a slash at the end counts. */
export function audienceOf(text: string): string {
  return text.replace(/^https?:\/\//, "").replace(/\/$/, "");
}

const namespace = "envoy.filters.http.jwt_authn";

/** What of a good token goes on with the request. */
export function applyToken(exchange: Exchange, provider: JwtProvider, token: Token, { header, payload, payloadText }: ReadToken): void {
  if (!provider.forwards) token.remove();
  if (provider.payloadHeader !== "") {
    const padding = provider.padsPayload ? "=".repeat((4 - (payloadText.length % 4)) % 4) : "";
    exchange.headers.push(provider.payloadHeader, `${payloadText}${padding}`);
  }
  for (const { header: name, path } of provider.claims) {
    const safe = safeHeader(name, claimText(payload, path) ?? "\n");
    if (safe !== undefined) exchange.headers.push(safe[0], safe[1]);
  }
  if (provider.payloadKey !== "") tell(exchange, provider.payloadKey, payload);
  if (provider.headerKey !== "") tell(exchange, provider.headerKey, header);
}

/** What is wrong with a token, where the provider wants that told. */
export function tellFault(exchange: Exchange, { faultKey }: JwtProvider, message: string): void {
  if (faultKey !== "") tell(exchange, faultKey, { code: faultCode(message), message });
}

function tell(exchange: Exchange, key: string, value: JsonObject): void {
  const known = exchange.dynamicMetadata;
  exchange.dynamicMetadata = { ...known, [namespace]: { ...known?.[namespace], [key]: value } };
}

/** Texts, numbers and truth as they are; lists and objects as base64url of their JSON. */
function claimText(payload: JsonObject, path: readonly string[]): string | undefined {
  let value: JsonValue | undefined = payload;
  for (const step of path) value = typeof value === "object" && value !== null && !Array.isArray(value) ? value[step] : undefined;
  if (value === undefined || value === null) return undefined;
  return typeof value === "object" ? Buffer.from(JSON.stringify(value)).toString("base64url") : String(value);
}

const defaultSkewSeconds = 60;

/** One whose keys cannot be had is a provider all the same: its tokens are found, and are bad; its headers are ours. */
export function compileProvider(name: string, message: Message, findings: Findings): JwtProvider {
  const isAnywhere = message.fromHeaders.length + message.fromParams.length + message.fromCookies.length > 0;
  const headers = message.fromHeaders.map((each) => ({ name: each.name.toLowerCase(), prefix: wireText(each.valuePrefix) }));
  return {
    name,
    issuer: message.issuer,
    audiences: new Set(message.audiences.map(audienceOf)),
    subjects: message.subjects && compileStringMatcher(message.subjects),
    requiresExpiration: message.requireExpiration,
    maxLifetimeMs: durationMs(message.maxLifetime),
    skewSeconds: message.clockSkewSeconds || defaultSkewSeconds,
    forwards: message.forward,
    fromHeaders: isAnywhere ? headers : [{ name: "authorization", prefix: "Bearer " }],
    fromParams: isAnywhere ? message.fromParams.map(wireText) : ["access_token"],
    fromCookies: message.fromCookies.map(wireText),
    payloadHeader: message.forwardPayloadHeader.toLowerCase(),
    padsPayload: message.padForwardPayloadHeader,
    payloadKey: message.payloadInMetadata,
    headerKey: message.headerInMetadata,
    faultKey: message.failedStatusInMetadata,
    claims: message.claimToHeaders.map(({ headerName, claimName, claimPath }) => ({
      header: headerName.toLowerCase(),
      path: claimPath.length > 0 ? claimPath.map(({ key }) => key) : claimName.split("."),
    })),
    keys: compileKeys(message, findings),
  };
}

/** No signature is right, in Envoy's words. */
const noKeys: KeySource = () => () => Promise.resolve("Jwks doesn't have any valid public key");

function compileKeys({ jwksSourceSpecifier: source }: Message, findings: Findings): KeySource {
  if (source.case === "remoteJwks") {
    const remote = remoteKeys(source.value);
    if (remote === undefined) findings.notExecuted("remote_jwks.http_uri", noTokenIsGood);
    return remote ?? noKeys;
  }
  try {
    const text = source.case === "localJwks" ? bytesOf(source.value) : undefined;
    if (text === undefined) {
      findings.notExecuted("local_jwks", noTokenIsGood);
      return noKeys;
    }
    const check = localKeys(text.toString("utf8"));
    return () => check;
  } catch (error) {
    findings.refused("local_jwks", `${(error as Error).message}${noTokenIsGood}`);
    return noKeys;
  }
}

const noTokenIsGood = "; no token of the provider is good";
