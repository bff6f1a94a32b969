// API keys: who sends a key that is on the list passes, and its upstream can be told whose key it was.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  ApiKeyAuthPerRouteSchema,
  ApiKeyAuthSchema,
  type ApiKeyAuth as Message,
} from "../../gen/envoy/envoy/extensions/filters/http/api_key_auth/v3/api_key_auth_pb.js";
import { reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { setHeader } from "../http1/headers.ts";
import { wireText } from "../text.ts";
import { type KeySource, keySource } from "./apiKeySources.ts";
import { safeHeader } from "./authorization.ts";
import { NotExecutable } from "./guard.ts";
import type { FilterRun, HttpFilter, Verdict } from "./http-filter.ts";

interface ApiKeys {
  /** Clients by their keys. */
  readonly clients: ReadonlyMap<string, string> | undefined;
  readonly sources: readonly KeySource[] | undefined;
  readonly forwarding: Forwarding | undefined;
}

interface RouteApiKeys extends ApiKeys {
  /** Undefined: all of them. */
  readonly allowed: ReadonlySet<string> | undefined;
}

interface Forwarding {
  /** Tells whose key it was; undefined: nothing does. */
  readonly header: string | undefined;
  readonly hidesKeys: boolean;
}

export const apiKeyAuth: HttpFilter<ApiKeys, RouteApiKeys> = {
  configType: "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
  routeType: "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuthPerRoute",
  compile: (any) => compileKeys(unpacked(anyUnpack(any, ApiKeyAuthSchema))),
  compileRoute,
  begin: (config, [route]) => new ApiKeyRun(merged(config ?? nothing, route), route?.allowed),
};

/** Whether a route leaves nothing to the connection manager that could let somebody in. */
export function replacesKeys({ clients, sources }: RouteApiKeys): boolean {
  return clients !== undefined && sources !== undefined;
}

const nothing: ApiKeys = { clients: undefined, sources: undefined, forwarding: undefined };

class ApiKeyRun implements FilterRun {
  readonly #keys: ApiKeys;
  readonly #allowed: ReadonlySet<string> | undefined;

  constructor(keys: ApiKeys, allowed: ReadonlySet<string> | undefined) {
    this.#keys = keys;
    this.#allowed = allowed;
  }

  onRequest(exchange: Exchange): Verdict {
    const { clients, sources, forwarding } = this.#keys;
    if (sources === undefined) return unauthorized(exchange, "missing_key_sources");
    if (clients === undefined) return unauthorized(exchange, "missing_credentials");
    const key = keyIn(exchange, sources);
    if (key === "") return unauthorized(exchange, "missing_api_key");
    const client = clients.get(key);
    if (client === undefined) return unauthorized(exchange, "unknown_api_key");
    if (this.#allowed !== undefined && !this.#allowed.has(client)) {
      exchange.client.count("api_key_auth.forbidden");
      reply(exchange, 403, "Client is forbidden.", "", "client_not_allowed");
      return "answered";
    }
    if (forwarding?.header !== undefined) setHeader(exchange.headers, forwarding.header, client);
    if (forwarding?.hidesKeys) for (const source of sources) source.remove(exchange);
    exchange.client.count("api_key_auth.allowed");
    return "next";
  }
}

/** The first that is there counts, good or not. */
function keyIn(exchange: Exchange, sources: readonly KeySource[]): string {
  for (const source of sources) {
    const key = source.find(exchange);
    if (key !== "") return key;
  }
  return "";
}

function unauthorized(exchange: Exchange, details: string): Verdict {
  exchange.client.count("api_key_auth.unauthorized");
  reply(exchange, 401, "Client authentication failed.", "", details);
  return "answered";
}

/** Keys and where they are count from a route where it has any; what is forwarded always does, as in Envoy. */
function merged(config: ApiKeys, route: RouteApiKeys | undefined): ApiKeys {
  if (route === undefined) return config;
  return { clients: route.clients ?? config.clients, sources: route.sources ?? config.sources, forwarding: route.forwarding };
}

function compileRoute(any: Any): RouteApiKeys {
  const message = unpacked(anyUnpack(any, ApiKeyAuthPerRouteSchema));
  const allowed = message.allowedClients.length === 0 ? undefined : new Set(message.allowedClients.map(wireText));
  return { ...compileKeys(message), allowed };
}

function unpacked<T>(message: T | undefined): T {
  if (message === undefined) throw new Error("is no ApiKeyAuth");
  return message;
}

/** Envoy takes no list with a key that is there twice: whose it is would be open. */
function compileKeys({ credentials, keySources, forwarding }: Pick<Message, "credentials" | "keySources" | "forwarding">): ApiKeys {
  const clients = new Map<string, string>();
  for (const [index, { key, client }] of credentials.entries()) {
    if (key === "" || client === "") throw new Error(`credentials[${index}] has no ${key === "" ? "key" : "client"}`);
    if (clients.has(wireText(key))) throw new Error(`credentials[${index}] has the key of another`);
    clients.set(wireText(key), wireText(client));
  }
  return {
    clients: clients.size === 0 ? undefined : clients,
    sources: keySources.length === 0 ? undefined : keySources.map(keySource),
    forwarding: forwarding && { header: tellingHeader(forwarding.header, clients), hidesKeys: forwarding.hideCredentials },
  };
}

function tellingHeader(name: string, clients: ReadonlyMap<string, string>): string | undefined {
  if (name === "") return undefined;
  const header = safeHeader(name, "")?.[0];
  if (header === undefined) throw new NotExecutable("forwarding.header");
  for (const client of clients.values()) if (safeHeader(name, client) === undefined) throw new NotExecutable("credentials[].client");
  return header;
}
