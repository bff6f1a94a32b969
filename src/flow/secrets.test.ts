import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import { typeUrls } from "../model/envoy-resource.ts";
import type { Resource } from "../model/resource.ts";
import { readText } from "../sources/read-text.ts";
import { carryOut } from "./carry-out.ts";
import { Flow } from "./flow.ts";
import { Memory } from "./memory.ts";
import { Publisher, resourcesOfProxy } from "./publisher.ts";

function certificate(): { readonly cert: string; readonly key: string } {
  const folder = mkdtempSync(join(tmpdir(), "cert-"));
  const [key, cert] = [join(folder, "key"), join(folder, "cert")];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      key,
      "-out",
      cert,
      "-days",
      "2",
      "-subj",
      "/CN=a.test",
    ],
    { stdio: "ignore" },
  );
  const pair = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  rmSync(folder, { recursive: true });
  return pair;
}

const tlsSite = `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: gateway-proxy, namespace: gloo-system}
spec: {bindAddress: '::', bindPort: 8443, ssl: true, httpGateway: {}}
---
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: site, namespace: gloo-system}
spec:
  sslConfig: {secretRef: {name: cert, namespace: gloo-system}, sniDomains: [a.test]}
  virtualHost: {domains: [a.test], routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200}}]}
`;

function secret({ cert, key }: { readonly cert: string; readonly key: string }, name = "cert"): Resource {
  const object = {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name, namespace: "gloo-system" },
    stringData: { "tls.crt": cert, "tls.key": key },
  };
  return readText(JSON.stringify(object), "secret.json").resources[0] as Resource;
}

interface Held {
  settle(edit: (flow: Flow) => void): void;
  /** Versions of the listener and of the Secrets that it uses. */
  listener(): string | undefined;
  /** Reasons of findings about Secrets and Gateways. */
  faults(): string[];
  readonly flow: Flow;
}

function held(): Held {
  const flow = new Flow(builtins, { secretsApart: true });
  const publisher = new Publisher(flow, [], (fault) => {
    throw fault;
  });
  const memory = new Memory(flow, undefined);
  let isFirst = true;
  return {
    flow,
    settle(edit) {
      const result = flow.graph.batch(() => edit(flow));
      carryOut(publisher, memory, isFirst ? undefined : result);
      isFirst = false;
    },
    listener() {
      const served = resourcesOfProxy(flow, "gloo-system~gateway-proxy");
      const versions = [typeUrls.listener, typeUrls.secret].flatMap((type) =>
        served.filter(({ typeUrl }) => typeUrl === type).map(({ version }) => version),
      );
      return versions.length === 0 ? undefined : versions.join();
    },
    faults: () =>
      [flow.judged.Secret, flow.judged.Gateway].flatMap((judged) =>
        judged.entries().flatMap(([, { problems }]) => problems.map(({ reason }) => reason)),
      ),
  };
}

const apply = (resources: readonly Resource[]) => (flow: Flow) => {
  for (const resource of resources) flow.apply("files", resource);
};

test("a TLS Secret that becomes bad keeps its last good version in service, and is found fault with itself", () => {
  const { flow, settle, listener, faults } = held();
  const [one, two] = [certificate(), certificate()];
  settle(apply([...readText(tlsSite, "site.yaml").resources, secret(one)]));
  const good = listener();
  expect(good).toBeDefined();

  settle(apply([secret({ cert: one.cert, key: two.key })]));
  expect(listener()).toBe(good);
  expect(faults()).toEqual(["TlsSecretInvalid"]);
  expect(flow.judged.VirtualService.entries().map(([, { status }]) => status?.state)).toEqual(["Accepted"]);

  settle(apply([secret(two)]));
  expect(listener()).not.toBe(good);
  expect(faults()).toEqual([]);
});

test("a TLS Secret that is deleted serves on with a warning, until it is there again or nothing refers to it", () => {
  const { flow, settle, listener, faults } = held();
  const [one, two] = [certificate(), certificate()];
  const site = readText(tlsSite, "site.yaml").resources;
  const { key } = secret(one);
  settle(apply([...site, secret(one)]));
  const good = listener();

  settle((each) => each.delete("files", key));
  expect(listener()).toBe(good);
  expect(faults()).toEqual(["SecretDeleted"]);

  settle(apply([secret(two)]));
  expect(listener()).not.toBe(good);
  expect(faults()).toEqual([]);

  settle((each) => each.delete("files", key));
  expect(listener()).toBeDefined();
  settle((each) => {
    for (const resource of site) if (resource.kind === "VirtualService") each.delete("files", resource.key);
  });
  expect(flow.lastGood(key).get(key)).toBeUndefined();
  settle(apply(site));
  expect(listener()).toBeUndefined();
});

test("the Secret of a listener goes to the proxies that have that listener, and to no other", () => {
  const { flow, settle } = held();
  const other = tlsSite
    .replaceAll("gateway-proxy", "other")
    .replace("bindPort: 8443", "bindPort: 9443, proxyNames: [other], httpGateway: {virtualServiceSelector: {for: other}}")
    .replace("ssl: true, httpGateway: {}", "ssl: true")
    .replace("{name: site,", "{name: other-site, labels: {for: other},")
    .replaceAll("a.test", "b.test")
    .replace("name: cert,", "name: other-cert,");
  const site = tlsSite
    .replace("httpGateway: {}", "httpGateway: {virtualServiceSelector: {for: site}}")
    .replace("{name: site,", "{name: site, labels: {for: site},");
  const [one, two] = [certificate(), certificate()];
  settle(apply([...readText(`${site}---${other}`, "sites.yaml").resources, secret(one), secret(two, "other-cert")]));
  const secretsOf = (proxy: string) =>
    resourcesOfProxy(flow, `gloo-system~${proxy}`).flatMap(({ typeUrl, name }) => (typeUrl === typeUrls.secret ? [name] : []));
  expect(secretsOf("gateway-proxy")).toEqual(["listener/gloo-system/cert"]);
  expect(secretsOf("other")).toEqual(["listener/gloo-system/other-cert"]);
});

test("an API key whose Secret is deleted lets nobody in any more", () => {
  const { flow, settle } = held();
  const key = {
    apiVersion: "v1",
    kind: "Secret",
    type: "extauth.solo.io/apikey",
    metadata: { name: "partner", namespace: "gloo-system" },
    stringData: { "api-key": "let-me-in" },
  };
  const site = `
apiVersion: enterprise.gloo.solo.io/v1
kind: AuthConfig
metadata: {name: partners, namespace: gloo-system}
spec: {configs: [{apiKeyAuth: {headerName: x-api-key, apiKeySecretRefs: [{name: partner, namespace: gloo-system}]}}]}
---
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: gateway-proxy, namespace: gloo-system}
spec: {bindAddress: '::', bindPort: 8080, httpGateway: {}}
---
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: site, namespace: gloo-system}
spec:
  virtualHost:
    domains: [a.test]
    options: {extauth: {configRef: {name: partners, namespace: gloo-system}}}
    routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200}}]
`;
  const knows = () => resourcesOfProxy(flow, "gloo-system~gateway-proxy").some(({ bytes }) => Buffer.from(bytes).includes("let-me-in"));
  const partner = readText(JSON.stringify(key), "secret.json").resources[0] as Resource;
  settle(apply([...readText(site, "site.yaml").resources, partner]));
  expect(knows()).toBe(true);
  settle((each) => each.delete("files", partner.key));
  expect(knows()).toBe(false);
});
