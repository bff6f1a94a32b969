// Options that only Gloo's enterprise edition acts on. Its open source edition refuses them, and so do we, so that nobody
// believes to be protected by a firewall that is not there.
import { type DescMessage, isFieldSet } from "@bufbuild/protobuf";
import { HttpListenerOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
import { RouteOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import { VirtualHostOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import type { Feature, OptionContext } from "../plugin/feature.ts";

const change = "change headers and bodies with stagedTransformations, or take headers from a server that extauth asks";

/** Gloo's name of the feature behind each field, and what stock Envoy can do in its place. */
const features: Readonly<Record<string, Enterprise>> = {
  waf: feature("waf", "put a firewall in front, or ask one for each request by extauth with requestBody"),
  caching: feature("caching", "put a cache in front of the Gateway or of the Upstream"),
  dlp: feature("dlp", "change responses with stagedTransformations, and name in the access log only what may be read"),
  leftmostXffAddress: feature("leftmost_xff_address", "say with httpConnectionManagerSettings.xffNumTrustedHops which proxies are trusted"),
  proxyLatency: feature("proxy_latency", "write %DURATION% and %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% to the access log"),
  wasm: feature("wasm", change),
  tap: feature("tap", "send copies of requests elsewhere with shadowing, or write headers to an access log"),
};

interface Enterprise {
  readonly name: string;
  readonly hint: string;
}

/** The rate limits that only Solo's server understands. */
const rateLimits: Readonly<Record<string, string>> = {
  ratelimitBasic: "ratelimitBasic",
};

const ownRateLimits = "use ratelimit.rateLimits with a rate limit service (ratelimitServer), or ratelimit.localRatelimit";

/** Silently ignored by Gloo on routes and virtual hosts; told to the user here as any other field without effect. */
const ignored = ["dlp"];

const routeFields = fieldsOf(RouteOptionsSchema).filter((field) => !ignored.includes(field));
const hostFields = fieldsOf(VirtualHostOptionsSchema).filter((field) => !ignored.includes(field));
const httpFields = fieldsOf(HttpListenerOptionsSchema);

export const enterprise: Feature = {
  name: "enterprise",
  glooName: "enterprise_warning",
  fields: { route: routeFields, virtualHost: hostFields, http: httpFields },
  virtualHost(host, options, context) {
    refuseAll(VirtualHostOptionsSchema, hostFields, options, context);
    return host;
  },
  route(route, options, _inherited, context) {
    refuseAll(RouteOptionsSchema, routeFields, options, context);
    return route;
  },
  httpFilters(options, context) {
    if (options) refuseAll(HttpListenerOptionsSchema, httpFields, options, context);
    return [];
  },
};

/** What to do instead of writing a field, for the list of options. */
export function alternativeTo(field: string): string | undefined {
  if (Object.hasOwn(features, field)) return features[field]?.hint;
  return Object.hasOwn(rateLimits, field) ? ownRateLimits : undefined;
}

function feature(name: string, hint: string): Enterprise {
  return { name, hint };
}

type Schema = typeof RouteOptionsSchema | typeof VirtualHostOptionsSchema | typeof HttpListenerOptionsSchema;

function fieldsOf(schema: Schema): string[] {
  return schema.fields.map((field) => field.localName).filter((name) => name in features || name in rateLimits);
}

function refuseAll(schema: Schema, fields: readonly string[], options: object, context: OptionContext): void {
  const written = fields.filter((name) => isFieldSet(options as never, (schema as DescMessage).field[name] as never));
  const found = written.filter((name) => name in features);
  const [first] = found;
  if (first !== undefined) {
    const wanted = [...new Set(found.map((name) => features[name]?.name))];
    context.refuse(first, `Could not load configuration for the following Enterprise features: [${wanted.join(", ")}]`, {
      reason: "EnterpriseOnly",
      hint: [...new Set(found.map((name) => features[name]?.hint))].join("; "),
    });
  }
  for (const name of written.filter((each) => each in rateLimits)) {
    const message = `The Gloo Advanced Rate limit API feature '${rateLimits[name]}' is enterprise-only, please upgrade or use the Envoy rate-limit API instead`;
    context.refuse(name, message, {
      reason: "EnterpriseOnly",
      costs: "option",
      hint: ownRateLimits,
    });
  }
}
