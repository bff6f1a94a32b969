// Services of a cluster as destinations without an Upstream that anybody wrote.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, cluster, endpointSlice, hasKubernetes, ownAddress, runOn } from "./cluster.ts";
import { ask, object, proxies, until } from "./gateway.ts";

describe.skipIf(!hasKubernetes)("Services of a cluster", () => {
  let on: Cluster;
  beforeAll(async () => {
    on = await cluster();
  });
  afterAll(() => on?.[Symbol.asyncDispose]());

  const route = (name: string, destination: object) =>
    object("VirtualService", name, {
      virtualHost: { domains: [`${name}.test`], routes: [{ matchers: [{ prefix: "/" }], routeAction: { single: destination } }] },
    });

  const story = "a route names a Service, or the Upstream that discovery finds for it; pods need not be readable, --proxy %s";
  test.each(proxies)(story, async (proxy) => {
    const address = ownAddress();
    if (address === undefined) return console.warn("SKIPPED: this machine has only loopback, which endpoints may not have");
    const { kubernetes, port } = on;
    const server = createServer((_, answer) => answer.end("till")).listen(0, "0.0.0.0");
    try {
      await new Promise((resolve) => server.once("listening", resolve));
      const slice = endpointSlice("till", address, (server.address() as AddressInfo).port, "shop");
      const endpoints = slice.endpoints.map((each) => ({
        ...each,
        zone: "a",
        targetRef: { kind: "Pod", name: "till-1", namespace: "shop" },
      }));
      await kubernetes.apply(
        {
          apiVersion: "v1",
          kind: "Service",
          metadata: { name: "till", namespace: "shop" },
          spec: { selector: { app: "till" }, ports: [{ port: 80 }] },
        },
        { ...slice, endpoints },
        route("direct", { kube: { ref: { name: "till", namespace: "shop" }, port: 80 } }),
        route("found", { upstream: { name: "shop-till-80", namespace: "gloo-system" } }),
      );
      await using _ = await runOn(on, "--proxy", proxy);
      const body = async (host: string) => (await ask(port, host))?.body;
      await until("the Service answers", async () => (await body("direct.test")) === "till");
      await until("its Upstream answers", async () => (await body("found.test")) === "till");
      await kubernetes.delete("services", "shop", "till");
      await until("both are gone", async () => {
        const answers = await Promise.all(["direct.test", "found.test"].map((host) => ask(port, host)));
        return answers.every((each) => each?.status === 503);
      });
      expect(await kubernetes.list("upstreams.gloo.solo.io")).toEqual([]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
