// What a folder alone cannot know of functions is no error of the folder; what it can know, is.
import { expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import { translateOnce } from "../control-plane.ts";
import { memorySource } from "../sources/memory.ts";
import { readText } from "../sources/read-text.ts";
import { findingsOfFolder } from "./awaited-functions.ts";

const object = (kind: string, name: string, spec: object, labels: object = {}) => ({
  apiVersion: `${kind === "VirtualService" || kind === "RouteTable" ? "gateway" : "gloo"}.solo.io/v1`,
  kind,
  metadata: { name, namespace: "gloo-system", labels },
  spec,
});
const enabled = { "discovery.solo.io/function_discovery": "enabled" };
const rest = { rest: { functionName: "getItem", parameters: {} } };
const lambda = { aws: { logicalName: "quote" } };
const hosts = [{ addr: "127.0.0.1", port: 8080 }];
const aws = { aws: { region: "eu-west-1", secretRef: { name: "keys", namespace: "gloo-system" } } };
const secret = object("Secret", "keys", { aws: { accessKey: "a", secretKey: "b" } });
const route = (destinationSpec: object) => ({
  matchers: [{ prefix: "/" }],
  routeAction: { single: { upstream: { name: "till", namespace: "gloo-system" }, destinationSpec } },
});
const host = (destinationSpec: object) =>
  object("VirtualService", "a", { virtualHost: { domains: ["*"], routes: [route(destinationSpec)] } });

async function findingsOf(...objects: object[]) {
  const text = objects.map((each) => JSON.stringify(each)).join("\n---\n");
  const source = memorySource(readText(text, "input.yaml").resources);
  return findingsOfFolder(await translateOnce({ source, plugins: builtins }));
}

async function severities(...objects: object[]) {
  const findings = await findingsOf(...objects);
  return findings.filter(({ problem }) => problem.path?.includes("destinationSpec")).map(({ problem }) => problem.severity);
}

test("a function that discovery may find is a warning", async () => {
  expect(await severities(object("Upstream", "till", { static: { hosts } }, enabled), host(rest))).toEqual(["warning"]);
  expect(await severities(secret, object("Upstream", "till", aws), host(lambda))).toEqual(["warning"]);
  const settings = object("Settings", "default", { discovery: {} });
  expect(await severities(settings, object("Upstream", "till", { static: { hosts } }), host(rest))).toEqual(["warning"]);
  const begun = { rest: { swaggerInfo: { url: "http://127.0.0.1:8080/x" } } };
  expect(await severities(object("Upstream", "till", { static: { hosts, serviceSpec: begun } }, enabled), host(rest))).toEqual(["warning"]);
});

test("in a weighted destination, too", async () => {
  const { single } = route(rest).routeAction;
  const multi = { matchers: [{ prefix: "/" }], routeAction: { multi: { destinations: [{ weight: 1, destination: single }] } } };
  const weighted = object("VirtualService", "a", { virtualHost: { domains: ["*"], routes: [multi] } });
  expect(await severities(object("Upstream", "till", { static: { hosts } }, enabled), weighted)).toEqual(["warning"]);
});

test("in a RouteTable, too; nothing else is an error because of it", async () => {
  const table = object("RouteTable", "t", { routes: [route(rest)] });
  const delegating = object("VirtualService", "a", {
    virtualHost: {
      domains: ["*"],
      routes: [{ matchers: [{ prefix: "/" }], delegateAction: { ref: { name: "t", namespace: "gloo-system" } } }],
    },
  });
  const objects = [object("Upstream", "till", { static: { hosts } }, enabled), table, delegating];
  expect(await severities(...objects)).toEqual(["warning"]);
  expect((await findingsOf(...objects)).map(({ problem }) => problem.severity)).not.toContain("error");
});

test("where nobody is asked, or functions are written down, it is an error", async () => {
  expect(await severities(object("Upstream", "till", { static: { hosts } }), host(rest))).toEqual(["error"]);
  const off = object("Settings", "default", { discovery: { fdsMode: "DISABLED" } });
  expect(await severities(off, secret, object("Upstream", "till", aws), host(lambda))).toEqual(["error"]);
  const listed = { aws: { ...aws.aws, lambdaFunctions: [{ lambdaFunctionName: "other" }] } };
  expect(await severities(secret, object("Upstream", "till", listed), host(lambda))).toEqual(["error"]);
  const own = { static: { hosts, serviceSpec: { rest: { transformations: { other: {} } } } } };
  expect(await severities(object("Upstream", "till", own, enabled), host(rest))).toEqual(["error"]);
});
