// What the parts of hybrid and TCP Gateways come to, and what they hand down, as with Gloo Edge 1.22.
import type { JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { envoyJson } from "../../src/admin/envoy-json.ts";
import { builtins } from "../../src/builtins.ts";
import { resourcesOf, worldOf } from "../../src/lib/testing/world.ts";
import { typeUrls } from "../../src/model/envoy-resource.ts";
import { assemble } from "../corpus/assemble.ts";

const files = (name: string) => `sslFiles: {tlsCert: /${name}.pem, tlsKey: /${name}.key}`;

const db = "destination: {single: {upstream: {name: db, namespace: gloo-system}}}";
const upstream = `kind: Upstream
metadata: {name: db, namespace: gloo-system}
spec: {static: {hosts: [{addr: 10.0.0.7, port: 5432}]}}`;

function store(name: string, ssl?: string): string {
  return `kind: VirtualService
metadata: {name: ${name}, namespace: gloo-system}
spec: {${ssl === undefined ? "" : `sslConfig: ${ssl}, `}virtualHost: {domains: [${name}.test], routes: [{directResponseAction: {status: 200}}]}}`;
}

function served(
  gateway: string,
  others: readonly string[] = [],
  { settings = {}, annotations = "{}" }: { settings?: JsonObject; annotations?: string } = {},
) {
  const own = `kind: Gateway
metadata: {name: edge, namespace: gloo-system, annotations: ${annotations}}
spec: {bindAddress: "::", bindPort: 8443, ${gateway}}`;
  const { problems, proxies } = assemble(worldOf(resourcesOf([own, upstream, ...others].join("\n---\n")), settings), builtins);
  const [listener] = [...proxies.values()]
    .flat()
    .filter((each) => each.typeUrl === typeUrls.listener)
    .map(envoyJson) as JsonObject[];
  const chains = ((listener?.filterChains ?? []) as JsonObject[]).map(({ filterChainMatch, transportSocket }) => {
    const context = (transportSocket as { typedConfig?: { commonTlsContext?: { tlsCertificates?: JsonObject[] } } } | undefined)
      ?.typedConfig;
    return { match: filterChainMatch, certificate: context?.commonTlsContext?.tlsCertificates?.[0]?.certificateChain, context };
  });
  return {
    chains,
    inspects: ((listener?.listenerFilters ?? []) as JsonObject[]).map(({ name }) => name),
    said: problems.map(({ resource, severity, message }) => `${resource} ${severity}: ${message}`),
  };
}

test("a VirtualService has from the matcher what it does not say about TLS itself", () => {
  const matched = `{matcher: {sslConfig: {${files("shared")}, sniDomains: [all.test]}}, httpGateway: {}}`;
  const { chains, said } = served(`hybridGateway: {matchedGateways: [${matched}]}`, [
    store("named", "{sniDomains: [named.test]}"),
    store("own", `{${files("own")}}`),
  ]);
  expect(said).toEqual([]);
  expect(chains.map(({ match, certificate }) => [match, certificate])).toEqual([
    [{ serverNames: ["named.test"] }, { filename: "/shared.pem" }],
    [{ serverNames: ["all.test"] }, { filename: "/own.pem" }],
  ]);
});

test("of a secret that the matcher names and nobody has, the Gateway is told", () => {
  const matched = "{matcher: {sslConfig: {secretRef: {name: none, namespace: gloo-system}}}, httpGateway: {}}";
  const { said } = served(`hybridGateway: {matchedGateways: [${matched}]}`, [store("a", "{sniDomains: [a.test]}")]);
  expect(said).toEqual(["Gateway gloo-system/edge error: SSL secret not found: list did not find secret gloo-system.none"]);
});

test("TCP hosts without names of their own have those of the matcher", () => {
  const matched = `{matcher: {sslConfig: {sniDomains: [db.test]}}, tcpGateway: {tcpHosts: [{name: db, ${db}}]}}`;
  const { chains, inspects } = served(`hybridGateway: {matchedGateways: [${matched}]}`);
  expect(chains.map(({ match }) => match)).toEqual([{ serverNames: ["db.test"] }]);
  expect(inspects).toEqual(["envoy.filters.listener.tls_inspector"]);
});

test("a TCP host under a name that the matcher does not take is an error of the Gateway", () => {
  const matched = `{matcher: {sslConfig: {sniDomains: [db.test]}}, tcpGateway: {tcpHosts: [{name: db, sslConfig: {sniDomains: [x.test]}, ${db}}]}}`;
  const { said } = served(`hybridGateway: {matchedGateways: [${matched}]}`);
  expect(said).toEqual(["Gateway gloo-system/edge error: gateway has conflicting sni domains [db:x.test]"]);
});

test("where the client names the cluster, its hello is read", () => {
  const { inspects } = served("tcpGateway: {tcpHosts: [{name: sni, destination: {forwardSniClusterName: {}}}]}");
  expect(inspects).toEqual(["envoy.filters.listener.tls_inspector"]);
});

test("a TCP host with sslConfig and neither certificate nor names is no pass-through", () => {
  const { chains, said } = served(`tcpGateway: {tcpHosts: [{name: db, sslConfig: {}, ${db}}]}`);
  expect(chains).toEqual([]);
  expect(said).toEqual(["Gateway gloo-system/edge error: no certificate information found"]);
});

const matchable = (name: string, namespace: string, matcher = "{}") =>
  `kind: MatchableHttpGateway\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {matcher: ${matcher}, httpGateway: {}}`;

test("delegation without a selector means all namespaces, and with TLS only those with TLS", () => {
  const plain = matchable("plain", "shop");
  const secure = matchable("secure", "shop", `{sslConfig: {${files("child")}}}`);
  const hosts = [store("plain"), store("secure", "{sniDomains: [secure.test]}")];
  const all = served("hybridGateway: {delegatedHttpGateways: {}}", [plain, secure, ...hosts]);
  expect(all.chains.map(({ match, certificate }) => [match, certificate])).toEqual([[undefined, undefined]]);
  const parent = `hybridGateway: {delegatedHttpGateways: {sslConfig: {${files("parent")}}, selector: {}}}`;
  expect(served(parent, [plain, secure, ...hosts]).chains.map(({ match, certificate }) => [match, certificate])).toEqual([
    [{ serverNames: ["secure.test"] }, { filename: "/child.pem" }],
  ]);
});

test("the annotation of a Gateway decides on isolation before the Settings, in any way Go reads a boolean", () => {
  const settings = { gateway: { isolateVirtualHostsBySslConfig: true } };
  const hosts = [store("a", `{${files("a")}, sniDomains: [a.test]}`), store("b", `{${files("b")}, sniDomains: [b.test]}`)];
  const routes = (annotations: string, settings: JsonObject) => {
    const own = `kind: Gateway\nmetadata: {name: edge, namespace: gloo-system, annotations: ${annotations}}\nspec: {bindAddress: "::", bindPort: 8443, ssl: true, httpGateway: {}}`;
    const { proxies } = assemble(worldOf(resourcesOf([own, ...hosts].join("\n---\n")), settings), builtins);
    return [...proxies.values()].flat().filter((each) => each.typeUrl === typeUrls.route).length;
  };
  expect(routes("{}", settings)).toBe(2);
  expect(routes('{gateway.solo.io/isolate_vhost: "false"}', settings)).toBe(1);
  expect(routes('{gateway.solo.io/isolate_vhost: "1"}', {})).toBe(2);
  expect(routes('{gateway.solo.io/isolate_vhost: "perhaps"}', settings)).toBe(2);
});

test("with oneWayTls no certificate is asked for, wherever the authority would come from", () => {
  const gateway = "ssl: true, httpGateway: {}";
  const of = (ssl: string) => served(gateway, [store("a", ssl)]).chains[0]?.context;
  for (const ssl of [
    "{oneWayTls: true, sds: {clusterName: sds, certificatesSecretName: c, validationContextName: v}}",
    "{oneWayTls: true, sslFiles: {tlsCert: /c.pem, tlsKey: /c.key, rootCa: /ca.pem}}",
  ]) {
    expect(of(ssl)).toMatchObject({ requireClientCertificate: false });
    expect(JSON.stringify(of(ssl))).not.toMatch(/alidationContext/);
  }
});

test("isolated chains have names and an order of Gloo's, and who comes first keeps a name that several claim", () => {
  const own = `kind: Gateway\nmetadata: {name: edge, namespace: gloo-system}\nspec: {bindAddress: "::", bindPort: 8443, ssl: true, httpGateway: {}}`;
  const hosts = [
    store("a", `{${files("a")}, sniDomains: [a.test, shared.test]}`),
    store("b", `{${files("b")}, sniDomains: [b.test, shared.test]}`),
    store("c", `{${files("c")}, sniDomains: [c.test]}`),
  ];
  const settings = { gateway: { isolateVirtualHostsBySslConfig: true } };
  const { proxies } = assemble(worldOf(resourcesOf([own, ...hosts].join("\n---\n")), settings), builtins);
  const [listener] = [...proxies.values()]
    .flat()
    .filter((each) => each.typeUrl === typeUrls.listener)
    .map(envoyJson) as JsonObject[];
  const chains = ((listener?.filterChains ?? []) as JsonObject[]).map(({ filterChainMatch, filters }) => {
    const [manager] = filters as { typedConfig: { rds: JsonObject } }[];
    return [(filterChainMatch as JsonObject).serverNames, manager?.typedConfig.rds.routeConfigName];
  });
  expect(chains.map(([serverNames]) => serverNames)).toEqual([["b.test"], ["a.test", "shared.test"], ["c.test"]]);
  expect(new Set(chains.map(([, name]) => name)).size).toBe(3);
});

test("matchers that Gloo's hash cannot tell apart have route configurations of their own", () => {
  const matched = (names: string) =>
    `{matcher: {sslConfig: {${files("x")}, sniDomains: ${names}}}, httpGateway: {virtualServiceNamespaces: [gloo-system]}}`;
  const own = `kind: Gateway\nmetadata: {name: edge, namespace: gloo-system}\nspec: {bindAddress: "::", bindPort: 8443, hybridGateway: {matchedGateways: [${matched("[a.test, b.test]")}, ${matched("[a.testb.test]")}]}}`;
  const { proxies } = assemble(worldOf(resourcesOf([own, store("s", "{}")].join("\n---\n"))), builtins);
  const names = [...proxies.values()]
    .flat()
    .filter((each) => each.typeUrl === typeUrls.route)
    .map(({ name }) => name);
  expect(new Set(names).size).toBe(2);
});

test("of a hybrid Gateway with HTTP alone, the lack of any VirtualService is an error, unless empty ones are asked for", () => {
  const gateway = "hybridGateway: {matchedGateways: [{httpGateway: {}}]}";
  const error = "Gateway gloo-system/edge error: hybrid gateway does not have any populated matched gateways";
  const none = served(gateway);
  expect([none.chains, none.said]).toEqual([[], [error]]);
  expect(served(gateway, [store("other", `{${files("a")}}`)]).said).toEqual([]);
  const empty = served(gateway, [], { settings: { gateway: { translateEmptyGateways: true } } });
  expect([empty.chains.length, empty.said]).toEqual([1, []]);
  const tcp = `{matcher: {sourcePrefixRanges: [{addressPrefix: 10.0.0.0, prefixLen: 8}]}, tcpGateway: {tcpHosts: [{name: db, ${db}}]}}`;
  expect(served(`hybridGateway: {matchedGateways: [{httpGateway: {}}, ${tcp}]}`).said).toEqual([]);
});

test("with isolation it is the lack of any VirtualService with TLS, where all that is matched is TLS", () => {
  const settings = { gateway: { isolateVirtualHostsBySslConfig: true } };
  const secure = `hybridGateway: {matchedGateways: [{matcher: {sslConfig: {${files("x")}}}, httpGateway: {}}]}`;
  const error = "Gateway gloo-system/edge error: hybrid gateway does not have any populated matched gateways";
  expect(served(secure, [], { settings }).said).toEqual([]);
  expect(served(secure, [store("plain")], { settings }).said).toEqual([error]);
  expect(served(secure, [store("own", "{}")], { settings }).said).toEqual([]);
});

test("an empty Gateway with TLS opens its port when empty ones are asked for", () => {
  const { chains, said } = served("ssl: true, httpGateway: {}", [], { settings: { gateway: { translateEmptyGateways: true } } });
  expect([chains.map(({ match, certificate }) => [match, certificate]), said]).toEqual([[[undefined, undefined]], []]);
});

test.each([
  ["what a child says of TLS counts, field by field", false, undefined],
  ["a parent has the last word on flags, and not on names and files", true, true],
])("%s", (_, prevents, noTickets) => {
  const child = matchable("c", "shop", `{sslConfig: {${files("child")}, sniDomains: [child.test], disableTlsSessionResumption: false}}`);
  const parent = `sslConfig: {${files("parent")}, sniDomains: [parent.test], disableTlsSessionResumption: true, parameters: {minimumProtocolVersion: TLSv1_2}}`;
  const gateway = `hybridGateway: {delegatedHttpGateways: {preventChildOverrides: ${prevents}, ${parent}, selector: {}}}`;
  const [chain] = served(gateway, [child, store("s", "{}")]).chains;
  expect([chain?.match, chain?.certificate]).toEqual([{ serverNames: ["child.test"] }, { filename: "/child.pem" }]);
  const context = chain?.context as JsonObject | undefined;
  expect(context?.disableStatelessSessionResumption).toBe(noTickets);
  expect(context?.commonTlsContext).toMatchObject({ tlsParams: { tlsMinimumProtocolVersion: "TLSv1_2" } });
});

test("with isolation the chains of TCP come last, without it where they are written", () => {
  const tcp = `{matcher: {sourcePrefixRanges: [{addressPrefix: 10.0.0.0, prefixLen: 8}]}, tcpGateway: {tcpHosts: [{name: db, ${db}}]}}`;
  const isTcp = (settings: JsonObject) =>
    served(`hybridGateway: {matchedGateways: [${tcp}, {httpGateway: {}}]}`, [store("a")], { settings }).chains.map(
      ({ match }) => match !== undefined,
    );
  expect(isTcp({})).toEqual([true, false]);
  expect(isTcp({ gateway: { isolateVirtualHostsBySslConfig: true } })).toEqual([false, true]);
});

test("a subset of a TCP host that its Upstream does not have is passed over", () => {
  const to = "destination: {single: {upstream: {name: db, namespace: gloo-system}, subset: {values: {v: '1'}}}}";
  const { chains, said } = served(`tcpGateway: {tcpHosts: [{name: db, ${to}}]}`);
  expect([chains.length, said]).toEqual([1, []]);
});

test("a hybrid Gateway that takes TLS reads hellos, also while no VirtualService has any", () => {
  const secure = `{matcher: {sslConfig: {${files("x")}}}, httpGateway: {}}`;
  const { inspects, chains } = served(`hybridGateway: {matchedGateways: [${secure}, {httpGateway: {}}]}`, [store("plain")]);
  expect([inspects, chains.length]).toEqual([["envoy.filters.listener.tls_inspector"], 1]);
});
