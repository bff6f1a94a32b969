// Services of Kubernetes as an Upstream sees them. The objects are the API server's JSON; only what is read here is looked at, and
// what does not look right is as good as not there.
import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { imaginedService } from "../../envoy/names.ts";
import { type Upstream, UpstreamSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { type Problem, problem } from "../../model/problem.ts";
import { resourceKey } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import type { SpecOf } from "../../plugin/upstream-type.ts";
import type { World } from "../../plugin/world.ts";
import { type Annotations, configured, http2Wish, withTls } from "./annotations.ts";

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  /** Of the pods, where it is a number and not a name. */
  readonly targetPort?: number;
  readonly appProtocol: string;
}

type KubeSpec = SpecOf<"kube">;

export function serviceOf(spec: KubeSpec, world: World): Resource<"Service"> | undefined {
  return world.get("Service", { namespace: spec.serviceNamespace, name: spec.serviceName });
}

export function servicePorts(service: Resource<"Service">): ServicePort[] {
  const all = list(object(service.spec?.spec)?.ports).flatMap((each) => {
    const { name, port, targetPort, appProtocol, protocol } = object(each) ?? {};
    if (!isPort(port)) return [];
    const read = { name: text(name), port, appProtocol: text(appProtocol), ...(isPort(targetPort) && { targetPort }) };
    return [{ read, isTcp: protocol === undefined || protocol === "TCP" }];
  });
  // One number may be there once for each protocol (DNS): what Envoy can use is before the other.
  return [...all.filter(({ isTcp }) => isTcp), ...all.filter(({ isTcp }) => !isTcp)].map(({ read }) => read);
}

export function selectorOf(service: Resource<"Service">): Record<string, string> {
  return texts(object(service.spec?.spec)?.selector);
}

/** One for each number. */
export function distinctPorts(service: Resource<"Service">): ServicePort[] {
  const ports = servicePorts(service);
  return ports.filter(({ port }, i) => ports.findIndex((each) => each.port === port) === i);
}

export function isPort(value: JsonValue | undefined): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value < 65536;
}

export function servicePort(spec: KubeSpec, service: Resource<"Service">): ServicePort | undefined {
  return servicePorts(service).find(({ port }) => port === spec.servicePort);
}

/**
 * The Upstreams that every Service is, without anybody having written them: destinations of the form `kube: {ref, port}` go to
 * these. They live in memory only; their names can belong to no object of Kubernetes, because of the colon. `defaults` are
 * annotations for Services that do not have them (`Settings.upstreamOptions.globalAnnotations`).
 */
export function inMemoryUpstreams(service: Resource<"Service">, defaults: Annotations = {}): Resource<"Upstream">[] {
  return distinctPorts(service).map((port) => {
    const ref = imaginedService(service.ref, port.port);
    const { upstream, problems } = upstreamOfService(service, port, defaults);
    return {
      kind: "Upstream",
      key: resourceKey("Upstream", ref),
      ref,
      labels: {},
      annotations: {},
      spec: upstream,
      version: versionOfUpstream(service, port, defaults),
      problems,
      origin: { source: "memory" },
    };
  });
}

/** Equal for what is made of equals. */
export function versionOfUpstream({ version }: Resource<"Service">, { port }: ServicePort, defaults: Annotations): string {
  const own = `${version} ${port}`;
  return Object.keys(defaults).length === 0 ? own : `${own} ${JSON.stringify(defaults)}`;
}

/** What an Upstream for one port of a Service says, whether it lives in memory or discovery writes it. */
export function upstreamOfService(
  service: Resource<"Service">,
  port: ServicePort,
  defaults: Annotations = {},
): { readonly upstream: Upstream; readonly problems: readonly Problem[] } {
  const useHttp2 = http2Wish(service.annotations) ?? http2Wish(defaults) ?? speaksHttp2(port);
  const plain = create(UpstreamSchema, {
    upstreamType: {
      case: "kube",
      value: {
        serviceName: service.ref.name,
        serviceNamespace: service.ref.namespace,
        servicePort: port.port,
        selector: selectorOf(service),
      },
    },
    discoveryMetadata: { labels: { ...service.labels } },
    ...(useHttp2 !== undefined && { useHttp2 }),
  });
  const secured = withTls(plain, service.annotations, service.ref.namespace, port.port);
  // First what is said of all, then what the Service says itself.
  const general = configured(secured, defaults);
  const { upstream, fault } = configured(general.upstream, service.annotations);
  const problems = Object.entries({
    "the annotation gloo.solo.io/upstream_config": fault,
    "gloo.solo.io/upstream_config in upstreamOptions.globalAnnotations of the Settings": general.fault,
  }).flatMap(([what, why]) =>
    why === undefined
      ? []
      : [
          problem(
            "warning",
            service.key,
            "ServiceAnnotation",
            `${what} is left out, because it cannot be read as part of an Upstream: ${why}`,
          ),
        ],
  );
  return { upstream, problems };
}

const http2Names = ["grpc", "h2", "http2"];
const http2Protocols = ["http2", "grpc", "grpc-web", "kubernetes.io/h2c"];

function speaksHttp2({ name, appProtocol }: ServicePort): boolean | undefined {
  return http2Protocols.includes(appProtocol) || http2Names.some((prefix) => name.startsWith(prefix)) ? true : undefined;
}

export function object(value: JsonValue | undefined): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
}

export function list(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}

function texts(value: JsonValue | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(object(value) ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}
