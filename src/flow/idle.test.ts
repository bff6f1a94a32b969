// What is right in itself and does nothing is said, and leaves the status as Gloo has it.
import { expect, test } from "vitest";
import { changes, read, startPlane } from "./testing/plane.ts";

const gateway = (spec: string, namespace = "gloo-system") => `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: gateway, namespace: ${namespace}}
spec: {bindAddress: "::", bindPort: 8000, ${spec}}
---`;
const site = (spec = "", labels = "{}") => `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: a, namespace: gloo-system, labels: ${labels}}
spec: {${spec} virtualHost: {domains: ["*"], routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200}}]}}
---`;
const ssl = "sslConfig: {sslFiles: {tlsCert: /cert.pem, tlsKey: /key.pem}},";

async function findings(text: string): Promise<string[]> {
  await using running = await startPlane(read(text));
  expect(running.stateOf("VirtualService gloo-system/a")).toBe("Accepted");
  return running.plane.current.findings.map(({ problem }) => `${problem.severity} ${problem.code} ${problem.message}`);
}

test("a VirtualService with TLS beside Gateways without is served by none, and this is said", async () => {
  const why = "warning HW2072 no Gateway serves this: it has sslConfig, and no Gateway has ssl: true";
  expect(await findings(site(ssl))).toEqual([why]);
  expect(await findings(site(ssl) + gateway("httpGateway: {}"))).toEqual([why]);
});

test("a VirtualService without TLS beside Gateways with it, or that no selector names", async () => {
  expect(await findings(site() + gateway("ssl: true, httpGateway: {}"))).toEqual([
    "warning HW2072 no Gateway serves this: it has no sslConfig, and every Gateway has ssl: true",
  ]);
  expect(await findings(site() + gateway("httpGateway: {virtualServiceSelector: {team: a}}"))).toEqual([
    "warning HW2072 no Gateway serves this: its labels, its namespace or its name are not what they select",
  ]);
  expect(await findings(site("", "{team: a}") + gateway("httpGateway: {virtualServiceSelector: {team: a}}"))).toEqual([]);
});

test("a Gateway in another namespace is not read, and this is said", async () => {
  expect(await findings(site() + gateway("httpGateway: {}", "default"))).toEqual([
    "warning HW2073 Gateways are read in the namespace gloo-system, and this one is in default",
    "warning HW2072 no Gateway serves this: there is none with httpGateway",
  ]);
});

test("a Gateway that comes later resolves it", async () => {
  await using running = await startPlane(read(site(ssl)));
  const report = await running.say(...changes(gateway("ssl: true, httpGateway: {}")));
  expect(report.resolved.map(({ problem }) => problem.code)).toEqual(["HW2072"]);
});
