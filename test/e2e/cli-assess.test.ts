// What `headworks migrate assess` says of a Gloo installation: of its objects in a folder, and of everything in a cluster.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "js-yaml";
import { describe, expect, test } from "vitest";
import { startKubernetes } from "../servers/kubernetes.ts";
import { hasKubernetes } from "./cluster.ts";
import { object } from "./gateway.ts";
import { headworks } from "./headworks.ts";

const route = { matchers: [{ prefix: "/" }], routeAction: { single: { upstream: { name: "web", namespace: "gloo-system" } } } };
const objects = [
  object("Upstream", "web", { static: { hosts: [{ addr: "127.0.0.1", port: 9090 }] } }),
  object("Upstream", "broken", { static: { hosts: [] } }),
  object("Gateway", "gateway-proxy", { bindAddress: "::", bindPort: 8080, httpGateway: {} }),
  object("VirtualService", "good", { virtualHost: { domains: ["a"], routes: [route] } }),
  object("Upstream", "tls", {
    static: { hosts: [{ addr: "127.0.0.1", port: 9091 }] },
    sslConfig: { secretRef: { name: "cert", namespace: "gloo-system" } },
  }),
  object("VirtualService", "waf", {
    virtualHost: { domains: ["b"], options: { waf: { customInterventionMessage: "no" } }, routes: [route] },
  }),
  object("Settings", "default", { refreshRate: "60s", gloo: { xdsBindAddr: "0.0.0.0:9977" }, discoveryNamespace: "gloo-system" }),
  {
    ...object("Upstream", "default-web-80", { kube: { serviceName: "web", serviceNamespace: "default", servicePort: 80 } }),
    metadata: { name: "default-web-80", namespace: "gloo-system", labels: { discovered_by: "kubernetesplugin" } },
  },
];

function expectObjects(json: { summary: unknown; topics: { code: string; isEnterprise: boolean; advice: string; findings: unknown[] }[] }) {
  const enterprise = json.topics.find(({ code }) => code === "HW2043");
  expect(enterprise).toMatchObject({ severity: "error", isEnterprise: true, findings: [{ resource: { name: "waf" } }] });
  expect(json.topics.find(({ findings }) => JSON.stringify(findings).includes('"broken"'))).toMatchObject({ isEnterprise: false });
  for (const topic of json.topics) expect(topic.advice).not.toBe("");
}

const subjects = (notes: readonly { subject: string; weight: string }[]) => notes.map(({ subject, weight }) => `${weight}: ${subject}`);

describe("of a folder", () => {
  test("objects are counted by kind, findings are grouped, Settings without effect are named", async () => {
    const items = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
    const run = await headworks(["migrate", "assess", "-", "-o", "json"], { stdin: items });
    expect(run.code).toBe(1);
    const json = JSON.parse(run.stdout);
    expectObjects(json);
    expect(json.kinds.find(({ kind }: { kind: string }) => kind === "VirtualService")).toMatchObject({
      total: 2,
      asIs: 1,
      notInService: 1,
    });
    expect(subjects(json.notes)).toEqual([
      "info: Settings gloo-system/default gloo.xdsBindAddr",
      "info: Settings gloo-system/default refreshRate",
      "differs: 1 Upstreams that Gloo's discovery has written",
    ]);
  });

  test("for people, and with 0 where all runs", async () => {
    const good = JSON.stringify({ apiVersion: "v1", kind: "List", items: [objects[0], objects[2], objects[3]] });
    const run = await headworks(["migrate", "assess", "-"], { stdin: good });
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/^VirtualService +1 +1 +0 +0$/m);
    expect(run.stdout).toContain("3 resources in stdin: 3 run as they are, 0 with a warning, 0 not, or not all of it\n");
    expect((await headworks(["migrate", "assess", "-"], { stdin: "" })).code).toBe(2);
  });
});

/** As Gloo's are: without a status subresource. */
function glooDefinitions(): object[] {
  const folder = join(import.meta.dirname, "../../deploy/crds");
  return readdirSync(folder).map((file) => {
    const crd = load(readFileSync(join(folder, file), "utf8")) as { spec: { versions: { subresources?: object }[] } };
    for (const version of crd.spec.versions) delete version.subresources;
    return crd;
  });
}

const deployment = (name: string, image: string) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace: "gloo-system" },
  spec: {
    selector: { matchLabels: { gloo: name } },
    template: { metadata: { labels: { gloo: name } }, spec: { containers: [{ name, image }] } },
  },
});

/** All kinds of the API, and these of Kubernetes. */
function mayRead(user: string, ...resources: string[]): object[] {
  const verbs = ["get", "list"];
  const metadata = { name: user };
  const apiGroup = "rbac.authorization.k8s.io";
  const rules = [
    { apiGroups: ["*"], resources, verbs },
    { apiGroups: ["gloo.solo.io", "gateway.solo.io", "enterprise.gloo.solo.io", "ratelimit.solo.io"], resources: ["*"], verbs },
  ];
  return [
    { apiVersion: `${apiGroup}/v1`, kind: "ClusterRole", metadata, rules },
    {
      apiVersion: `${apiGroup}/v1`,
      kind: "ClusterRoleBinding",
      metadata,
      roleRef: { apiGroup, kind: "ClusterRole", name: user },
      subjects: [{ apiGroup, kind: "User", name: user }],
    },
  ];
}

describe.skipIf(!hasKubernetes)("of a cluster", () => {
  test("definitions, controllers, proxies and webhooks are looked at, too, and nothing is written", async () => {
    await using kubernetes = await startKubernetes({ users: [{ name: "looker", token: "looker" }] });
    await kubernetes.apply(...glooDefinitions());
    await kubernetes.apply(
      ...objects,
      deployment("gloo", "quay.io/solo-io/gloo:1.22.0"),
      deployment("gateway-proxy", "quay.io/solo-io/gloo-envoy-wrapper:1.22.0"),
      deployment("extauth", "quay.io/solo-io/extauth-ee:1.22.0"),
      deployment("unrelated", "nginx:1"),
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "gateway-proxy-envoy-config", namespace: "gloo-system" },
        data: { "envoy.yaml": 'node: {metadata: {role: "gloo-system~gateway-proxy"}}' },
      },
      {
        apiVersion: "networking.k8s.io/v1",
        kind: "Ingress",
        metadata: { name: "old", namespace: "gloo-system", annotations: { "kubernetes.io/ingress.class": "gloo" } },
        spec: { defaultBackend: { service: { name: "web", port: { number: 80 } } } },
      },
    );
    await kubernetes.patch("upstreams.gloo.solo.io", "gloo-system", "broken", {
      status: { statuses: { "gloo-system": { state: 2, reason: "no hosts", reportedBy: "gloo" } } },
    });
    await kubernetes.apply(...mayRead("looker", "*"));
    // Last: from here on the API server asks it about every write.
    await kubernetes.apply({
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: { name: "gloo-gateway-validation-webhook-gloo-system" },
      webhooks: [
        {
          name: "gloo.gloo-system.svc",
          clientConfig: { service: { name: "gloo", namespace: "gloo-system" } },
          rules: [{ apiGroups: ["gateway.solo.io"], apiVersions: ["v1"], operations: ["*"], resources: ["*"] }],
          failurePolicy: "Fail",
          sideEffects: "None",
          admissionReviewVersions: ["v1"],
        },
      ],
    });
    const run = await headworks(["migrate", "assess", "--kubeconfig", kubernetes.kubeconfig({ token: "looker" }), "-o", "json"]);
    expect(run).toMatchObject({ code: 1, stderr: "" });
    const json = JSON.parse(run.stdout);
    expectObjects(json);
    expect(json.summary).toMatchObject({ rejectedBefore: 1 });
    const found = subjects(json.notes);
    expect(found).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^differs: definitions of .*upstreams/),
        "differs: Deployment gloo-system/gloo",
        "differs: Deployment gloo-system/gateway-proxy",
        "differs: Deployment gloo-system/extauth",
        "info: ConfigMap gloo-system/gateway-proxy-envoy-config",
        "blocks: ValidatingWebhookConfiguration gloo-gateway-validation-webhook-gloo-system",
        "blocks: Ingress gloo-system/old",
      ]),
    );
    expect(found.join()).not.toContain("unrelated");
    expect(json.notes.filter(({ isEnterprise }: { isEnterprise?: boolean }) => isEnterprise)).toMatchObject([
      { subject: "Deployment gloo-system/extauth" },
    ]);
    // A guest may read neither Secrets nor Deployments.
    await kubernetes.delete("clusterrolebindings.rbac.authorization.k8s.io", "", "looker");
    await kubernetes.apply(...mayRead("looker", "services", "configmaps", "namespaces", "endpointslices", "ingresses"));
    const guest = await headworks(["migrate", "assess", "--kubeconfig", kubernetes.kubeconfig({ token: "looker" }), "-o", "json"]);
    expect(guest).toMatchObject({ code: 1, stderr: "" });
    const notes = JSON.parse(guest.stdout).notes as { subject: string; what: string }[];
    for (const subject of ["Secrets", "deployments.apps", "validatingwebhookconfigurations.admissionregistration.k8s.io"])
      expect(notes.find((each) => each.subject === subject)?.what).toContain("may not be read by you");
    expectObjects(JSON.parse(guest.stdout));
    // Nothing is made up about what was not seen.
    expect(run.stdout).toContain("TlsSecretNotFound");
    expect(guest.stdout).not.toContain("TlsSecretNotFound");

    expect(kubernetes.writes().filter(({ user }) => user === "looker")).toEqual([]);
  });
});
