import { fromJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UpstreamSpecSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/consul/consul_pb.js";
import { endpointsOf, instancesOf } from "./instances.ts";

const entry = (service: object, checks: unknown = [], node: object = { Address: "10.0.0.9" }) => ({
  Node: node,
  Service: service,
  Checks: checks,
});
const spec = fromJson(UpstreamSpecSchema, { serviceName: "till" });
const unresolved = () => [];

test("what cannot be dialled is left out, whatever it is", () => {
  const odd = [
    null,
    7,
    "x",
    {},
    entry({ Port: 0 }),
    entry({ Port: 70000 }),
    entry({ Port: "80" }),
    entry({ Port: 1.5 }),
    { Service: { Port: 80 } },
  ];
  expect(instancesOf(odd)).toEqual([]);
  expect(instancesOf(null)).toEqual([]);
});

test("an answer that is no list is a failure, not an empty list", () => {
  expect(() => instancesOf({})).toThrow("no list");
  expect(() => instancesOf("")).toThrow("no list");
});

test("tags and checks of wrong types count as none", () => {
  const [instance] = instancesOf([entry({ Port: 80, Tags: [1, "a", null] }, [null, 3, { Status: 5 }])]);
  expect(instance).toEqual({ address: "10.0.0.9", port: 80, tags: ["a"], isCritical: false });
});

test("an address under two IDs is one endpoint, alive while it is for one of them", () => {
  const critical = [{ Status: "critical" }];
  const found = instancesOf([entry({ Port: 80 }, critical), entry({ Port: 80 }), entry({ Port: 80 }, critical)]);
  expect(found).toEqual([{ address: "10.0.0.9", port: 80, tags: [], isCritical: false }]);
});

test("IPv6 addresses are addresses; two data centres are told apart", () => {
  const dataCentres = [
    { name: "west", instances: instancesOf([entry({ Address: "2001:db8::1", Port: 80 })]) },
    { name: "east", instances: instancesOf([entry({ Address: "10.0.0.1", Port: 80, Tags: ["a"] })]) },
  ];
  expect(endpointsOf(spec, dataCentres, unresolved)).toEqual([
    { address: "2001:db8::1", port: 80, labels: { dc_west: "1", dc_east: "0", tag_a: "0" } },
    { address: "10.0.0.1", port: 80, labels: { dc_west: "0", dc_east: "1", tag_a: "1" } },
  ]);
});

test("names of objects of JavaScript are tags like others", () => {
  const instances = instancesOf([entry({ Address: "10.0.0.1", Port: 80, Tags: ["__proto__", "constructor"] })]);
  expect(endpointsOf(spec, [{ name: "dc1", instances }], unresolved)[0]?.labels).toEqual({
    dc_dc1: "1",
    tag___proto__: "1",
    tag_constructor: "1",
  });
});
