// The Envoy resources that are measured, the same for Envoy and for the embedded data plane: three listeners, a route with retries and times, an access
// log, a cluster.

import { createRegistry, type DescMessage, fromBinary, type JsonObject, toJson } from "@bufbuild/protobuf";
import { type HcmInit, listenerMessage, staticCluster, toCluster } from "../../src/dataplane/testing/resources.ts";
import { type ListenerInit, tlsListener } from "../../src/dataplane/testing/tls.ts";
import { envoyResource, packAny } from "../../src/envoy/encode.ts";
import { ClusterSchema } from "../../src/gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../src/gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { FileAccessLogSchema } from "../../src/gen/envoy/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { RouterSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { TlsInspectorSchema } from "../../src/gen/envoy/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { HttpConnectionManagerSchema } from "../../src/gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { DownstreamTlsContextSchema } from "../../src/gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { EnvoyResource } from "../../src/model/envoy-resource.ts";
import { type Ports, retries, timeoutMs } from "./shapes.ts";

export interface Served {
  readonly ports: Ports;
  readonly backend: number;
  readonly accessLog: string;
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

export function resources(served: Served): EnvoyResource[] {
  const hcm = connectionManager(served.accessLog);
  const named = (name: string, message: ListenerInit) => envoyResource(ListenerSchema, name, { ...message, name } as ListenerInit, []);
  return [
    staticCluster("backend", [served.backend]),
    named("plain", listenerMessage(served.ports.plain, hcm)),
    named("h2c", listenerMessage(served.ports.h2c, hcm)),
    named("tls", tlsListener(served.ports.tls, [{ certificate: served, hcm }])),
  ];
}

function connectionManager(accessLog: string): HcmInit {
  const policy = { retryOn: "5xx", numRetries: retries, perTryTimeout: seconds(timeoutMs / 2) };
  const route = toCluster("backend", {
    action: {
      case: "route",
      value: { clusterSpecifier: { case: "cluster", value: "backend" }, timeout: seconds(timeoutMs), retryPolicy: policy },
    },
  } as never);
  return {
    useRemoteAddress: true,
    routeSpecifier: { case: "routeConfig", value: { name: "routes", virtualHosts: [{ name: "all", domains: ["*"], routes: [route] }] } },
    accessLog: [{ name: "file", configType: { case: "typedConfig", value: packAny(FileAccessLogSchema, { path: accessLog }) } }],
  } as HcmInit;
}

function seconds(ms: number) {
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1e6 };
}

const registry = createRegistry(
  HttpConnectionManagerSchema,
  RouterSchema,
  FileAccessLogSchema,
  TlsInspectorSchema,
  DownstreamTlsContextSchema,
);

/** The same as a bootstrap's `static_resources`. */
export function staticResources(served: Served): JsonObject {
  const all = resources(served);
  const json = (schema: DescMessage) =>
    all
      .filter(({ typeUrl }) => typeUrl.endsWith(schema.typeName))
      .map(({ bytes }) => toJson(schema, fromBinary(schema, bytes), { registry, useProtoFieldName: true }) as JsonObject);
  return { listeners: json(ListenerSchema), clusters: json(ClusterSchema) };
}
