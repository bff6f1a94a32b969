// Failover through both data planes: the Upstream's own endpoint dies, requests go to the other place, and come back with it.
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { describe, expect, test } from "vitest";
import { certificates } from "../../src/dataplane/testing/certificates.ts";
import { freePort } from "../servers/ports.ts";
import { ask, type Folder, folder, object, proxies, run, until, untilAnswers, virtualService } from "./gateway.ts";

const healthChecks = [
  {
    // Long: one answer that is late on a busy machine is no failure. What is gone refuses at once.
    timeout: "10s",
    interval: "0.1s",
    noTrafficInterval: "0.1s",
    unhealthyThreshold: 1,
    healthyThreshold: 1,
    httpHealthCheck: { path: "/health" },
  },
];

describe.each(proxies)("--proxy %s", (proxy) => {
  test("an address with TLS of its own takes over from a static host, and gives back", async () => {
    using made = certificates();
    const authority = made.selfSigned("backup.test");
    await using own = await place("own");
    await using backup = await place("backup", { cert: authority.certificate, key: authority.key });
    using config = await folder();
    config.write("till.yaml", [
      object("Secret", "backup-ca", { tls: { rootCa: authority.certificate } }),
      object("Upstream", "till", {
        static: { hosts: [{ addr: "127.0.0.1", port: own.port }] },
        healthChecks,
        failover: to({
          address: "127.0.0.1",
          port: backup.port,
          upstreamSslConfig: {
            secretRef: { name: "backup-ca", namespace: "gloo-system" },
            sni: "backup.test",
            verifySubjectAltName: ["backup.test"],
          },
        }),
      }),
      virtualService("till", "till"),
    ]);
    await using running = await run(config, "--proxy", proxy);
    await goesAndComesBack(config, own);
    expect(running.stderr()).not.toMatch(/HW3\d\d\d/);
  });

  test("a name takes over from the endpoints of a Service: when they fail, and when there are none", async () => {
    await using own = await place("own");
    await using backup = await place("backup");
    using config = await folder();
    config.write("service.yaml", [
      { apiVersion: "v1", kind: "Service", metadata: { name: "till", namespace: "shop" }, spec: { ports: [{ port: 80 }] } },
      endpoints([own.port]),
    ]);
    config.write("till.yaml", [
      object("Upstream", "till", {
        kube: { serviceName: "till", serviceNamespace: "shop", servicePort: 80 },
        healthChecks,
        // Or else Envoy keeps an endpoint that is no more in the list as long as it is healthy.
        ignoreHealthOnHostRemoval: true,
        failover: to({ address: "localhost", port: backup.port }),
      }),
      virtualService("till", "till"),
    ]);
    await using running = await run(config, "--proxy", proxy);
    await goesAndComesBack(config, own);
    config.write("service.yaml", [
      { apiVersion: "v1", kind: "Service", metadata: { name: "till", namespace: "shop" }, spec: { ports: [{ port: 80 }] } },
      endpoints([]),
    ]);
    await untilAnswers(config.port, "till.test", "backup");
    expect(running.stderr()).not.toMatch(/HW3\d\d\d/);
  });
});

async function goesAndComesBack(config: Folder, own: Place): Promise<void> {
  await untilAnswers(config.port, "till.test", "own");
  await own.stop();
  await untilAnswers(config.port, "till.test", "backup");
  // Envoy knows it now: no request is lost any more.
  for (let i = 0; i < 20; i++) expect((await ask(config.port, "till.test"))?.body).toBe("backup");
  await own.start();
  await until("all requests come back", async () => {
    for (let i = 0; i < 5; i++) if ((await ask(config.port, "till.test"))?.body !== "own") return false;
    return true;
  });
}

function to(endpoint: object) {
  return { prioritizedLocalities: [{ localityEndpoints: [{ lbEndpoints: [endpoint] }] }] };
}

function endpoints(ports: readonly number[]) {
  const subsets = ports.map((port) => ({ addresses: [{ ip: "127.0.0.1" }], ports: [{ port }] }));
  return { apiVersion: "v1", kind: "Endpoints", metadata: { name: "till", namespace: "shop" }, subsets };
}

interface Place extends AsyncDisposable {
  readonly port: number;
  /** It is no more, connections included. */
  stop(): Promise<void>;
  /** It is there again, on the same port. */
  start(): Promise<void>;
}

/** Answers with its name; over TLS with a certificate. */
async function place(name: string, tls?: { readonly cert: string; readonly key: string }): Promise<Place> {
  let server: Server;
  const port = await freePort();
  const start = async () => {
    server = tls ? createTlsServer(tls, (_, answer) => answer.end(name)) : createServer((_, answer) => answer.end(name));
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  };
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  await start();
  return { port, stop, start, [Symbol.asyncDispose]: stop };
}
