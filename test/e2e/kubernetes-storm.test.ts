// Endpoints that come and go thousands of times in seconds: Envoy ends with what is so, nothing else is sent to it, other changes need not
// wait, and memory stays as it is.
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bestOfThree } from "../../src/lib/testing/bestOf.ts";
import { envoyBootstrap } from "../../src/xds/bootstrap.ts";
import { findEnvoy, startEnvoy } from "../servers/envoy.ts";
import { freePorts } from "../servers/ports.ts";
import { type Cluster, cluster, endpointSlice, hasKubernetes, runOn } from "./cluster.ts";
import { backend, object, until, untilAnswers, upstream, virtualService } from "./gateway.ts";

const events = process.env.HEADWORKS_LONG === "1" ? 10_000 : 600;
const services = Array.from({ length: 20 }, (_, i) => `flapping-${i}`);

describe.skipIf(!hasKubernetes || findEnvoy() === undefined)("a storm of endpoints", () => {
  let on: Cluster;
  beforeAll(async () => {
    on = await cluster();
  });
  afterAll(() => on?.[Symbol.asyncDispose]());

  test(`${events} changes of 20 Services`, { timeout: 300_000, ...bestOfThree }, async () => {
    const { kubernetes, port, adminPort } = on;
    await using one = await backend("one");
    await using two = await backend("two");
    await kubernetes.apply(
      upstream("one", one.port),
      upstream("two", two.port),
      virtualService("a", "one"),
      ...services.flatMap((name) => [
        { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "gloo-system" }, spec: { ports: [{ port: 80 }] } },
        endpointSlice(name, "10.244.0.1", 8080),
        object("Upstream", name, { kube: { serviceName: name, serviceNamespace: "gloo-system", servicePort: 80 } }),
        virtualService(name, name),
      ]),
    );
    const [xdsPort = 0, envoyPort = 0] = await freePorts(2);
    await using running = await runOn(on, "--proxy", "none", "--xds", `127.0.0.1:${xdsPort}`, "--read-only");
    const bootstrap = envoyBootstrap({
      proxy: "gloo-system~gateway-proxy",
      xds: { host: "127.0.0.1", port: xdsPort },
      admin: { port: envoyPort },
    });
    await using envoy = await startEnvoy(bootstrap, envoyPort);
    await untilAnswers(port, "a.test", "one /");
    const inEnvoy = async () => {
      const { cluster_statuses: all } = JSON.parse(await envoy.admin("/clusters?format=json")) as ClustersOfEnvoy;
      return new Map(all.map(({ name, host_statuses: hosts = [] }) => [name, hosts.map(({ address }) => address.socket_address.address)]));
    };
    await until("all endpoints are there", async () => (await inEnvoy()).get("flapping-19_gloo-system")?.[0] === "10.244.0.1");
    const before = await pushes(adminPort);
    const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${running.process.pid}/status`, "utf8"))?.[1]) / 1024;

    let sent = 0;
    let halfway = 0;
    const flapping = async () => {
      for (let event = sent++; event < events; event = sent++) {
        const name = services[event % services.length] as string;
        const address = `10.244.${(event >> 8) & 255}.${event & 255 || 1}`;
        await write(kubernetes, name, address);
        if (event === events >> 1) halfway = memory();
      }
    };
    const took: number[] = [];
    let isOver = false;
    const others = (async () => {
      for (let edit = 0; !isOver; edit++) {
        const to = edit % 2 === 0 ? "two" : "one";
        const from = performance.now();
        await kubernetes.apply(virtualService("a", to));
        await untilAnswers(port, "a.test", `${to} /`);
        took.push(performance.now() - from);
        await delay(50);
      }
    })();
    const begun = performance.now();
    await Promise.all(Array.from({ length: 10 }, flapping));
    const seconds = (performance.now() - begun) / 1000;
    isOver = true;
    await others;
    // Of one Service, two changes may have been under way: which was the last?
    for (const name of services) await write(kubernetes, name, "10.244.255.1");
    await until("Envoy has the last endpoints", async () => {
      const now = await inEnvoy();
      return services.every((name) => now.get(`${name}_gloo-system`)?.join() === "10.244.255.1");
    });

    const after = await pushes(adminPort);
    const sentNow = (type: string) => (after.get(type) ?? 0) - (before.get(type) ?? 0);
    const grown = memory() - halfway;
    console.log(
      `${events} events in ${seconds.toFixed(1)} s: ${sentNow("ClusterLoadAssignment")} pushes of endpoints, ${took.length} other changes live in ${Math.max(...took).toFixed(0)} ms at most, memory ${halfway.toFixed(0)} MB halfway and ${grown.toFixed(0)} more at the end`,
    );
    expect(sentNow("ClusterLoadAssignment")).toBeLessThan(events);
    expect(sentNow("Cluster")).toBe(0);
    expect(sentNow("Listener")).toBe(0);
    expect(sentNow("RouteConfiguration")).toBe(took.length);
    expect(Math.max(...took)).toBeLessThan(5_000);
    expect(grown).toBeLessThan(80);
  });
});

interface ClustersOfEnvoy {
  readonly cluster_statuses: readonly {
    readonly name: string;
    readonly host_statuses?: readonly { readonly address: { readonly socket_address: { readonly address: string } } }[];
  }[];
}

async function write(kubernetes: Cluster["kubernetes"], service: string, address: string): Promise<void> {
  const path = `/apis/discovery.k8s.io/v1/namespaces/gloo-system/endpointslices/${service}-1`;
  const endpoints = [{ addresses: [address], conditions: { ready: true } }];
  const { status, body } = await kubernetes.request("PATCH", path, { endpoints }, { contentType: "application/merge-patch+json" });
  if (status !== 200) throw new Error(`${service}: ${status} ${JSON.stringify(body)}`);
}

/** Responses of xDS so far, by the last word of their type. */
async function pushes(adminPort: number): Promise<Map<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const lines = text.matchAll(/^headworks_xds_pushes_total\{type="([^"]+)"\} (\d+)$/gm);
  return new Map([...lines].map(([, type = "", count]) => [type, Number(count)]));
}
