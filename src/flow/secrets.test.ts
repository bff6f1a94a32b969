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

function secret({ cert, key }: { readonly cert: string; readonly key: string }): Resource {
  const object = {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name: "cert", namespace: "gloo-system" },
    stringData: { "tls.crt": cert, "tls.key": key },
  };
  return readText(JSON.stringify(object), "secret.json").resources[0] as Resource;
}

test("a TLS Secret that becomes bad keeps its last good version in service, and is found fault with itself", () => {
  const flow = new Flow(builtins);
  const publisher = new Publisher(flow, [], (fault) => {
    throw fault;
  });
  const memory = new Memory(flow, undefined);
  const [one, two] = [certificate(), certificate()];
  const settle = (resources: readonly Resource[], isFirst = false) => {
    const result = flow.graph.batch(() => {
      for (const resource of resources) flow.apply("files", resource);
    });
    carryOut(publisher, memory, isFirst ? undefined : result);
  };
  const listener = () => resourcesOfProxy(flow, "gloo-system~gateway-proxy").find(({ typeUrl }) => typeUrl === typeUrls.listener)?.version;
  const faults = () => flow.judged.Secret.entries().flatMap(([, { problems }]) => problems.map(({ reason }) => reason));

  settle([...readText(tlsSite, "site.yaml").resources, secret(one)], true);
  const good = listener();
  expect(good).toBeDefined();

  settle([secret({ cert: one.cert, key: two.key })]);
  expect(listener()).toBe(good);
  expect(faults()).toEqual(["TlsSecretInvalid"]);
  expect(flow.judged.VirtualService.entries().map(([, { status }]) => status?.state)).toEqual(["Accepted"]);

  settle([secret(two)]);
  expect(listener()).not.toBe(good);
  expect(faults()).toEqual([]);
});
