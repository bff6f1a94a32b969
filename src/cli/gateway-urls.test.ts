import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { envoyResource } from "../envoy/encode.ts";
import { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { type GatewayUrl, gatewayUrls, movedTo } from "./gateway-urls.ts";

function urlOf(address: string, portValue: number, filter: string, isTls = false): GatewayUrl | undefined {
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
  expect(urlOf("::", 8080, http)).toEqual({ url: "http://127.0.0.1:8080", listensOn: "[::]:8080", isEverywhere: true, port: 8080 });
  expect(urlOf("fd00::1", 8443, http, true)).toMatchObject({ url: "https://[fd00::1]:8443", listensOn: "[fd00::1]:8443" });
  expect(urlOf("10.0.0.1", 5432, "envoy.filters.network.tcp_proxy")).toMatchObject({ url: "tcp://10.0.0.1:5432", isEverywhere: false });
  expect(movedTo(urlOf("10.0.0.1", 8443, http, true) as GatewayUrl, "::", 80)).toMatchObject({
    url: "https://127.0.0.1:80",
    listensOn: "[::]:80",
  });
});
