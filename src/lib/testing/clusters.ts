// What becomes of the Upstreams in a YAML text, as plain data: for goldens of types and features.
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { builtins } from "../../builtins.ts";
import { clusterTypes } from "../../envoy/registry.ts";
import { ClusterSchema } from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { type EnvoyResource, typeUrls } from "../../model/envoy-resource.ts";
import type { Problem } from "../../model/problem.ts";
import type { Resource } from "../../model/resource.ts";
import { customKinds } from "../../plugin/config.ts";
import type { Plugins } from "../../plugin/plugins.ts";
import { clusterOf } from "../../translate/clusters.ts";
import { endpointsOf } from "../../translate/endpoints.ts";
import { inMemoryUpstreams } from "../../upstreams/kube/service.ts";
import { resourcesOf, worldOf } from "./world.ts";

export interface ClusterStory {
  readonly clusters?: readonly unknown[];
  readonly listeners?: readonly unknown[];
  readonly endpoints?: readonly unknown[];
  readonly problems?: readonly string[];
}

export function clusterStory(yaml: string, plugins: Plugins = builtins): ClusterStory {
  const resources = resourcesOf(yaml, customKinds(plugins));
  const world = worldOf(resources);
  const ofKind = <K extends "Upstream" | "Service">(kind: K) => resources.filter((each) => each.kind === kind) as Resource<K>[];
  const upstreams = [...ofKind("Upstream"), ...ofKind("Service").flatMap((service) => inMemoryUpstreams(service))];
  const made = upstreams.map((upstream) => ({ ...clusterOf(upstream, world, plugins), ...endpointsOnly(upstream, world, plugins) }));
  const sent = made.flatMap(({ cluster, extras }) => (cluster ? [cluster, ...extras] : []));
  const clusters = sent.filter(({ typeUrl }) => typeUrl === typeUrls.cluster).map(clusterJson);
  const listeners = sent.filter(({ typeUrl }) => typeUrl === typeUrls.listener).map(listenerJson);
  const endpoints = made.flatMap(({ cluster, endpoints }) => (cluster && endpoints ? [endpointsJson(endpoints)] : []));
  const read = upstreams.flatMap(({ problems }) => problems);
  const problems = [...read, ...made.flatMap(({ problems }) => problems)].map(problemLine);
  return {
    ...(clusters.length > 0 && { clusters }),
    ...(listeners.length > 0 && { listeners }),
    ...(endpoints.length > 0 && { endpoints }),
    ...(problems.length > 0 && { problems }),
  };
}

function endpointsOnly(...args: Parameters<typeof endpointsOf>) {
  const { endpoints } = endpointsOf(...args);
  return endpoints && { endpoints };
}

export function clusterJson(resource: EnvoyResource) {
  return toJson(ClusterSchema, fromBinary(ClusterSchema, resource.bytes), { registry: clusterTypes });
}

function listenerJson(resource: EnvoyResource) {
  return toJson(ListenerSchema, fromBinary(ListenerSchema, resource.bytes), { registry: clusterTypes });
}

function endpointsJson(resource: EnvoyResource) {
  return toJson(ClusterLoadAssignmentSchema, fromBinary(ClusterLoadAssignmentSchema, resource.bytes));
}

function problemLine({ severity, code, reason, path, message }: Problem): string {
  return `${severity} ${code} ${reason}${path ? ` at ${path}` : ""}: ${message}`;
}
