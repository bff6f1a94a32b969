// Both data planes side by side: a real Envoy and the embedded one, with the same listeners and clusters.

import { createRegistry, type DescMessage, fromBinary, type JsonObject, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { createDataPlane, type DataPlane } from "../../src/dataplane/dataplane.ts";
import { type HcmInit, listenerMessage, testProxy } from "../../src/dataplane/testing/resources.ts";
import { envoyResource } from "../../src/envoy/encode.ts";
import { ClusterSchema } from "../../src/gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../src/gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { FilterConfigSchema } from "../../src/gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../src/gen/envoy/envoy/config/route/v3/route_pb.js";
import { FileAccessLogSchema } from "../../src/gen/envoy/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { CorsPolicySchema, CorsSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { RouterSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { ProxyProtocolSchema } from "../../src/gen/envoy/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js";
import { TlsInspectorSchema } from "../../src/gen/envoy/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { HttpConnectionManagerSchema } from "../../src/gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { MetadataSchema } from "../../src/gen/envoy/envoy/extensions/formatter/metadata/v3/metadata_pb.js";
import { ReqWithoutQuerySchema } from "../../src/gen/envoy/envoy/extensions/formatter/req_without_query/v3/req_without_query_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../../src/gen/envoy/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { RawBufferSchema } from "../../src/gen/envoy/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { SecretSchema } from "../../src/gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../src/gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { HttpProtocolOptionsSchema } from "../../src/gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import type { EnvoyResource } from "../../src/model/envoy-resource.ts";
import { type RunningEnvoy, startEnvoy } from "../servers/envoy.ts";
import { freePorts } from "../servers/ports.ts";
import { filterSchemas } from "./filter-schemas.ts";

const registry = createRegistry(
  ...filterSchemas,
  HttpConnectionManagerSchema,
  RouterSchema,
  RouteConfigurationSchema,
  ProxyProtocolUpstreamTransportSchema,
  RawBufferSchema,
  UpstreamTlsContextSchema,
  DownstreamTlsContextSchema,
  TlsInspectorSchema,
  ProxyProtocolSchema,
  HttpProtocolOptionsSchema,
  CorsSchema,
  CorsPolicySchema,
  FilterConfigSchema,
  FileAccessLogSchema,
  MetadataSchema,
  ReqWithoutQuerySchema,
);

export interface Planes extends AsyncDisposable {
  readonly envoy: RunningEnvoy;
  readonly plane: DataPlane;
  /** For each connection manager, its port in Envoy and in the embedded data plane. */
  readonly ports: readonly { readonly envoy: number; readonly embedded: number }[];
}

/** Serves each connection manager on a listener of its own, in both. */
export function startPlanes(managers: readonly HcmInit[], clusters: readonly EnvoyResource[], bootstrap: object = {}): Promise<Planes> {
  return startListeners(
    managers.map((hcm) => (port) => listenerMessage(port, hcm)),
    clusters,
    [],
    bootstrap,
  );
}

type ListenerOf = (port: number) => MessageInitShape<typeof ListenerSchema>;

/** Serves each listener, made for a port, in both. A port that was free a moment ago may be taken by somebody else: then others are tried. */
export async function startListeners(
  listeners: readonly ListenerOf[],
  clusters: readonly EnvoyResource[],
  secrets: readonly EnvoyResource[] = [],
  bootstrap: object = {},
  tries = 4,
): Promise<Planes> {
  try {
    return await startOnFreePorts(listeners, clusters, secrets, bootstrap);
  } catch (error) {
    if (tries === 1 || !(error as Error).message.includes("Address already in use")) throw error;
    return startListeners(listeners, clusters, secrets, bootstrap, tries - 1);
  }
}

async function startOnFreePorts(
  listeners: readonly ListenerOf[],
  clusters: readonly EnvoyResource[],
  secrets: readonly EnvoyResource[],
  bootstrap: object,
): Promise<Planes> {
  const ports = await freePorts(listeners.length * 2 + 1);
  const adminPort = ports.pop() as number;
  const pairs = listeners.map((_, index) => ({ envoy: ports[index * 2] as number, embedded: ports[index * 2 + 1] as number }));
  const resources = (plane: "envoy" | "embedded") =>
    listeners.map((listener, index) => {
      const name = `listener-${index}`;
      // Otherwise an Envoy of another test that was given the same port would share it, and nobody would notice.
      const message = { ...listener((pairs[index] as { envoy: number; embedded: number })[plane]), name, enableReusePort: false };
      return envoyResource(ListenerSchema, name, message as MessageInitShape<typeof ListenerSchema>, []);
    });
  const envoy = await startEnvoy(
    {
      ...bootstrap,
      admin: { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } },
      static_resources: {
        listeners: resources("envoy").map((each) => json(ListenerSchema, each.bytes)),
        clusters: clusters.map((each) => json(ClusterSchema, each.bytes)),
        secrets: secrets.map((each) => json(SecretSchema, each.bytes)),
      },
    },
    adminPort,
    ["--file-flush-interval-msec", "100"],
  );
  const plane = createDataPlane({ proxy: testProxy });
  plane.publish(testProxy, { upserts: [...secrets, ...clusters, ...resources("embedded")], removals: [] });
  await plane.settled();
  return {
    envoy,
    plane,
    ports: pairs,
    async [Symbol.asyncDispose]() {
      await plane[Symbol.asyncDispose]();
      await envoy.kill();
    },
  };
}

function json(schema: DescMessage, bytes: Uint8Array): JsonObject {
  return toJson(schema, fromBinary(schema, bytes), { registry, useProtoFieldName: true }) as JsonObject;
}
