// What Envoy takes by itself to route by a changed table: it is given the very tables that we make as a file, and no control plane is there.
// Whatever serves Envoy such a table cannot be faster than this.
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { builtins } from "../src/builtins.ts";
import { translateOnce } from "../src/control-plane.ts";
import { DiscoveryResponseSchema } from "../src/gen/envoy/envoy/service/discovery/v3/discovery_pb.js";
import { typeUrls } from "../src/model/envoy-resource.ts";
import { filesSource } from "../src/sources/files/files.ts";
import { type RunningEnvoy, startEnvoy } from "../test/servers/envoy.ts";
import { freePort } from "../test/servers/ports.ts";

/** One of two tables. */
export interface Table {
  readonly name: string;
  /** A DiscoveryResponse of one RouteConfiguration. */
  readonly bytes: Uint8Array;
}

export interface EnvoyAlone extends AsyncDisposable {
  readonly port: number;
  take(table: Table): void;
}

/** The table of the folder as it is now. */
export async function tableOf(folder: string): Promise<Table> {
  const { proxies } = await translateOnce({ source: filesSource(folder), plugins: builtins });
  const routes = [...proxies.values()].flat().filter(({ typeUrl }) => typeUrl === typeUrls.route);
  const [table] = routes;
  if (table === undefined || routes.length > 1)
    throw new Error(`${routes.length} route configurations in ${folder}, where one is expected`);
  const { name, version, bytes, typeUrl } = table;
  const response = create(DiscoveryResponseSchema, { versionInfo: version, typeUrl, resources: [{ typeUrl, value: bytes }] });
  return { name, bytes: toBinary(DiscoveryResponseSchema, response) };
}

/** `clusters`: the ports of those that requests are sent to, by name. `folder` is where its files go. */
export async function envoyAlone(folder: string, first: Table, clusters: Readonly<Record<string, number>>): Promise<EnvoyAlone> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const file = join(folder, "table.pb");
  const take = ({ bytes }: Table) => {
    writeFileSync(`${file}.next`, bytes);
    renameSync(`${file}.next`, file);
  };
  take(first);
  const running: RunningEnvoy = await startEnvoy(bootstrap({ port, adminPort, file, name: first.name, clusters }), adminPort, [
    "--ignore-unknown-dynamic-fields", // as we start it
  ]);
  return { port, take, [Symbol.asyncDispose]: () => running.kill() };
}

interface Wanted {
  readonly port: number;
  readonly adminPort: number;
  readonly file: string;
  readonly name: string;
  readonly clusters: Readonly<Record<string, number>>;
}

function bootstrap({ port, adminPort, file, name, clusters }: Wanted): object {
  const at = (portValue: number) => ({ socket_address: { address: "127.0.0.1", port_value: portValue } });
  const manager = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "http",
    rds: { route_config_name: name, config_source: { path_config_source: { path: file }, resource_api_version: "V3" } },
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
      },
    ],
  };
  return {
    node: { id: "bench", cluster: "bench" },
    admin: { address: at(adminPort) },
    static_resources: {
      listeners: [
        {
          name: "listener",
          address: at(port),
          filter_chains: [{ filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }] }],
        },
      ],
      clusters: Object.entries(clusters).map(([cluster, of]) => ({
        name: cluster,
        type: "STATIC",
        load_assignment: { cluster_name: cluster, endpoints: [{ lb_endpoints: [{ endpoint: { address: at(of) } }] }] },
      })),
    },
  };
}
