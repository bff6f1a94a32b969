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

const to = (name: string) => ({ directResponseAction: { status: 200, body: name } });
const table = (name: string, routes: object[], more: object = {}) => ({
  kind: "RouteTable",
  metadata: { ...metadata(name), ...more },
  spec: { routes },
});
const bodies = ({ host: model }: ReturnType<typeof routed>) =>
  model?.routes.map(({ route }) => (route.action.case === "directResponseAction" ? route.action.value.body : ""));
const said = ({ reports }: ReturnType<typeof routed>) =>
  [...reports.values()].flat().map(({ resource, severity, reason }) => `${resource} ${severity} ${reason}`);

test("a child that inherits a header and asks for another value of it lies outside of its parent", () => {
  const parent = {
    matchers: [{ prefix: "/", headers: [{ name: "x", value: "1" }] }],
    inheritableMatchers: true,
    delegateAction: { ref: { name: "t", namespace: "shop" } },
  };
  const outcome = routed([
    host([parent]),
    table("t", [
      { matchers: [{ prefix: "/a", headers: [{ name: "x", value: "2" }] }], ...to("a") },
      { matchers: [{ prefix: "/b" }], ...to("b") },
    ]),
  ]);
  expect(bodies(outcome)).toEqual(["b"]);
  expect(said(outcome)).toContain("RouteTable shop/t warning ChildMatcherIncompatible");
});

test("the old form of delegation counts before the new ones", () => {
  const delegateAction = { name: "old", namespace: "shop", ref: { name: "new", namespace: "shop" } };
  const outcome = routed([host([{ delegateAction }]), table("old", [to("old")]), table("new", [to("new")])]);
  expect(bodies(outcome)).toEqual(["old"]);
});

test("tables of several namespaces come in the order of these, however they are listed", () => {
  const delegateAction = { selector: { namespaces: ["shop", "depot"] } };
  const outcome = routed([host([{ delegateAction }]), table("t", [to("shop")]), table("t", [to("depot")], { namespace: "depot" })]);
  expect(bodies(outcome)).toEqual(["depot", "shop"]);
});

test.each([
  [true, true],
  [false, false],
  [undefined, false],
])("a delegated route inherits transformations of the virtual host when the delegating one does: %s", (above, inherits) => {
  const regular = (name: string) => ({
    requestTransforms: [{ requestTransformation: { transformationTemplate: { body: { text: name } } } }],
  });
  const options = above === undefined ? {} : { stagedTransformations: { inheritTransformation: above, regular: regular("parent") } };
  const { host: model } = routed([
    host([{ delegateAction: { ref: { name: "t", namespace: "shop" } }, options }]),
    table("t", [{ ...to("t"), options: { stagedTransformations: { inheritTransformation: true, regular: regular("child") } } }]),
  ]);
  const staged = model?.routes[0]?.route.options?.stagedTransformations;
  expect(staged?.inheritTransformation).toBe(inherits);
  expect(staged?.regular?.requestTransforms.length).toBe(above === undefined ? 1 : 2);
});
