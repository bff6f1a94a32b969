// Options that only Gloo's enterprise edition acts on. Its open source edition refuses them, and so do we, so that nobody
// believes to be protected by a firewall that is not there.
import { type DescMessage, isFieldSet } from "@bufbuild/protobuf";
import { HttpListenerOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
import { RouteOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import { VirtualHostOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import type { Feature, OptionContext } from "../plugin/feature.ts";

/** Gloo's name of the feature behind each field. */
const names: Readonly<Record<string, string>> = {
  waf: "waf",
  jwt: "jwt",
  jwtStaged: "jwt",
  jwtProvidersStaged: "jwt",
  rbac: "rbac",
  extProcEarly: "extproc",
  extProc: "extproc",
  extProcLate: "extproc",
  disableExtProcEarly: "extproc",
  disableExtProc: "extproc",
  disableExtProcLate: "extproc",
  caching: "caching",
  dlp: "dlp",
  leftmostXffAddress: "leftmost_xff_address",
  proxyLatency: "proxy_latency",
  sanitizeClusterHeader: "sanitize_cluster_header",
  wasm: "wasm",
  tap: "tap",
  statefulSession: "stateful_session",
};

/** The rate limits that only Solo's server understands. */
const rateLimits: Readonly<Record<string, string>> = {
  ratelimitBasic: "ratelimitBasic",
  rateLimitConfigs: "RateLimitConfig",
  rateLimitEarlyConfigs: "RateLimitConfig",
  rateLimitRegularConfigs: "RateLimitConfig",
  ratelimitEarly: "RateLimitEarly",
  ratelimitRegular: "RateLimitRegular",
};

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

type Schema = typeof RouteOptionsSchema | typeof VirtualHostOptionsSchema | typeof HttpListenerOptionsSchema;

function fieldsOf(schema: Schema): string[] {
  return schema.fields.map((field) => field.localName).filter((name) => name in names || name in rateLimits);
}

function refuseAll(schema: Schema, fields: readonly string[], options: object, context: OptionContext): void {
  const written = fields.filter((name) => isFieldSet(options as never, (schema as DescMessage).field[name] as never));
  const features = [...new Set(written.flatMap((name) => names[name] ?? []))];
  const [first = ""] = written.filter((name) => name in names);
  if (features.length > 0)
    context.refuse(first, `Could not load configuration for the following Enterprise features: [${features.join(", ")}]`, {
      reason: "EnterpriseOnly",
    });
  for (const name of written.filter((each) => each in rateLimits)) {
    const message = `The Gloo Advanced Rate limit API feature '${rateLimits[name]}' is enterprise-only, please upgrade or use the Envoy rate-limit API instead`;
    context.refuse(name, message, { reason: "EnterpriseOnly", costs: "option" });
  }
}
