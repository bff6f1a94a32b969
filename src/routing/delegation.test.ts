import { expect, test } from "vitest";
import { bestOfThree, cpuMs } from "../lib/testing/bestOf.ts";
import { resourcesOf, worldOf } from "../lib/testing/world.ts";
import type { Resource } from "../model/resource.ts";
import { defaultGateway } from "./gateways.ts";
import { virtualHostOf } from "./virtual-host.ts";

function routed(documents: readonly object[]) {
  const resources = documents.flatMap((each) => resourcesOf(JSON.stringify(each)));
  const world = worldOf(resources);
  const virtualService = resources.find((each) => each.kind === "VirtualService") as Resource<"VirtualService">;
  return virtualHostOf(defaultGateway(world.settings), "gateway-proxy", virtualService, world);
}

const metadata = (name: string) => ({ name, namespace: "shop" });
const host = (routes: object[]) => ({
  kind: "VirtualService",
  metadata: metadata("store"),
  spec: { virtualHost: { domains: ["a"], routes } },
});
const everyTable = { matchers: [{ prefix: "/" }], delegateAction: { selector: { namespaces: ["shop"] } } };

test("tables that all select each other are cut short, in time", bestOfThree, () => {
  const tables = Array.from({ length: 30 }, (_, i) => ({
    kind: "RouteTable",
    metadata: metadata(`t${i}`),
    spec: { routes: [everyTable, everyTable] },
  }));
  const started = cpuMs();
  const { reports } = routed([host([everyTable]), ...tables]);
  expect(cpuMs() - started).toBeLessThan(5000);
  const reasons = new Set([...reports.values()].flat().map((each) => each.reason));
  expect(reasons).toContain("DelegationCycle");
  for (const problems of reports.values()) expect(problems.length).toBeLessThanOrEqual(400);
});

test("a chain of a thousand tables ends at the hundredth, and says so", () => {
  const ref = (i: number) => ({ matchers: [{ prefix: "/" }], delegateAction: { ref: { name: `t${i}`, namespace: "shop" } } });
  const tables = Array.from({ length: 1000 }, (_, i) => ({
    kind: "RouteTable",
    metadata: metadata(`t${i}`),
    spec: { routes: [ref(i + 1)] },
  }));
  const { host: model, reports } = routed([
    host([ref(0), { matchers: [{ prefix: "/ok" }], directResponseAction: { status: 200 } }]),
    ...tables,
  ]);
  expect(model?.routes.map((each) => each.route.action.case)).toEqual(["directResponseAction"]);
  expect([...reports.values()].flat().some((each) => each.reason === "DelegationTooLarge")).toBe(true);
});
