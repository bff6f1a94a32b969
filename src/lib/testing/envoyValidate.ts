// Asks a real Envoy whether it would take clusters: `envoy --mode validate`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findEnvoy } from "../../../test/servers/envoy.ts";

/** Undefined when Envoy takes them all, or else what it says. Clusters are in proto-JSON. */
export function refusalOf(clusters: readonly unknown[], listeners: readonly unknown[] = []): string | undefined {
  const binary = findEnvoy();
  if (binary === undefined) throw new Error("Envoy is not there: set ENVOY_BIN");
  const folder = mkdtempSync(join(tmpdir(), "validate-"));
  try {
    const file = join(folder, "bootstrap.json");
    writeFileSync(file, JSON.stringify(bootstrap(clusters, listeners)));
    const { status, stderr } = spawnSync(binary, ["--mode", "validate", "-c", file, "-l", "critical"], { encoding: "utf8" });
    return status === 0 ? undefined : stderr;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Clusters whose addresses come over ADS need an ADS server to be named; it is never called here. */
function bootstrap(clusters: readonly unknown[], listeners: readonly unknown[]): object {
  const xds = {
    name: "xds",
    type: "STATIC",
    loadAssignment: {
      clusterName: "xds",
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: 1 } } } }] }],
    },
    typedExtensionProtocolOptions: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicitHttpConfig: { http2ProtocolOptions: {} },
      },
    },
  };
  return {
    node: { id: "test", cluster: "test" },
    staticResources: { clusters: [xds, { ...xds, name: "gateway_proxy_sds" }, ...clusters], listeners },
    dynamicResources: {
      adsConfig: { apiType: "DELTA_GRPC", transportApiVersion: "V3", grpcServices: [{ envoyGrpc: { clusterName: "xds" } }] },
    },
  };
}
