// What is refused before it is sent, held against a real Envoy.
import { expect, test } from "vitest";
import { findEnvoy } from "../../test/servers/envoy.ts";
import { refusalOf } from "../lib/testing/envoyValidate.ts";
import { regexFault } from "./regex.ts";

test("a syntax error is told in RE2's own words", () => {
  expect(regexFault("(")).toBe("error parsing regexp: missing closing ): `(`");
  expect(regexFault("/a(?=b)")).toBe("error parsing regexp: invalid or unsupported Perl syntax: `(?=`");
});

test("a larger program is fine where the configuration allows it", () => {
  expect(regexFault("/a{200}")).toContain("instructions; Envoy allows 100");
  expect(regexFault("/a{200}", 1024)).toBeUndefined();
});

const taken = [
  "/a{95}",
  "/.{47}",
  "/[^/]{47}",
  "/(abc|def|ghi){8}",
  "/\\w{31}",
  "/\\d{94}",
  "/(?:ab?c|d){19}",
  "/([^/]+/){15}",
  "/(.*){20}",
];
const tooLarge = ["/a{97}", "/.{49}", "/[^/]{49}", "/(abc|def|ghi){9}", "/\\w{32}", "/(ab|cd){16}", "/([^/]+/){17}", "^/a{300}$"];

test
  .skipIf(findEnvoy() === undefined)
  .each([...taken.map((regex) => [regex, "takes"] as const), ...tooLarge.map((regex) => [regex, "refuses"] as const)])(
  "we and Envoy agree on %s",
  (regex, verdict) => {
    const refusal = refusalOf([], [listenerWith(regex)]);
    expect(refusal === undefined ? "takes" : "refuses").toBe(verdict);
    expect(regexFault(regex) === undefined ? "takes" : "refuses").toBe(verdict);
  },
);

function listenerWith(regex: string): object {
  const type = "type.googleapis.com/envoy.extensions.filters";
  const manager = {
    "@type": `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: "http",
    routeConfig: {
      name: "r",
      virtualHosts: [{ name: "v", domains: ["*"], routes: [{ match: { safeRegex: { regex } }, directResponse: { status: 200 } }] }],
    },
    httpFilters: [{ name: "envoy.filters.http.router", typedConfig: { "@type": `${type}.http.router.v3.Router` } }],
  };
  return {
    name: "l",
    address: { socketAddress: { address: "127.0.0.1", portValue: 10_001 } },
    filterChains: [{ filters: [{ name: "envoy.filters.network.http_connection_manager", typedConfig: manager }] }],
  };
}
