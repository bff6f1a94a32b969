// `check` finds all in one run: a field that cannot be read does not hide what else is wrong with its object.
import { expect, test } from "vitest";
import { headworks } from "./headworks.ts";

async function check(spec: string, kind = "VirtualService", group = "gateway"): Promise<readonly string[]> {
  const stdin = `apiVersion: ${group}.solo.io/v1\nkind: ${kind}\nmetadata: {name: a, namespace: shop}\nspec:\n${spec}`;
  const run = await headworks(["check", "-", "-o", "json"], { stdin });
  const { findings } = JSON.parse(run.stdout) as { findings: { code: string; path?: string }[] };
  return findings.map(({ code, path }) => `${code} ${path}`);
}

test("what is wrong beside a field that cannot be read is found in the same run", async () => {
  const routes = `
  virtualHost:
    domains: [a.test]
    routes:
    - matchers: [{prefix: /a}]
      routeAction: {single: {upstrem: {name: b, namespace: shop}}}
    - matchers: [{regex: "("}]
      directResponseAction: {status: 200}
    - matchers: [{prefix: /c}]
      routeAction: {single: {upstream: {name: nobody, namespace: shop}}}
`;
  expect(await check(routes)).toEqual([
    "HW1003 virtualHost.routes[0].routeAction.single.upstrem",
    "HW2020 virtualHost.routes[1].matchers[0].regex",
    "HW2030 virtualHost.routes[2].routeAction.single.upstream",
  ]);
});

test("what only follows from the field is not told", async () => {
  expect(await check("  statc: {hosts: [{addr: 10.0.0.1, port: 80}]}\n", "Upstream", "gloo")).toEqual(["HW1003 statc"]);
  expect(await check("  static: {hosts: [{adr: 10.0.0.1, port: 80}]}\n", "Upstream", "gloo")).toEqual(["HW1003 static.hosts[0].adr"]);
  expect(await check("  virtualHost: {domains: [a.test], rutes: []}\n")).toEqual(["HW1003 virtualHost.rutes"]);
  const matcher = "  virtualHost: {domains: [a.test], routes: [{matchers: [{prefx: /}], directResponseAction: {status: 200}}]}\n";
  expect(await check(matcher)).toEqual(["HW1003 virtualHost.routes[0].matchers[0].prefx"]);
});

test("nothing is said of others that goes away with the field", async () => {
  const broken =
    "---\napiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: b, namespace: shop}\nspec: {circutBreakers: {}, pipe: {path: /a}}\n";
  const route = "{matchers: [{prefix: /}], routeAction: {single: {upstream: {name: b, namespace: shop}}}}";
  expect(await check(`  virtualHost: {domains: [a.test], routes: [${route}]}\n${broken}`)).toEqual(["HW1003 circutBreakers"]);
  const gateway =
    "---\napiVersion: gateway.solo.io/v1\nkind: Gateway\nmetadata: {name: a, namespace: gloo-system}\nspec: {bindAddress: '::', bindPort: 8080, httpGateway: {}, ssl: maybe}\n";
  expect(
    await check(`  virtualHost: {domains: [a.test], routes: [{matchers: [{exact: x}], directResponseAction: {status: 200}}]}\n${gateway}`),
  ).toEqual(["HW2023 virtualHost.routes[0].matchers[0].exact", "HW1004 ssl"]);
});
