// The columns of `get`, by kind: those of glooctl where it has the kind.
import type { ResourceView } from "../admin/contract.ts";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { ApiKind } from "../model/resource.ts";
import { worstState } from "../model/status.ts";

export interface Column {
  readonly heading: string;
  cell(resource: ResourceView): string;
}

/** A spec in JSON, of which we read a few fields and trust none. */
// biome-ignore lint/suspicious/noExplicitAny: what is absent reads as undefined
type Spec = any;

export function columnsOf(kind: ApiKind, isWide: boolean): Column[] {
  const name: Column = { heading: headings[kind] ?? kind.toUpperCase(), cell: (each) => each.metadata.name };
  const wide: Column[] = [
    { heading: "REASON", cell: (each) => statusOf(each)?.reason.trim() || "-" },
    { heading: "FROM", cell: (each) => each.origin.file ?? each.origin.source },
  ];
  return [name, ...(columns[kind] ?? [status]), ...(isWide ? wide : [])];
}

const headings: Partial<Record<ApiKind, string>> = {
  VirtualService: "VIRTUAL SERVICE",
  RouteTable: "ROUTE TABLE",
  UpstreamGroup: "UPSTREAM GROUP",
};

const status: Column = { heading: "STATUS", cell: stateOf };
const ofSpec = (heading: string, read: (spec: Spec) => unknown): Column => ({ heading, cell: (each) => text(read(each.spec ?? {})) });

const columns: Partial<Record<ApiKind, readonly Column[]>> = {
  Upstream: [ofSpec("TYPE", upstreamType), status, ofSpec("DETAILS", upstreamDetails)],
  UpstreamGroup: [
    status,
    ofSpec("TOTAL WEIGHT", (spec) => list(spec.destinations).reduce((sum, each) => sum + Number(each?.weight ?? 0), 0)),
    ofSpec("DETAILS", (spec) =>
      list(spec.destinations)
        .map((each) => `${refText(each?.destination?.upstream)} ${each?.weight ?? 0}`)
        .join(", "),
    ),
  ],
  VirtualService: [
    ofSpec("DISPLAY NAME", (spec) => spec.displayName),
    ofSpec("DOMAINS", (spec) => list(spec.virtualHost?.domains).join(", ") || "*"),
    ofSpec("SSL", (spec) => sslText(spec.sslConfig)),
    status,
    ofSpec("LISTENERPLUGINS", () => ""),
    ofSpec("ROUTES", (spec) => list(spec.virtualHost?.routes).length),
  ],
  RouteTable: [ofSpec("ROUTES", (spec) => list(spec.routes).length), status],
  Gateway: [
    ofSpec("BIND", (spec) => `${spec.bindAddress ?? "::"}:${spec.bindPort ?? ""}`),
    ofSpec("SSL", (spec) => (spec.ssl ? "yes" : "no")),
    ofSpec("PROXIES", (spec) => list(spec.proxyNames).join(", ") || "gateway-proxy"),
    status,
  ],
  AuthConfig: [
    ofSpec("TYPE", (spec) =>
      list(spec.configs)
        .map((each) => Object.keys(each ?? {})[0])
        .join(", "),
    ),
    status,
  ],
  Secret: [ofSpec("TYPE", (spec) => Object.keys(spec)[0])],
  Artifact: [],
  Settings: [],
};

const upstreamTypes = UpstreamSchema.oneofs.find((each) => each.name === "upstream_type")?.fields.map((field) => field.jsonName) ?? [];

function upstreamType(spec: Spec): string | undefined {
  return upstreamTypes.find((type) => type in spec);
}

function upstreamDetails(spec: Spec): string {
  const type = upstreamType(spec);
  const own = type === undefined ? {} : (spec[type] ?? {});
  switch (type) {
    case "static":
      return firstOf(list(own.hosts).map((host) => `${host?.addr}:${host?.port ?? 0}`)) + functionsText(own);
    case "kube":
      return `${own.serviceNamespace}/${own.serviceName}:${own.servicePort}${functionsText(own)}`;
    case "consul":
      return [own.serviceName, ...list(own.instanceTags)].join(" ") + functionsText(own);
    case "aws":
      return `${own.region ?? ""} ${countText(list(own.lambdaFunctions).length, "function")}`.trim();
    case "pipe":
      return own.path ?? "";
    default:
      return "";
  }
}

/** What is behind the service, where it is known. */
function functionsText({ serviceSpec }: Spec): string {
  const { rest, grpcJsonTranscoder } = serviceSpec ?? {};
  const functions = Object.keys(rest?.transformations ?? {}).length;
  if (functions > 0) return ` ${countText(functions, "function")}`;
  const services = list(grpcJsonTranscoder?.services).length;
  return services > 0 ? ` ${countText(services, "gRPC service")}` : "";
}

function countText(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function sslText(ssl: Spec): string {
  if (ssl === undefined) return "none";
  return ["secretRef", "sslFiles", "sds"].find((key) => key in ssl) ?? "yes";
}

function stateOf(resource: ResourceView): string {
  const own = statusOf(resource);
  if (own === undefined) return "Pending";
  return worstState([own.state, ...Object.values(own.subresourceStatuses ?? {}).map((part) => part.state)]);
}

function statusOf(resource: ResourceView) {
  return Object.values(resource.status?.statuses ?? {})[0];
}

/** The first few of a long list. */
function firstOf(items: readonly string[], most = 3): string {
  return items.length > most ? `${items.slice(0, most).join(", ")} and ${items.length - most} more` : items.join(", ");
}

function refText(ref: Spec): string {
  return ref ? `${ref.namespace}.${ref.name}` : "";
}

function list(value: unknown): Spec[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}
