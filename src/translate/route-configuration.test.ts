import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { VirtualHostSchema } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../gen/envoy/envoy/config/route/v3/route_pb.js";
import { RouteConfigurationOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/route_configuration_options_pb.js";
import { resourceKey } from "../model/ref.ts";
import { hostBlock, routeConfiguration } from "./route-configuration.ts";

const owner = resourceKey("Gateway", { namespace: "gloo-system", name: "gateway-proxy" });
const options = create(RouteConfigurationOptionsSchema, { maxDirectResponseBodySizeBytes: 9000, mostSpecificHeaderMutationsWins: true });

/** Of sizes around 127 and 16,383 bytes, where the length needs one more byte. */
const hosts = ["b", "a", "c".repeat(90), "d".repeat(130), "e".repeat(20_000)].map((name) => ({ name, domains: [`${name}.test`] }));

test("joined bytes equal the bytes of the whole message, whatever the order of the hosts", () => {
  const whole = create(RouteConfigurationSchema, {
    name: "listener-::-8080-routes",
    virtualHosts: [...hosts].sort((a, b) => (a.name < b.name ? -1 : 1)),
    maxDirectResponseBodySizeBytes: 9000,
    mostSpecificHeaderMutationsWins: true,
  });
  const made = routeConfiguration("listener-::-8080-routes", options, [hostBlock(hosts.map(encoded))], owner);
  expect(Buffer.from(made.bytes).equals(Buffer.from(toBinary(RouteConfigurationSchema, whole)))).toBe(true);
  const reversed = hostBlock(hosts.map(encoded).reverse());
  expect(routeConfiguration("listener-::-8080-routes", options, [reversed], owner).version).toBe(made.version);
});

test("a withheld host is not there, and its owners are not blamed", () => {
  const withheld = { ...encoded({ name: "x", domains: ["x"] }), bytes: undefined };
  const made = routeConfiguration("r", undefined, [hostBlock([withheld, encoded({ name: "y", domains: ["y"] })])], owner);
  expect(made.owners).toEqual([owner, "VirtualService shop/y"]);
  expect(Buffer.from(made.bytes).includes("x")).toBe(false);
});

test("each difference of content, of a host, of the options or of the name, is another version", () => {
  const [one, two] = [encoded({ name: "a", domains: ["a"] }), encoded({ name: "a", domains: ["b"] })];
  const versions = [
    routeConfiguration("r", undefined, [hostBlock([one])], owner),
    routeConfiguration("r", undefined, [hostBlock([two])], owner),
    routeConfiguration("r", undefined, [], owner),
    routeConfiguration("r", options, [hostBlock([one])], owner),
    routeConfiguration("s", undefined, [hostBlock([one])], owner),
  ].map(({ version }) => version);
  expect(new Set(versions).size).toBe(versions.length);
});

function encoded(host: { name: string; domains: string[] }) {
  return {
    name: host.name,
    bytes: toBinary(VirtualHostSchema, create(VirtualHostSchema, host)),
    problems: [],
    owners: [resourceKey("VirtualService", { namespace: "shop", name: host.name })],
    usesFallback: false,
  };
}
