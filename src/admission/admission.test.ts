// The webhook's certificate and configuration, as the chart has them, beside a real API server and with the chart's rights.
import { X509Certificate } from "node:crypto";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { chartRbac, plainManifests } from "../../test/servers/chart.ts";
import { type RunningKubernetes, startKubernetes } from "../../test/servers/kubernetes.ts";
import { findKubernetes } from "../../test/servers/kubernetes-binaries.ts";
import type { KubeObject } from "../../test/servers/kubernetes-client.ts";
import { type KubeApi, kubeApi } from "../lib/kubernetes/api.ts";
import { steady } from "../lib/testing/eventually.ts";
import { certificates } from "./certificate.ts";
import type { ServerCertificate } from "./server.ts";

const patience = { timeout: 60_000, interval: 20 };
const kind = "validatingwebhookconfigurations.admissionregistration.k8s.io";
const name = "headworks-gloo-system";
const accounts = {
  headworks: "system:serviceaccount:gloo-system:headworks",
  namespaces: "system:serviceaccount:kube-system:namespace-controller",
};

describe.skipIf(findKubernetes() === undefined)("the webhook of a cluster", () => {
  let kubernetes: RunningKubernetes;
  const configuration = plainManifests().find((each) => each.kind === "ValidatingWebhookConfiguration") as KubeObject;
  beforeAll(async () => {
    kubernetes = await startKubernetes({
      users: [
        { name: "limited", token: "limited-token" },
        { name: accounts.headworks, token: "own-token", groups: ["system:masters"] },
        { name: accounts.namespaces, token: "namespaces-token", groups: ["system:masters"] },
      ],
    });
    await kubernetes.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "gloo-system" } });
    await kubernetes.apply(...chartRbac({ user: "limited" }));
  });
  afterAll(() => kubernetes?.[Symbol.asyncDispose]());

  /** A replica, with all certificates that it was given. */
  const replica = async (secret: string, change: (api: KubeApi) => Partial<KubeApi> = () => ({})) => {
    const real = await kubeApi({ kubeconfig: kubernetes.kubeconfig({ token: "limited-token" }) });
    const api: KubeApi = { ...real, ...change(real) };
    const ended = new AbortController();
    const given: ServerCertificate[] = [];
    const log = pino({ level: "silent" }) as never;
    const options = { api, namespace: "gloo-system", service: "headworks", secret, configuration: name, log };
    const run = (async () => {
      for await (const each of certificates(options, ended.signal)) given.push(each);
    })();
    return {
      given,
      async [Symbol.asyncDispose]() {
        ended.abort();
        await run;
        real[Symbol.dispose]();
      },
    };
  };
  const bundle = async () => (await kubernetes.get(kind, "", name))?.webhooks[0].clientConfig.caBundle as string | undefined;
  const base64 = (text: string | undefined) => Buffer.from(text ?? "").toString("base64");
  const secretOf = (secret: string) => kubernetes.get("secrets", "gloo-system", secret);
  const fresh = async () => {
    await kubernetes.delete("secrets", "gloo-system", "headworks-webhook");
    await kubernetes.delete(kind, "", name);
    await kubernetes.apply(configuration);
  };

  test("two replicas that begin at the same moment have one certificate, and both have it at once", async () => {
    await fresh();
    const both = Promise.withResolvers<void>();
    let asked = 0;
    // Neither sees the Secret before the other has looked.
    const together = (api: KubeApi): Partial<KubeApi> => ({
      get: async (type, ref, options) => {
        const found = api.get(type, ref, options);
        if (type.kind !== "Secret") return found;
        await found.catch(() => undefined);
        if (++asked === 2) both.resolve();
        await both.promise;
        return found;
      },
    });
    await using one = await replica("headworks-webhook", together);
    await using two = await replica("headworks-webhook", together);
    await vi.waitFor(() => expect([one.given.length, two.given.length]).toEqual([1, 1]), patience);
    expect(one.given[0]?.cert).toBe(two.given[0]?.cert);
    await vi.waitFor(async () => expect(await bundle()).toBe(base64(one.given[0]?.cert)), patience);
  });

  test("a configuration that is replaced, or made anew, has its authority again at once", async () => {
    await fresh();
    await using run = await replica("headworks-webhook");
    await vi.waitFor(async () => expect(await bundle()).toBeDefined(), patience);
    const wanted = base64(run.given[0]?.cert);
    const { metadata } = (await kubernetes.get(kind, "", name)) as KubeObject;
    // As `helm upgrade --force` and `kubectl replace` do.
    const { status } = await kubernetes.request("PUT", `/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/${name}`, {
      ...configuration,
      metadata: { ...configuration.metadata, resourceVersion: metadata.resourceVersion },
    });
    expect(status).toBe(200);
    await vi.waitFor(async () => expect(await bundle()).toBe(wanted), patience);
    await kubernetes.delete(kind, "", name);
    await kubernetes.apply(configuration);
    await vi.waitFor(async () => expect(await bundle()).toBe(wanted), patience);
    // An ordinary upgrade leaves it alone.
    const writes = () => kubernetes.writes().filter((each) => each.user === "limited" && each.name === name && each.status === 200).length;
    const before = await steady(writes);
    await kubernetes.apply({ ...configuration, metadata: { ...configuration.metadata, labels: { "app.kubernetes.io/version": "next" } } });
    expect(await bundle()).toBe(wanted);
    expect(writes()).toBe(before);
    expect(run.given).toHaveLength(1);
  });

  test("a certificate that another replica has renewed is served at once, and both are trusted", async () => {
    await fresh();
    await using run = await replica("headworks-webhook");
    await vi.waitFor(async () => expect(await bundle()).toBeDefined(), patience);
    const old = run.given[0] as ServerCertificate;
    const next = await madeElsewhere();
    await kubernetes.patch("secrets", "gloo-system", "headworks-webhook", {
      data: { "tls.crt": base64(next.cert), "tls.key": base64(next.key), "ca.crt": base64(next.cert + old.cert) },
    });
    await vi.waitFor(() => expect(run.given[1]?.cert).toBe(next.cert), patience);
    expect(await bundle()).toBe(base64(next.cert + old.cert));
  });

  test("a key that belongs to another certificate is never served; the pair is made anew", async () => {
    await fresh();
    const [one, other] = [await madeElsewhere(), await madeElsewhere()];
    await kubernetes.apply(tlsSecret({ "tls.crt": base64(one.cert), "tls.key": base64(other.key) }));
    await using run = await replica("headworks-webhook");
    await vi.waitFor(() => expect(run.given).toHaveLength(1), patience);
    expect(run.given[0]?.cert).not.toBe(one.cert);
    expect(new X509Certificate(run.given[0]?.cert ?? "").checkHost("headworks.gloo-system.svc")).toBeDefined();
  });

  test("without a configuration there is a certificate all the same, and it is trusted when the configuration comes", async () => {
    await fresh();
    await kubernetes.delete(kind, "", name);
    await using run = await replica("headworks-webhook");
    await vi.waitFor(() => expect(run.given).toHaveLength(1), patience);
    await kubernetes.apply(configuration);
    await vi.waitFor(async () => expect(await bundle()).toBe(base64(run.given[0]?.cert)), patience);
    expect((await secretOf("headworks-webhook"))?.type).toBe("kubernetes.io/tls");
  });

  test("where nobody answers and failurePolicy is Fail, namespaces can be deleted, and our own writes go through", async () => {
    const strict = { ...configuration, webhooks: configuration.webhooks.map((each: object) => ({ ...each, failurePolicy: "Fail" })) };
    await kubernetes.delete(kind, "", name);
    await kubernetes.apply(definition, ...["a", "b"].map(upstream));
    await kubernetes.apply(strict);
    const path = (each: string) => `/apis/gloo.solo.io/v1/namespaces/gloo-system/upstreams/${each}`;
    const statusFor = async (token: string, method: string, each: string, body?: object) =>
      (await kubernetes.as(token).request(method, path(each), body, { contentType: "application/merge-patch+json" })).status;
    const edit = { metadata: { labels: { a: "b" } } };
    await vi.waitFor(async () => expect(await statusFor(kubernetes.adminToken, "PATCH", "a", edit)).toBe(500), patience);
    expect(await statusFor("own-token", "PATCH", "a", edit)).toBe(200);
    expect(await statusFor(kubernetes.adminToken, "DELETE", "b")).toBe(500);
    expect(await statusFor("namespaces-token", "DELETE", "b")).toBe(200);
  });

  /** As another replica makes one: with a Secret of its own, so that nobody minds. */
  const madeElsewhere = async (): Promise<ServerCertificate> => {
    const api = await kubeApi({ kubeconfig: kubernetes.kubeconfigPath });
    const log = pino({ level: "silent" }) as never;
    const options = { api, namespace: "gloo-system", service: "headworks", secret: "elsewhere", configuration: undefined, log };
    try {
      for await (const each of certificates(options, new AbortController().signal)) return each;
      throw new Error("there is no certificate");
    } finally {
      api[Symbol.dispose]();
      await kubernetes.delete("secrets", "gloo-system", "elsewhere");
    }
  };
});

function tlsSecret(data: object) {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace: "gloo-system", name: "headworks-webhook" },
    type: "kubernetes.io/tls",
    data,
  };
}

function upstream(name: string) {
  return { apiVersion: "gloo.solo.io/v1", kind: "Upstream", metadata: { namespace: "gloo-system", name }, spec: {} };
}

const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "upstreams.gloo.solo.io" },
  spec: {
    group: "gloo.solo.io",
    names: { kind: "Upstream", listKind: "UpstreamList", plural: "upstreams", singular: "upstream" },
    scope: "Namespaced",
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};
