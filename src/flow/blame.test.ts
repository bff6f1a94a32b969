import { expect, test } from "vitest";
import { type EnvoyResource, typeUrls } from "../model/envoy-resource.ts";
import type { ResourceKey } from "../model/ref.ts";
import { Blame } from "./blame.ts";

const key = (name: string) => `VirtualService ns/${name}` as ResourceKey;
const routes = (version: string): EnvoyResource => ({
  typeUrl: typeUrls.route,
  name: "routes",
  version,
  bytes: new Uint8Array(),
  owners: ["Gateway ns/g" as ResourceKey, key("shop"), key("shop-api"), key("other")],
});
const edited = (...names: string[]) => new Map(names.map((name) => [key(name), `${name}-2`]));
const blamed = (blame: Blame, version: string, message: string, acceptedBefore?: string) =>
  blame
    .culprits({ resource: routes(version), message, ...(acceptedBefore !== undefined && { acceptedBefore }) })
    .culprits.map((each) => each.key);

test("who was edited since a client took the routes last is to blame", () => {
  const blame = new Blame();
  blame.note(edited("other"), [routes("1")]);
  blame.note(edited("shop"), [routes("2")]);
  blame.note(edited("shop-api"), [routes("3")]);
  expect(blamed(blame, "3", "no", "2")).toEqual([key("shop-api")]);
  expect(blamed(blame, "3", "no", "1")).toEqual([key("shop"), key("shop-api")]);
});

test("who was edited in between, but had no part in what the routes became, is innocent", () => {
  const blame = new Blame();
  blame.note(edited("other"), [routes("1")]);
  blame.note(edited("shop"), [{ ...routes("2"), name: "others" }]);
  blame.note(edited("shop-api"), [routes("3")]);
  expect(blamed(blame, "3", "no", "1")).toEqual([key("shop-api")]);
});

test("a name in Envoy's words narrows it, and is not that of a neighbour whose name begins alike", () => {
  const blame = new Blame();
  blame.note(edited("shop", "shop-api", "other"), [routes("1")]);
  expect(blamed(blame, "1", "route ns_shop-api-route-0 is no good")).toEqual([key("shop-api")]);
  expect(blamed(blame, "1", "route ns_shop-route-0 is no good")).toEqual([key("shop")]);
});

test("where nothing tells them apart the Gateway is told, for certain nobody is to blame", () => {
  const blame = new Blame();
  blame.note(new Map(), [routes("1")]);
  expect(blame.culprits({ resource: routes("1"), message: "no" })).toEqual({
    culprits: [{ key: "Gateway ns/g" }],
    isCertain: false,
    isTheirFault: false,
  });
});
