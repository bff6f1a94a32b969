// What random Upstreams name: certificates, Secrets, Services with addresses, Settings with a Consul.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { certificates } from "../../dataplane/testing/certificates.ts";
import type { Surroundings } from "./randomUpstreams.ts";

export interface RealSurroundings extends Surroundings, Disposable {
  /** As files of a folder have them. */
  readonly objects: readonly object[];
}

export function surroundings(): RealSurroundings {
  const made = certificates();
  const authority = made.selfSigned("authority.test");
  const leaf = made.signed("a.test", authority);
  const file = (name: string, text: string) => {
    writeFileSync(join(made.folder, name), text);
    return join(made.folder, name);
  };
  const secrets = { tls: "tls", stapled: "stapled", authority: "authority", headers: "headers", azure: "azure", aws: "aws" };
  return {
    files: {
      certificate: file("leaf.pem", leaf.certificate),
      key: file("leaf.key", leaf.key),
      authority: file("authority.pem", authority.certificate),
      staple: file("leaf.ocsp", "of no server"),
    },
    secrets,
    sdsCluster: "gateway_proxy_sds",
    objects: [
      secret(secrets.tls, {
        type: "kubernetes.io/tls",
        stringData: { "tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": authority.certificate },
      }),
      secret(secrets.stapled, {
        type: "kubernetes.io/tls",
        stringData: { "tls.crt": leaf.certificate, "tls.key": leaf.key, "tls.ocsp-staple": "of no server" },
      }),
      secret(secrets.authority, { type: "kubernetes.io/tls", stringData: { "ca.crt": authority.certificate } }),
      secret(secrets.headers, { type: "gloo.solo.io/header", stringData: { authorization: "Bearer token", "x-c": "d" } }),
      secret(secrets.azure, { type: "Opaque", stringData: { azure: "apiKeys: {_master: key}" } }, { resource_kind: "*v1.Secret" }),
      secret(secrets.aws, { type: "Opaque", stringData: { aws_access_key_id: "AKIA", aws_secret_access_key: "secret" } }),
      ...service("web", 1),
      ...service("many", 5),
      object("gloo.solo.io/v1", "Settings", "default", "gloo-system", {
        discovery: { fdsMode: "DISABLED", udsOptions: { enabled: false } },
        consul: { httpAddress: "127.0.0.1:1", serviceDiscovery: {} },
      }),
    ],
    [Symbol.dispose]: () => made[Symbol.dispose](),
  };
}

/** An object in the envelope of Kubernetes. */
export function object(apiVersion: string, kind: string, name: string, namespace: string, spec: object): object {
  return { apiVersion, kind, metadata: { name, namespace }, spec };
}

function secret(name: string, body: object, annotations: object = {}): object {
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "shop", annotations }, ...body };
}

function service(name: string, count: number): object[] {
  const addresses = Array.from({ length: count }, (_, i) => ({ ip: `127.0.1.${i + 1}` }));
  return [
    object("v1", "Service", name, "shop", { ports: [{ name: "http", port: 80 }] }),
    {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: { name, namespace: "shop" },
      subsets: [{ addresses, ports: [{ name: "http", port: 8080 }] }],
    },
  ];
}
