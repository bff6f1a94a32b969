import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { envoyResource } from "../envoy/encode.ts";
import { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { gatewayUrls, portOf } from "./gateway-urls.ts";

function urlOf(address: string, portValue: number, filter: string, isTls = false): string | undefined {
  const [url] = gatewayUrls([
    envoyResource(
      ListenerSchema,
      "a",
      create(ListenerSchema, {
        name: "a",
        address: { address: { case: "socketAddress", value: { address, portSpecifier: { case: "portValue", value: portValue } } } },
        filterChains: [{ filters: [{ name: filter }], ...(isTls && { transportSocket: { name: "tls" } }) }],
      }),
      [],
    ),
  ]);
  return url;
}

test("a URL says by its scheme what is spoken, and loopback stands for all addresses", () => {
  const http = "envoy.filters.network.http_connection_manager";
  expect(urlOf("::", 8080, http)).toBe("http://127.0.0.1:8080");
  expect(urlOf("fd00::1", 8443, http, true)).toBe("https://[fd00::1]:8443");
  expect(urlOf("10.0.0.1", 5432, "envoy.filters.network.tcp_proxy")).toBe("tcp://10.0.0.1:5432");
});

test.each([
  ["http://127.0.0.1:80", 80],
  ["https://[::1]:443", 443],
  ["tcp://127.0.0.1:80", 80],
  ["http://127.0.0.1:8080", 8080],
])("the port of %s is %i", (url, port) => expect(portOf(url)).toBe(port));
