import { expect, test } from "vitest";
import { typeUrls } from "../model/envoy-resource.ts";
import type { ResourceKey } from "../model/ref.ts";
import { changes, read, startPlane } from "./testing/plane.ts";

const upstream = (name: string) => `
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: ${name}, namespace: gloo-system}
spec: {static: {hosts: [{addr: 127.0.0.1, port: 1}]}}
---`;

const gateway = (...upstreams: string[]) => `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: tcp, namespace: gloo-system}
spec:
  bindAddress: 127.0.0.1
  bindPort: 5432
  tcpGateway:
    tcpHosts:
${upstreams
  .map(
    (name, i) => `    - name: host${i}
      sslConfig: {sniDomains: [h${i}.test]}
      destination: {single: {upstream: {name: ${name}, namespace: gloo-system}}}
`,
  )
  .join("")}---`;

const key = "Gateway gloo-system/tcp" as ResourceKey;
const listenerName = "listener-127.0.0.1-5432";

test("a TCP Gateway that names no Upstream keeps its last good version in service, with Gloo's Warning, until it is corrected", async () => {
  await using running = await startPlane(read(upstream("one") + upstream("two") + gateway("one")));
  const { client } = running;
  const listener = () => client.text(typeUrls.listener, listenerName);
  expect(running.stateOf(key)).toBe("Accepted");
  const report = await running.say(...changes(gateway("oen")));
  expect(listener()).toContain("one_gloo-system");
  expect(running.stateOf(key)).toBe("Warning");
  expect(report.keptLastGood).toEqual(["Gateway gloo-system/tcp"]);
  // Nothing is learned from what is not in service.
  await running.say(...changes(gateway("oen", "two")));
  expect(listener()).toContain("one_gloo-system");
  expect(listener()).not.toContain("two_gloo-system");
  await running.say(...changes(gateway("two")));
  expect(listener()).toContain("two_gloo-system");
  expect(running.stateOf(key)).toBe("Accepted");
  // What it names may come later than the Gateway.
  await running.say(...changes(gateway("three")));
  expect(listener()).toContain("two_gloo-system");
  await running.say(...changes(upstream("three")));
  expect(listener()).toContain("three_gloo-system");
});

test("where the version before would lack the same, the newest is served as far as it can be", async () => {
  await using running = await startPlane(read(upstream("one") + upstream("two") + gateway("one", "two")));
  const { client } = running;
  const listener = () => client.text(typeUrls.listener, listenerName);
  await running.say({ kind: "delete", key: "Upstream gloo-system/one" as ResourceKey });
  expect(listener()).not.toContain("one_gloo-system");
  expect(listener()).toContain("two_gloo-system");
  await running.say(...changes(upstream("three")), ...changes(gateway("one", "two", "three")));
  expect(listener()).toContain("three_gloo-system");
  expect(running.stateOf(key)).toBe("Warning");
});
