// Faults of ours: thrown where nobody expected it, and still of no consequence to anybody else.
import { expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import { typeUrls } from "../model/envoy-resource.ts";
import type { Feature } from "../plugin/feature.ts";
import { type AnyUpstreamType, defineUpstreamType } from "../plugin/upstream-type.ts";
import { readText } from "../sources/read-text.ts";
import { changes, read, startPlane } from "./testing/plane.ts";

const gateway = (headersKb: number) => `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: g, namespace: gloo-system}
spec: {bindAddress: '::', bindPort: 8080, httpGateway: {options: {httpConnectionManagerSettings: {maxRequestHeadersKb: ${headersKb}}}}}
---`;

const site = (name: string, domain: string, body: string) => `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: gloo-system}
spec: {virtualHost: {domains: [${domain}], routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200, body: ${body}}}]}}
---`;

const brittle: Feature = {
  name: "brittle",
  always: true,
  virtualHost(draft) {
    if (draft.domains?.includes("boom.test")) throw new Error("boom");
    return draft;
  },
  connectionManager(draft, options) {
    if (options?.httpConnectionManagerSettings?.maxRequestHeadersKb === 13) throw new Error("thirteen");
    return draft;
  },
};
const plugins = { ...builtins, features: [...builtins.features, brittle] };
const routesName = "listener-::-8080-routes";

test("a plug-in that throws costs what it worked on: the last good version stays, a newcomer is left out, neighbours are served", async () => {
  await using running = await startPlane(read(gateway(60) + site("a", "a.test", "first") + site("b", "b.test", "neighbour")), { plugins });
  const routes = () => running.client.text(typeUrls.route, routesName);
  await running.say(...changes(site("a", "boom.test", "second") + site("c", "boom.test", "third")));
  expect(routes()).toContain("first");
  expect(routes()).not.toContain("third");
  expect(running.stateOf("VirtualService gloo-system/a")).toBe("Rejected");
  expect(running.stateOf("VirtualService gloo-system/c")).toBe("Rejected");
  expect(running.errors.join()).toContain("boom");
  await running.say(...changes(site("b", "b.test", "edited")));
  expect(routes()).toContain("edited");
});

test("a plug-in that throws at a Gateway leaves its listener as it was", async () => {
  await using running = await startPlane(read(gateway(60) + site("a", "a.test", "a")), { plugins });
  const before = running.client.get(typeUrls.listener, "listener-::-8080").version;
  await running.say(...changes(gateway(13)));
  expect(running.client.get(typeUrls.listener, "listener-::-8080").version).toBe(before);
  expect(running.client.text(typeUrls.route, routesName)).toContain("a.test");
  expect(running.stateOf("Gateway gloo-system/g")).toBe("Rejected");
});

test("a consumer that throws costs no other its changes", async () => {
  const broken = {
    publish() {
      throw new Error("no disk");
    },
    retire() {},
  };
  await using running = await startPlane(read(gateway(60) + site("a", "a.test", "first")), { consumers: [broken] });
  running.plane.onBatch(() => {
    throw new Error("no ears");
  });
  await running.say(...changes(site("a", "a.test", "second")));
  expect(running.client.text(typeUrls.route, routesName)).toContain("second");
  expect(running.errors.join()).toMatch(/no disk.*no ears/);
});

/** A type of a user that looks its addresses up, and fails on a name. */
const phoneBook: AnyUpstreamType = defineUpstreamType<string>({
  kind: "phone",
  parse({ name }) {
    if (name === "boom") throw new Error("boom");
    return String(name);
  },
  cluster: ({ name }) => ({
    name,
    clusterDiscoveryType: { case: "type", value: 3 },
    edsClusterConfig: { edsConfig: { configSourceSpecifier: { case: "ads", value: {} } } },
  }),
  async *endpoints(upstreams) {
    for await (const list of upstreams) for (const { key, spec } of list) yield { key, endpoints: [{ address: spec, port: 80 }] };
  },
});

const phones = (...names: readonly (readonly [string, string])[]) => {
  const text = names.map(
    ([name, spec]) => `
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: ${name}, namespace: gloo-system}
spec: {phone: {name: ${spec}}}
---`,
  );
  return readText(text.join(""), "a.yaml", { customKinds: ["phone"] }).resources;
};

test("a type that throws as it reads an Upstream costs that one: its addresses stay, its neighbours' are looked up", async () => {
  const types = { ...builtins, upstreamTypes: { ...builtins.upstreamTypes, phone: phoneBook } };
  const begun = [...read(gateway(60)), ...phones(["a", "10.0.0.1"], ["b", "boom"])];
  await using running = await startPlane(begun, { plugins: types, looksOutside: true });
  const address = (name: string) => running.client.text(typeUrls.endpoint, `${name}_gloo-system`);
  await expect.poll(() => address("a")).toContain("10.0.0.1");
  expect(running.stateOf("Upstream gloo-system/b")).toBe("Warning");

  await running.say(...phones(["a", "boom"], ["c", "10.0.0.3"]).map((resource) => ({ kind: "apply", resource }) as const));
  await expect.poll(() => address("c")).toContain("10.0.0.3");
  expect(running.stateOf("Upstream gloo-system/a")).toBe("Warning");
  expect(address("a")).toContain("10.0.0.1");

  await running.say(...phones(["a", "10.0.0.2"], ["b", "10.0.0.4"]).map((resource) => ({ kind: "apply", resource }) as const));
  await expect.poll(() => address("a")).toContain("10.0.0.2");
  await expect.poll(() => address("b")).toContain("10.0.0.4");
});

test("an answer from outside that cannot be taken in costs no batch", async () => {
  await using running = await startPlane(read(gateway(60) + site("a", "a.test", "first")), { looksOutside: true });
  const trouble = "reporter that is none";
  // biome-ignore lint/suspicious/noExplicitAny: what a plug-in in JavaScript may hand over
  running.plane.report(trouble, [undefined as any]);
  await running.say(...changes(site("a", "a.test", "second")));
  expect(running.client.text(typeUrls.route, routesName)).toContain("second");
  expect(running.errors.join()).toContain("could not be taken in");
});
