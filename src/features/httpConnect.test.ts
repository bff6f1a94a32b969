// A tunnel with everything real: Envoy, an HTTP proxy that understands CONNECT, a destination.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { startEnvoy } from "../../test/servers/envoy.ts";
import { freePorts } from "../../test/servers/ports.ts";
import { clusterStory } from "../lib/testing/clusters.ts";

test("a request reaches the destination through the proxy, with the headers that the proxy wants", async () => {
  const destination = createServer((request, response) => response.end(`destination got ${request.url}`));
  const asked: string[] = [];
  const proxy = createServer();
  proxy.on("connect", (request, client: Socket) => {
    asked.push(`${request.url} ${request.headers["proxy-authorization"]}`);
    const onward = connect((destination.address() as AddressInfo).port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      onward.pipe(client).pipe(onward);
    });
    for (const socket of [client, onward]) socket.on("error", () => socket.destroy());
  });
  const [proxyPort] = await Promise.all([listening(proxy), listening(destination)]);
  const [adminPort, gatewayPort] = (await freePorts(2)) as [number, number];
  const { clusters = [], listeners = [] } = clusterStory(upstream(proxyPort));
  try {
    await using _envoy = await startEnvoy(
      bootstrap(clusters, [...listeners, gateway(gatewayPort, `tunnel-${proxyPort}_shop`)], adminPort),
      adminPort,
    );
    const response = await fetch(`http://127.0.0.1:${gatewayPort}/menu`);
    expect(await response.text()).toBe("destination got /menu");
    expect(asked).toEqual(["api.example.com:80 Basic dDp0"]);
  } finally {
    for (const server of [proxy, destination]) {
      server.closeAllConnections();
      server.close();
    }
  }
});

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function upstream(port: number): string {
  return `
kind: Upstream
metadata: {name: tunnel-${port}, namespace: shop}
spec:
  static: {hosts: [{addr: 127.0.0.1, port: ${port}}]}
  httpProxyHostname: api.example.com:80
  httpConnectHeaders: [{key: proxy-authorization, value: Basic dDp0}]
`;
}

function bootstrap(clusters: readonly unknown[], listeners: readonly unknown[], adminPort: number) {
  return {
    admin: { address: { socketAddress: { address: "127.0.0.1", portValue: adminPort } } },
    staticResources: { clusters, listeners },
  };
}

/** A gateway of one route. */
function gateway(port: number, cluster: string) {
  const type = "type.googleapis.com/envoy.extensions.filters";
  return {
    name: "gateway",
    address: { socketAddress: { address: "127.0.0.1", portValue: port } },
    filterChains: [
      {
        filters: [
          {
            name: "http",
            typedConfig: {
              "@type": `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
              statPrefix: "http",
              routeConfig: { virtualHosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster } }] }] },
              httpFilters: [{ name: "router", typedConfig: { "@type": `${type}.http.router.v3.Router` } }],
            },
          },
        ],
      },
    ],
  };
}
