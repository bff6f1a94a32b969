// The admission webhook, asked by a real API server.
import { request } from "node:https";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startKubeProxy } from "../servers/kubernetes-proxy.ts";
import { freePorts } from "../servers/ports.ts";
import { type Cluster, cluster, hasKubernetes, startOn } from "./cluster.ts";
import { object, until, upstream, virtualService } from "./gateway.ts";
import type { Running } from "./headworks.ts";

const configuration = "headworks-test";
const services = "virtualservices.gateway.solo.io";

describe.skipIf(!hasKubernetes)("the admission webhook", () => {
  let on: Cluster;
  let port: number;
  let running: Running;
  beforeAll(async () => {
    on = await cluster({ users: [{ name: "user", token: "user-token", groups: ["system:masters"] }] });
    [port = 0] = await freePorts(1);
    await on.kubernetes.apply(webhookConfiguration(port));
    running = startOn(
      on,
      "--proxy",
      "none",
      "--xds",
      "127.0.0.1:0",
      "--webhook",
      `127.0.0.1:${port}`,
      "--webhook-configuration",
      configuration,
    );
    await running.said(/ ready {2}/);
    await running.said(/admission webhook is up/);
    await until("it is trusted", async () => {
      const found = await on.kubernetes.get("validatingwebhookconfigurations.admissionregistration.k8s.io", "", configuration);
      return found?.webhooks[0].clientConfig.caBundle !== undefined;
    });
    // From here on nobody gets by it.
    await until("it is asked", async () => /typo/.test((await apply(object("Upstream", "probe", { static: { typo: 1 } }), true)).warnings));
  });
  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
    await on?.[Symbol.asyncDispose]();
  });

  /** As kubectl does, with the warnings that it would show. */
  const apply = (
    manifest: ReturnType<typeof object>,
    isDry = false,
    method = "PATCH",
  ): Promise<{ status: number; warnings: string; message: string }> => {
    const [group, version] = manifest.apiVersion.split("/");
    const plural = `${manifest.kind.toLowerCase()}${manifest.kind === "Settings" ? "" : "s"}`;
    const { namespace, name } = manifest.metadata;
    const query = new URLSearchParams({
      ...(method === "PATCH" && { fieldManager: "user", force: "true" }),
      ...(isDry && { dryRun: "All" }),
    });
    const path = `/apis/${group}/${version}/namespaces/${namespace}/${plural}/${name}?${query}`;
    return send(method, `${on.kubernetes.url}${path}`, method === "PATCH" ? JSON.stringify(manifest) : undefined, {
      authorization: "Bearer user-token",
      "content-type": "application/apply-patch+yaml",
    });
  };
  const settings = (validation: object) => object("Settings", "default", { gateway: { validation } });
  const seen = async (check: () => Promise<boolean>) => until("the control plane has seen it", check);

  test("by default everything is let in, and the user reads the findings at once", async () => {
    const lost = await apply(virtualService("lost", "nowhere"));
    expect(lost).toMatchObject({ status: 201 });
    expect(lost.warnings).toMatch(/warning HW2030 .*nowhere.* at virtualHost\.routes\[0\]/);
    const typo = await apply(object("Upstream", "typo", { static: { hots: [] } }));
    expect(typo.warnings).toMatch(/HW1003 .*hots.*hosts/);
    expect(typo.status).toBe(201);
    expect((await apply(upstream("fine", 80))).warnings).toBe("");
  });

  test("where Settings want it, what is newly broken is refused; what was broken before is nobody's obstacle", async () => {
    const bad = (prefix: string) =>
      object("VirtualService", "bad", {
        virtualHost: {
          domains: ["bad.test"],
          routes: [{ matchers: [{ prefix }], directResponseAction: { status: 200 }, options: { timeout: "soon" } }],
        },
      });
    expect((await apply(bad("/old"))).status).toBe(201);
    await apply(settings({ alwaysAccept: false }));
    const refused = object("VirtualService", "worse", {
      virtualHost: { domains: ["worse.test"], routes: [{ directResponseAction: { status: 200 }, options: { timeout: "soon" } }] },
    });
    await seen(async () => (await apply(refused, true)).status === 422);
    const answer = await apply(refused);
    expect(answer).toMatchObject({ status: 422 });
    expect(answer.message).toMatch(/with this VirtualService:\s+error HW\d{4} .*soon.* at virtualHost\.routes\[0\]\.options\.timeout/);
    expect(await on.kubernetes.get(services, "gloo-system", "worse")).toBeUndefined();
    // It has that finding already.
    await seen(async () => (await apply(bad("/new"), true)).status === 200);
    expect((await apply(bad("/new"))).status).toBe(200);
    // A destination that is not there yet is a warning: order does not matter.
    expect((await apply(virtualService("early", "later"))).status).toBe(201);

    await apply(settings({ alwaysAccept: false, allowWarnings: false }));
    await seen(async () => (await apply(virtualService("strict", "nowhere"), true)).status === 422);
    // What others miss is not this one's fault; what it takes from others is.
    expect((await apply(object("VirtualService", "early", {}), false, "DELETE")).status).toBe(200);
    await apply(virtualService("user", "fine"));
    await seen(async () => (await apply(upstream("fine", 80), true, "DELETE")).status === 422);
    const deleted = await apply(upstream("fine", 80), false, "DELETE");
    expect(deleted).toMatchObject({ status: 422 });
    expect(deleted.message).toMatch(/without this Upstream:\s+warning HW2030 VirtualService gloo-system\/user: .*fine/);
    await on.kubernetes.delete("settings.gloo.solo.io", "gloo-system", "default");
    await seen(async () => (await apply(refused, true)).status === 201);
  });

  test("statuses are nobody's business, and rubbish gets an answer", async () => {
    await on.kubernetes.patch(services, "gloo-system", "lost", { status: { x: 1 } }, "status");
    const to = (method: string, path: string, body?: string, type = "application/json") =>
      send(method, `https://localhost:${port}${path}`, body, { "content-type": type });
    expect((await to("GET", "/validation")).status).toBe(405);
    expect((await to("POST", "/other", "{}")).status).toBe(404);
    expect((await to("POST", "/validation", "{}", "text/plain")).status).toBe(415);
    for (const body of ["", "{", "null", "[]", "{}", JSON.stringify({ kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1beta1" })])
      expect((await to("POST", "/validation", body)).status).toBe(400);
    expect((await to("POST", "/validation", " ".repeat(4_000_000))).status).toBe(413);
    const review = (request: object) => JSON.stringify({ kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", request });
    const foreign = await to(
      "POST",
      "/validation",
      review({ uid: "7", operation: "CREATE", object: { apiVersion: "v1", kind: "Pod", metadata: { name: "x" } } }),
    );
    expect(JSON.parse(foreign.text)).toMatchObject({ response: { uid: "7", allowed: true } });
    const deep = `{"uid":"8","operation":"CREATE","object":{"apiVersion":"gloo.solo.io/v1","kind":"Upstream","metadata":{"name":"x","namespace":"y"},"spec":${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}}}`;
    const answered = await to("POST", "/validation", `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":${deep}}`);
    expect([200, 400]).toContain(answered.status);
    expect((await to("POST", "/validation", review({ uid: "9", operation: "DELETE" }))).status).toBe(200);
  });

  test("a replica is ready when its webhook listens, and does not wait for it for ever", async () => {
    await using proxy = await startKubeProxy(on.kubernetes);
    // Its certificate cannot be had.
    const isCertificate = (url = "") => url.includes("/secrets/late-webhook");
    const busy = { status: 503, body: "" };
    const start = async () => {
      const [admin = 0, webhook = 0] = await freePorts(2);
      const addresses = ["--xds", "127.0.0.1:0", "--admin", `127.0.0.1:${admin}`, "--webhook", `127.0.0.1:${webhook}`];
      const options = ["--kubeconfig", proxy.kubeconfigPath, "--proxy", "none", "--webhook-secret", "late-webhook", "--read-only"];
      const replica = startOn(on, ...options, ...addresses);
      await replica.said(/ ready {2}/);
      const readiness = async () => {
        const answer = await fetch(`http://127.0.0.1:${admin}/readyz?verbose`);
        return { status: answer.status, text: await answer.text() };
      };
      const ask = () => send("GET", `https://localhost:${webhook}/validation`, undefined, {}).then(({ status }) => status);
      return { replica, readiness, ask };
    };
    proxy.behaviour = { answer: ({ url }) => (isCertificate(url) ? busy : undefined) };
    {
      const { replica, readiness, ask } = await start();
      await using _ = replica;
      expect(await readiness()).toMatchObject({
        status: 503,
        text: expect.stringMatching(/\[\+\] configuration read ok\n.*\n\[-\] admission webhook/),
      });
      await expect(ask()).rejects.toThrow("ECONNREFUSED");
      proxy.behaviour = {};
      await until("it is ready", async () => (await readiness()).status === 200);
      expect(await ask()).toBe(405);
    }
    if (process.env.HEADWORKS_LONG !== "1") return;
    proxy.behaviour = { answer: ({ url }) => (isCertificate(url) ? busy : undefined) };
    const { replica, readiness } = await start();
    await using _ = replica;
    expect((await readiness()).status).toBe(503);
    await until("Envoys need not wait any longer", async () => (await readiness()).status === 200, 30_000);
    expect(replica.stderr()).toContain("the webhook has no certificate yet");
  });

  test("a restart keeps the certificate", async () => {
    const before = await on.kubernetes.get("secrets", "gloo-system", "headworks-webhook");
    await running[Symbol.asyncDispose]();
    // Nobody is there: what is applied is let in.
    expect((await apply(virtualService("alone", "nowhere"))).status).toBe(201);
    running = startOn(
      on,
      "--proxy",
      "none",
      "--xds",
      "127.0.0.1:0",
      "--webhook",
      `127.0.0.1:${port}`,
      "--webhook-configuration",
      configuration,
    );
    await running.said(/admission webhook is up/);
    expect((await on.kubernetes.get("secrets", "gloo-system", "headworks-webhook"))?.data).toEqual(before?.data);
    await until("it is asked", async () => (await apply(virtualService("again", "nowhere"), true)).warnings !== "");
  });
});

function webhookConfiguration(port: number) {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    metadata: { name: configuration },
    webhooks: [
      {
        name: "configuration.headworks.test.svc",
        clientConfig: { url: `https://localhost:${port}/validation` },
        rules: [
          {
            apiGroups: ["gloo.solo.io", "gateway.solo.io"],
            apiVersions: ["v1"],
            resources: ["*"],
            operations: ["CREATE", "UPDATE", "DELETE"],
          },
        ],
        failurePolicy: "Ignore",
        sideEffects: "None",
        timeoutSeconds: 5,
        admissionReviewVersions: ["v1"],
      },
    ],
  };
}

function send(
  method: string,
  url: string,
  body: string | undefined,
  headers: Record<string, string>,
): Promise<{ status: number; warnings: string; message: string; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, rejectUnauthorized: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        const { message = "" } = text.startsWith("{") ? JSON.parse(text) : {};
        resolve({ status: response.statusCode ?? 0, warnings: [response.headers.warning ?? ""].flat().join("\n"), message, text });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
