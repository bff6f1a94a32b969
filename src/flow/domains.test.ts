import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { RouteConfigurationSchema } from "../gen/envoy/envoy/config/route/v3/route_pb.js";
import { typeUrls } from "../model/envoy-resource.ts";
import { changes, read, startPlane } from "./testing/plane.ts";

const site = (name: string, ...domains: string[]) => `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: gloo-system}
spec: {virtualHost: {domains: [${domains}], routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200, body: ${name}}}]}}
---`;

test("a domain in another spelling is not sent twice: Envoy would refuse the routes of everybody", async () => {
  await using running = await startPlane(read(site("a", "Shop.test", "SHOP.test") + site("z", "other.test")));
  await running.say(...changes(site("b", "shop.TEST", "b.test")));
  const { virtualHosts } = fromBinary(RouteConfigurationSchema, running.client.get(typeUrls.route, "listener-::-8080-routes").bytes);
  expect(virtualHosts.map(({ domains }) => domains)).toEqual([["Shop.test"], ["b.test"], ["other.test"]]);
  expect(running.stateOf("VirtualService gloo-system/b")).toBe("Rejected");
});

test("a virtual service without a virtual host does not take every name from the last good version of another", async () => {
  const every = site("z", "'*'");
  await using running = await startPlane(read(every));
  await running.say(...changes(every.replace("status: 200", "status: 99").replace("'*'", "z.test")));
  expect(running.stateOf("VirtualService gloo-system/z")).toBe("Rejected");
  await running.say(
    ...changes(
      "kind: VirtualService\napiVersion: gateway.solo.io/v1\nmetadata: {name: a, namespace: gloo-system}\nspec: {displayName: a}\n",
    ),
  );
  const { virtualHosts } = fromBinary(RouteConfigurationSchema, running.client.get(typeUrls.route, "listener-::-8080-routes").bytes);
  expect(virtualHosts.map(({ name, domains }) => [name, domains])).toEqual([["gloo-system_z", ["*"]]]);
  expect(running.stateOf("VirtualService gloo-system/a")).toBe("Warning");
});
