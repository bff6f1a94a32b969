// What an edit costs: the functions that run again because of it, and no others.
import { expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import { Flow } from "./flow.ts";
import { read } from "./testing/plane.ts";

const site = (name: string, delegate: string) => `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: gloo-system}
spec: {virtualHost: {domains: [${name}.test], routes: [{matchers: [{prefix: /}], delegateAction: ${delegate}}]}}
---`;

const table = (name: string, body = name) => `
apiVersion: gateway.solo.io/v1
kind: RouteTable
metadata: {name: ${name}, namespace: gloo-system, labels: {team: ${name}, kind: table}}
spec: {routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200, body: ${body}}}]}
---`;

const gateway = (name: string, port: number, headersKb = 60) => `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: gloo-system}
spec: {bindAddress: '::', bindPort: ${port}, httpGateway: {options: {httpConnectionManagerSettings: {maxRequestHeadersKb: ${headersKb}}}}}
---`;

function started(text: string) {
  const flow = new Flow(builtins);
  const batch = (more: string) =>
    flow.graph.batch(() => {
      for (const resource of read(more)) flow.apply("test", resource);
    });
  batch(text);
  return batch;
}

test("an edited RouteTable makes those virtual hosts again that select it, not those that select others or miss one", () => {
  const batch = started(
    table("red") +
      table("blue") +
      site("a", "{selector: {labels: {team: red}}}") +
      site("b", "{selector: {labels: {team: blue, kind: table}}}") +
      site("c", "{selector: {labels: {team: blue}, namespaces: ['*']}}") +
      site("d", "{ref: {name: gone, namespace: gloo-system}}"),
  );
  expect(batch(table("red", "newer")).ran.get("virtual hosts")).toHaveLength(1);
  expect(batch(table("blue", "newer")).ran.get("virtual hosts")).toHaveLength(2);
  expect(batch(table("gone")).ran.get("virtual hosts")).toHaveLength(1);
});

test("an edited Gateway makes no virtual host of another one again", () => {
  const batch = started(gateway("one", 8080) + gateway("two", 8081) + table("red") + site("a", "{selector: {labels: {team: red}}}"));
  expect(batch(gateway("two", 8081, 61)).ran.get("virtual hosts")).toHaveLength(1);
});
