// Functions behind Services of Kubernetes: found through the addresses of their pods, whether the Upstream is written or not.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import { ControlPlane } from "../control-plane.ts";
import { eventually } from "../lib/testing/eventually.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { serviceSpecOf } from "../plugin/serviceSpec.ts";
import { memorySource } from "../sources/memory.ts";
import { openStateStore } from "../state/store.ts";
import { changes, read } from "./testing/plane.ts";

/** Pods are not on loopback, and discovery asks nobody there. */
const address = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

const isAsked = { "discovery.solo.io/function_discovery": "enabled" };
const yaml = (objects: readonly object[]) => objects.map((each) => JSON.stringify(each)).join("\n---\n");

function service(port: number, labels: object = isAsked): object[] {
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "till", namespace: "shop", labels },
      spec: { ports: [{ name: "web", port: 80 }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "till-1", namespace: "shop", labels: { "kubernetes.io/service-name": "till" } },
      addressType: "IPv4",
      endpoints: [{ addresses: [address] }],
      ports: [{ name: "web", port }],
    },
  ];
}

const route = {
  apiVersion: "gateway.solo.io/v1",
  kind: "VirtualService",
  metadata: { name: "till", namespace: "gloo-system" },
  spec: {
    virtualHost: {
      domains: ["*"],
      routes: [
        {
          matchers: [{ prefix: "/" }],
          routeAction: {
            single: {
              upstream: { name: "shop-till-80", namespace: "gloo-system" },
              destinationSpec: { rest: { functionName: "a", parameters: {} } },
            },
          },
        },
      ],
    },
  },
};

const written = {
  apiVersion: "gloo.solo.io/v1",
  kind: "Upstream",
  metadata: { name: "shop-till-80", namespace: "gloo-system", labels: isAsked },
  spec: { kube: { serviceName: "till", serviceNamespace: "shop", servicePort: 80 } },
};

const upstream = "Upstream gloo-system/shop-till-80" as ResourceKey;

describe.skipIf(address === undefined)("functions of a Service", () => {
  let server: Server;
  let port: number;
  let asked: string[];
  let folder: string;
  beforeEach(async () => {
    asked = [];
    folder = mkdtempSync(join(tmpdir(), "headworks-functions-"));
    server = createServer(({ url = "", headers }, response) => {
      asked.push(`${headers.host}${url}`);
      if (url === "/swagger.json") response.end(JSON.stringify({ swagger: "2.0", paths: { "/a": { get: { operationId: "a" } } } }));
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(objects: readonly object[]) {
    const quiet = { debug() {}, info() {}, warn() {}, error() {} };
    const source = memorySource(read(yaml(objects)));
    const store = await openStateStore(folder, quiet);
    const functionPace = { firstMs: 0, retryMs: 50, maxRetryMs: 200, gapMs: 0, parallel: 8, refreshMs: 50 };
    const plane = new ControlPlane({
      sources: [source],
      consumers: [],
      plugins: builtins,
      log: quiet,
      looksOutside: true,
      functionPace,
      store,
    });
    await plane.start().ready;
    const functions = () => {
      const spec = serviceSpecOf((plane.current.resources.get(upstream) as Resource<"Upstream"> | undefined)?.spec)?.pluginType;
      return spec?.case === "rest" ? Object.keys(spec.value.transformations) : undefined;
    };
    return {
      source,
      functions,
      state: () => plane.current.statuses.get("VirtualService gloo-system/till" as ResourceKey)?.state,
      [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
    };
  }

  test("are found by its label, though nobody wrote the Upstream; they outlive a restart, and go with the Service", async () => {
    {
      await using running = await start([...service(port), route]);
      expect(running.state()).not.toBe("Accepted");
      await eventually(running.functions, ["a"]);
      await eventually(running.state, "Accepted");
      expect(asked[0]).toBe("till.shop.svc.cluster.local:80/swagger.json");
    }
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await using running = await start([...service(port), route]);
    expect([running.functions(), running.state()]).toEqual([["a"], "Accepted"]);
    for (const { key } of read(yaml(service(port)))) running.source.say({ kind: "delete", key });
    await eventually(running.functions, undefined);
  });

  test("are found for an Upstream that is written; without it the Service still has them", async () => {
    await using running = await start(service(port, {}));
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(asked).toEqual([]);
    running.source.say(...changes(yaml([written])));
    await eventually(running.functions, ["a"]);
    running.source.say({ kind: "delete", key: upstream });
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(running.functions()).toEqual(["a"]);
    running.source.say({ kind: "delete", key: "Service shop/till" as ResourceKey });
    await eventually(running.functions, undefined);
  });

  test("are not asked for in a namespace that is not watched", async () => {
    const settings = (watchNamespaces: string[]) => ({
      apiVersion: "gloo.solo.io/v1",
      kind: "Settings",
      metadata: { name: "default", namespace: "gloo-system" },
      spec: { watchNamespaces },
    });
    const elsewhere = {
      ...written,
      metadata: { ...written.metadata, namespace: "far" },
      spec: { static: { hosts: [{ addr: address, port }] } },
    };
    await using running = await start([settings(["gloo-system"]), elsewhere]);
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(asked).toEqual([]);
    running.source.say(...changes(yaml([settings(["gloo-system", "far"])])));
    await eventually(() => asked.length > 0, true);
  });

  test("are asked for where the Namespace says so", async () => {
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop", labels: isAsked } };
    await using running = await start([...service(port, {}), namespace]);
    await eventually(running.functions, ["a"]);
  });
});
