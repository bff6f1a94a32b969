import { expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import { typeUrls } from "../model/envoy-resource.ts";
import { Flow } from "./flow.ts";
import { changes, read, startPlane } from "./testing/plane.ts";

const gateway = `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: tls, namespace: gloo-system}
spec: {bindAddress: '::', bindPort: 8443, ssl: true, httpGateway: {}}
---`;

const site = (name: string, certificate: string, body = name, sni = `${name}.test`) => `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: gloo-system}
spec:
  sslConfig: {sniDomains: ['${sni}'], sslFiles: {tlsCert: ${certificate}, tlsKey: ${certificate}}}
  virtualHost: {domains: [${name}.test], routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200, body: ${body}}}]}
---`;

const listenerName = "listener-::-8443";

test("TLS that Envoy refuses costs the one who brought it: it falls back, a newcomer is left out, neighbours go on", async () => {
  await using running = await startPlane(read(gateway + site("a", "/a-1") + site("b", "/b-1")));
  const { client } = running;
  const listener = () => client.text(typeUrls.listener, listenerName);
  await running.say(...changes(site("b", "/b-gone")));
  await running.refuse(client.get(typeUrls.listener, listenerName), "Invalid path: /b-gone");
  expect(listener()).toContain("/b-1");
  expect(listener()).not.toContain("/b-gone");

  await running.say(...changes(site("c", "/c-gone")));
  await running.refuse(client.get(typeUrls.listener, listenerName), "Invalid path: /c-gone");
  expect(listener()).not.toContain("/c-gone");

  await running.say(...changes(site("a", "/a-2")));
  expect(listener()).toContain("/a-2");
  expect(["a", "b", "c"].map((name) => running.stateOf(`VirtualService gloo-system/${name}`))).toEqual([
    "Accepted",
    "Rejected",
    "Rejected",
  ]);
});

test("an edited route sets up nobody's TLS again", () => {
  const flow = new Flow(builtins);
  const batch = (text: string) =>
    flow.graph.batch(() => {
      for (const resource of read(text)) flow.apply("test", resource);
    });
  batch(gateway + site("a", "/a") + site("b", "/b"));
  expect(batch(site("b", "/b", "newer")).ran.has("listeners")).toBe(false);
  expect(batch(site("b", "/b-2", "newer")).ran.get("listeners")).toHaveLength(1);
});

test("an SNI domain that Envoy would refuse costs its filter chain; names are compared without regard to case", async () => {
  await using running = await startPlane(
    read(
      gateway +
        site("a", "/pem-of-a") +
        site("b", "/pem-of-b", "b", "*") +
        site("c", "/pem-of-c", "c", "A.TEST") +
        site("d", "/pem-of-d", "d", "*.d.test"),
    ),
  );
  const listener = running.client.text(typeUrls.listener, listenerName);
  expect(["/pem-of-a", "/pem-of-b", "/pem-of-c", "/pem-of-d"].filter((certificate) => listener.includes(certificate))).toEqual([
    "/pem-of-a",
    "/pem-of-d",
  ]);
  const findings = running.plane.current.findings.map(({ problem }) => `${problem.resource} ${problem.reason} ${problem.path}`);
  expect(findings).toContain("VirtualService gloo-system/b SniDomainUnusable sslConfig.sniDomains[0]");
  expect(findings).toContain("VirtualService gloo-system/c FilterChainConflict sslConfig.sniDomains");
});
