// Requests are put to an authorization server before they go on.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  type BufferSettings,
  type ExtAuthz,
  type ExtAuthzPerRoute,
  ExtAuthzPerRouteSchema,
  ExtAuthzSchema,
} from "../../gen/envoy/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import type { Findings } from "../compile/findings.ts";
import { compileFraction, type Fraction } from "../compile/fraction.ts";
import { reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { findRouteAgain } from "../exchange/receive.ts";
import { holdBody, holdPart } from "../exchange/request-body.ts";
import { type HandledFields, unhandledFields } from "../fields.ts";
import { type Headers, removeHeader, setHeader } from "../http1/headers.ts";
import type { Server } from "../outages.ts";
import { type Authorization, type Authorizer, applyAllowed, changeHeaders, type HeaderChange } from "./authorization.ts";
import { compileGrpcAuthorizer } from "./extAuthzGrpc.ts";
import { compileHttpAuthorizer, compileNames } from "./extAuthzHttp.ts";
import { NotExecutable } from "./guard.ts";
import type { FilteredResponse, FilterRun, HttpFilter, Verdict } from "./http-filter.ts";
import { Question } from "./question.ts";

interface Config {
  /** Undefined: a kind of server that is not executed; then the answer is that of an error. */
  readonly authorizer: Authorizer | undefined;
  readonly enabled: Fraction;
  /** Those for whom it is not enabled get nowhere, but for where a route turns it off. */
  readonly deniesWhenOff: boolean;
  readonly allowsOnError: boolean;
  readonly tellsAllowedOnError: boolean;
  readonly statusOnError: number;
  readonly clearsRoute: boolean;
  readonly body: BodySettings | undefined;
}

interface BodySettings {
  readonly mostBytes: number;
  readonly isPartial: boolean;
}

interface RouteConfig {
  readonly isDisabled: boolean;
  readonly contextExtensions: Readonly<Record<string, string>>;
  readonly sendsNoBody: boolean;
  readonly body: BodySettings | undefined;
}

const namespace = "envoy.filters.http.ext_authz";

export const extAuthz: HttpFilter<Config, RouteConfig> = {
  configType: "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
  routeType: "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
  compile: compileExtAuthz,
  compileRoute,
  begin(config, routes, exchange) {
    if (config === undefined || exchange.route === undefined || routes[0]?.isDisabled) return undefined;
    if (!config.enabled()) return config.deniesWhenOff ? deniedWhenOff(config.statusOnError) : undefined;
    return new AuthorizationRun(config, routes);
  },
};

function deniedWhenOff(status: number): FilterRun {
  return {
    onRequest(exchange) {
      reply(exchange, status, "", "UAEX", "ext_authz_denied");
      return "answered";
    },
  };
}

class AuthorizationRun implements FilterRun {
  readonly #config: Config;
  readonly #routes: readonly RouteConfig[];
  readonly #question = new Question<Authorization>();
  #response: readonly HeaderChange[] = [];

  constructor(config: Config, routes: readonly RouteConfig[]) {
    this.#config = config;
    this.#routes = routes;
  }

  onRequest(exchange: Exchange, resume: () => void): Verdict {
    const [first] = this.#routes;
    const body = first?.sendsNoBody ? undefined : (first?.body ?? this.#config.body);
    const isEmpty = exchange.requestEnded && exchange.bodySize === 0;
    if (body === undefined || isEmpty || exchange.upgrade !== undefined) return this.#ask(exchange, undefined, resume);
    const onHeld = () => {
      if (this.#askWith(exchange, body, resume) === "next") resume();
    };
    const isHere = body.isPartial ? holdPart(exchange, body.mostBytes, onHeld) : holdBody(exchange, onHeld, body.mostBytes);
    return isHere ? this.#askWith(exchange, body, resume) : "wait";
  }

  #askWith(exchange: Exchange, { mostBytes }: BodySettings, resume: () => void): Verdict {
    const held = Buffer.concat(exchange.bodyParts);
    setHeader(exchange.headers, "x-envoy-auth-partial-body", String(held.length > mostBytes || !exchange.requestEnded));
    const verdict = this.#ask(exchange, held.subarray(0, mostBytes), resume);
    removeHeader(exchange.headers, "x-envoy-auth-partial-body");
    return verdict;
  }

  #ask(exchange: Exchange, body: Buffer | undefined, resume: () => void): Verdict {
    const ask = (onAnswer: (authorization: Authorization) => void) => {
      const { authorizer } = this.#config;
      const extensions = Object.assign({}, ...this.#routes.map((each) => each.contextExtensions).reverse()) as Record<string, string>;
      if (authorizer !== undefined)
        return authorizer.check(exchange, extensions, body, (authorization) => {
          exchange.tables.outages?.note(this.#server(authorizer), authorization.kind !== "error");
          onAnswer(authorization);
        });
      onAnswer({ kind: "error" });
      return undefined;
    };
    return this.#question.put(exchange, resume, ask, (authorization) => this.#onAnswer(exchange, authorization));
  }

  #server({ cluster }: Authorizer): Server {
    const { allowsOnError, statusOnError } = this.#config;
    const meanwhile = allowsOnError ? "requests are let through unasked" : `requests are refused with ${statusOnError}`;
    return { what: "authorization server", cluster, meanwhile };
  }

  #onAnswer(exchange: Exchange, authorization: Authorization): Verdict {
    const { config, known } = { config: this.#config, known: authorization.kind === "error" ? undefined : authorization.metadata };
    if (known !== undefined) exchange.dynamicMetadata = { ...exchange.dynamicMetadata, [namespace]: known };
    switch (authorization.kind) {
      case "allowed":
        applyAllowed(exchange, authorization);
        this.#response = authorization.response;
        if (config.clearsRoute && authorization.request.length + authorization.remove.length > 0) findRouteAgain(exchange);
        return "next";
      case "denied":
        reply(exchange, authorization.status, authorization.body, "UAEX", "ext_authz_denied", {
          headers: authorization.body === "" ? without(authorization.headers, "content-type") : authorization.headers,
        });
        return "answered";
      default:
        if (!config.allowsOnError) {
          reply(exchange, config.statusOnError, "", "UAEX", "ext_authz_error");
          return "answered";
        }
        if (config.tellsAllowedOnError) setHeader(exchange.headers, "x-envoy-auth-failure-mode-allowed", "true");
        return "next";
    }
  }

  onResponse(_: Exchange, { headers }: FilteredResponse): undefined {
    changeHeaders(headers, this.#response);
  }

  onEnd(): void {
    this.#question.cancel();
  }
}

function without(headers: Headers, name: string): Headers {
  const rest = [...headers];
  removeHeader(rest, name);
  return rest;
}

const handled: HandledFields = {
  "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz": [
    "http_service",
    "grpc_service",
    "transport_api_version",
    "failure_mode_allow",
    "failure_mode_allow_header_add",
    "with_request_body",
    "status_on_error",
    "clear_route_cache",
    "metadata_context_namespaces",
    "route_metadata_context_namespaces",
    "filter_enabled",
    "deny_at_disable",
    "allowed_headers",
    "disallowed_headers",
    "include_tls_session",
    // no effect here
    "stat_prefix",
    "charge_cluster_response_stats",
    "validate_mutations",
    "enable_dynamic_metadata_ingestion",
    "emit_client_span",
  ],
  "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute": ["disabled", "check_settings"],
  "envoy.extensions.filters.http.ext_authz.v3.CheckSettings": [
    "context_extensions",
    "disable_request_body_buffering",
    "with_request_body",
    "grpc_service", // reported on its own, as is the next
    "http_service",
    "emit_client_span",
  ],
};

function compileExtAuthz(any: Any, findings: Findings): Config | undefined {
  const message = anyUnpack(any, ExtAuthzSchema);
  if (message === undefined) throw new Error("is no ExtAuthz");
  for (const path of unhandledFields(ExtAuthzSchema, message, handled)) findings.notExecuted(path);
  // Without a server it stands there for others, and asks nobody.
  if (message.services.case === undefined) return undefined;
  return {
    authorizer: compileAuthorizer(message, findings),
    enabled: compileFraction(message.filterEnabled),
    deniesWhenOff: message.denyAtDisable?.defaultValue ?? false,
    allowsOnError: message.failureModeAllow,
    tellsAllowedOnError: message.failureModeAllowHeaderAdd,
    statusOnError: message.statusOnError?.code || 403,
    clearsRoute: message.clearRouteCache,
    body: compileBody(message.withRequestBody),
  };
}

function compileAuthorizer(message: ExtAuthz, findings: Findings): Authorizer | undefined {
  const { services, allowedHeaders, disallowedHeaders } = message;
  const [allowed, disallowed] = [compileNames(allowedHeaders), compileNames(disallowedHeaders)];
  if (services.case === "httpService") return compileHttpAuthorizer(services.value, allowed, disallowed, findings.at("http_service"));
  if (services.case !== "grpcService") return undefined;
  const settings = {
    allowed,
    disallowed,
    packAsBytes: message.withRequestBody?.packAsBytes ?? false,
    metadataNamespaces: message.metadataContextNamespaces,
    routeMetadataNamespaces: message.routeMetadataContextNamespaces,
    tellsTls: message.includeTlsSession,
  };
  return compileGrpcAuthorizer(services.value, settings, findings.at("grpc_service"));
}

function compileBody(settings: BufferSettings | undefined): BodySettings | undefined {
  return settings && { mostBytes: settings.maxRequestBytes, isPartial: settings.allowPartialMessage };
}

function compileRoute(any: Any, findings: Findings): RouteConfig {
  const message: ExtAuthzPerRoute | undefined = anyUnpack(any, ExtAuthzPerRouteSchema);
  if (message === undefined) throw new Error("is no ExtAuthzPerRoute");
  for (const path of unhandledFields(ExtAuthzPerRouteSchema, message, handled)) findings.notExecuted(path);
  const { override } = message;
  const check = override.case === "checkSettings" ? override.value : undefined;
  // Another server would be asked.
  if (check?.serviceOverride.case !== undefined) throw new NotExecutable("check_settings.service_override");
  return {
    isDisabled: override.case === "disabled" && override.value,
    contextExtensions: check?.contextExtensions ?? {},
    sendsNoBody: check?.disableRequestBodyBuffering ?? false,
    body: compileBody(check?.withRequestBody),
  };
}
