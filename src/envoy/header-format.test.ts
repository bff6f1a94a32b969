// Values of headers, held against a real Envoy.
import { expect, test } from "vitest";
import { findEnvoy } from "../../test/servers/envoy.ts";
import { refusalOf } from "../lib/testing/envoyValidate.ts";
import { headerValueFault } from "./header-format.ts";

const taken = [
  "plain text, 50%% off",
  "%REQ(x-user)%",
  "%REQ(x?:authority):10%",
  "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  "%START_TIME(%Y/%m/%dT%H:%M:%S%z)%",
  "%DYNAMIC_METADATA(a:b):9%",
  "%HOSTNAME%:%PROTOCOL%",
  "%UPSTREAM_HOST%%RESPONSE_FLAGS%",
];
const refused = ["%NOPE%", "100%", "50 % off", "%req(x)%", "%REQ()%", "%REQ(x)", "%", "%REQ%"];

test
  .skipIf(findEnvoy() === undefined)
  .each([...taken.map((value) => [value, "takes"] as const), ...refused.map((value) => [value, "refuses"] as const)])(
  "we and Envoy agree on %j",
  (value, verdict) => {
    expect(refusalOf([], [listenerAdding(value)]) === undefined ? "takes" : "refuses").toBe(verdict);
    expect(headerValueFault(value) === undefined ? "takes" : "refuses").toBe(verdict);
  },
);

test("a line break is refused, and so is the content of a file of the proxy's machine", () => {
  expect(headerValueFault("a\nb")?.message).toContain("line break");
  expect(headerValueFault("%FILE_CONTENT(/etc/passwd)%")?.message).toBe("%FILE_CONTENT% is no command that Envoy knows");
});

function listenerAdding(value: string): object {
  const type = "type.googleapis.com/envoy.extensions.filters";
  const route = { match: { prefix: "/" }, requestHeadersToAdd: [{ header: { key: "x", value } }], directResponse: { status: 200 } };
  const manager = {
    "@type": `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: "http",
    routeConfig: { name: "r", virtualHosts: [{ name: "v", domains: ["*"], routes: [route] }] },
    httpFilters: [{ name: "envoy.filters.http.router", typedConfig: { "@type": `${type}.http.router.v3.Router` } }],
  };
  return {
    name: "l",
    address: { socketAddress: { address: "127.0.0.1", portValue: 10_001 } },
    filterChains: [{ filters: [{ name: "envoy.filters.network.http_connection_manager", typedConfig: manager }] }],
  };
}
