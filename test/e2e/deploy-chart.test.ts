// The Helm chart, rendered by a real Helm: its values, what it runs, and the Envoys that it starts.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load } from "js-yaml";
import { expect, test } from "vitest";
import { chartValues, schemaPaths } from "../../scripts/chart/values.ts";
import { manifests, readme } from "../../scripts/chart.ts";
import { crdFiles } from "../../scripts/crds.ts";
import type { ProxyKey } from "../../src/model/envoy-resource.ts";
import { envoyBootstrap } from "../../src/xds/bootstrap.ts";
import { chartFolder, chartRbac, kubeVersion, plainManifests, renderChart } from "../servers/chart.ts";
import { findEnvoy } from "../servers/envoy.ts";
import { findHelm, helm } from "../servers/helm.ts";
import type { KubeObject } from "../servers/kubernetes-client.ts";

const root = join(import.meta.dirname, "../..");
const withHelm = test.skipIf(findHelm() === undefined);
const withEnvoy = test.skipIf(findHelm() === undefined || findEnvoy() === undefined);

const one = (objects: readonly KubeObject[], kind: string, name: string) => {
  const found = objects.filter((each) => each.kind === kind && each.metadata.name === name);
  expect(found.length, `${kind} ${name}`).toBe(1);
  return found[0] as KubeObject;
};
const kindsOf = (objects: readonly KubeObject[]) => [...new Set(objects.map(({ kind }) => kind))];

test("there are fewer than 80 values, and the schema knows them all", () => {
  const paths = chartValues().map(({ path }) => path);
  expect(paths.length).toBeGreaterThan(40);
  expect(paths.length).toBeLessThan(80);
  expect(
    schemaPaths()
      .filter((path) => path !== "global")
      .sort(),
  ).toEqual([...paths].sort());
});

test("definitions, and the table of values, are up to date", () => {
  const [path, text] = readme();
  const wanted = new Map([...crdFiles(), [path, text]]);
  for (const [file, content] of wanted) expect(readFileSync(join(root, file), "utf8") === content, `${file}: npm run generate`).toBe(true);
});

withHelm("the plain manifests are what the chart gives", () => {
  for (const [file, content] of manifests(findHelm() as string))
    expect(readFileSync(join(root, file), "utf8") === content, `${file}: node scripts/chart.ts`).toBe(true);
});

test("a definition fits into the annotation of kubectl apply", () => {
  const lines = crdFiles().get("deploy/helm/headworks/files/crds.jsonl")!.trim().split("\n");
  expect(lines.length).toBe(15);
  for (const line of lines) expect(Buffer.byteLength(line), line.slice(0, 120)).toBeLessThan(200_000);
});

test("chart and package have one version", () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(load(readFileSync(join(chartFolder, "Chart.yaml"), "utf8"))).toMatchObject({ version, appVersion: version });
});

withHelm("a value that does not exist, or is of the wrong kind, is refused", () => {
  const render = (...set: string[]) => helm("template", "x", chartFolder, ...kubeVersion, "--set", set.join());
  expect(() => render("gatewayProxy.replica=3")).toThrow(/replica/);
  expect(() => render("webhook.failurePolicy=ignore")).toThrow(/failurePolicy/);
  expect(() => render("serviceMonitor.enabled=true")).toThrow(/admin.tokenSecret/);
});

withHelm("there are no Jobs, and everything that is optional can be left out", () => {
  const all = renderChart({ values: { serviceMonitor: { enabled: true }, admin: { tokenSecret: "token" }, crds: { install: true } } });
  expect(kindsOf(all)).toEqual(expect.arrayContaining(["ServiceMonitor", "PodMonitor", "CustomResourceDefinition", "Gateway", "Settings"]));
  expect(kindsOf(all)).not.toContain("Job");
  const off = { enabled: false };
  const least = renderChart({
    values: {
      ...{ webhook: off, networkPolicy: off, podDisruptionBudget: off, gatewayProxy: off },
      ...{ settings: { create: false }, gateways: { create: false }, rbac: { create: false }, xds: { tls: { mode: "none" } } },
    },
  });
  expect(kindsOf(least).sort()).toEqual(["Deployment", "Service", "ServiceAccount"]);
});

withHelm("two releases that discover into one namespace, or watch the same, share no object", () => {
  const values = { settings: { create: false, spec: { discoveryNamespace: "gloo-system" } }, gateways: { create: false } };
  const watching = { ...values, watchNamespaces: ["shop"] };
  for (const more of [values, watching]) {
    const names = ["gloo-system", "headworks"].map((namespace) =>
      renderChart({ namespace, values: more }).map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`),
    );
    const [first = [], second = []] = names;
    expect(first.filter((name) => second.includes(name))).toEqual([]);
  }
});

withHelm("with watched namespaces there is a Role in each, and nothing for the whole cluster but the own webhook", () => {
  const roles = chartRbac({ user: "x", values: { watchNamespaces: ["shop"] } });
  const wide = roles.filter(({ kind }) => kind === "ClusterRole");
  expect(wide.map(({ rules }) => rules)).toEqual([
    [
      {
        apiGroups: ["admissionregistration.k8s.io"],
        resources: ["validatingwebhookconfigurations"],
        resourceNames: ["headworks-gloo-system"],
        verbs: ["get", "list", "watch", "update", "patch"],
      },
    ],
  ]);
  const reading = roles.filter(({ kind, metadata }) => kind === "Role" && metadata.name === "headworks-gloo-system");
  expect(reading.map(({ metadata }) => metadata.namespace)).toEqual(["gloo-system", "shop"]);
});

withHelm("objects themselves may be written only where their statuses have to be", () => {
  const mayWriteObjects = (values: object) =>
    chartRbac({ user: "x", values: { ...values } })
      .flatMap(({ rules = [] }) => rules as { resources: string[]; verbs: string[]; apiGroups: string[] }[])
      .some(
        ({ apiGroups, resources, verbs }) => apiGroups.includes("gateway.solo.io") && resources.includes("*") && verbs.includes("patch"),
      );
  expect(mayWriteObjects({})).toBe(false);
  expect(mayWriteObjects({ rbac: { statusInObject: true } })).toBe(true);
});

withHelm("an alias for Envoys of Gloo is plain text, and has to be asked for as such", () => {
  expect(() => renderChart({ values: { xds: { glooService: true } } })).toThrow(/xds.tls.mode=none/);
  const service = one(renderChart({ values: { xds: { glooService: true, tls: { mode: "none" } } } }), "Service", "gloo");
  expect(service.spec.ports).toEqual([{ name: "grpc-xds", port: 9977, targetPort: "grpc-xds" }]);
});

test("its Envoys have the bootstrap of the library, with probes and metrics added", () => {
  const config = one(plainManifests(), "ConfigMap", "gateway-proxy-envoy-config");
  const { node, dynamic_resources: dynamic, static_resources: fixed, ...rest } = load(config.data["envoy.yaml"]) as Record<string, unknown>;
  const { node: ourNode, dynamic_resources: ourDynamic, static_resources: ourFixed, ...ours } = libraryBootstrap();
  expect(rest).toEqual(ours);
  expect(node).toEqual({ metadata: (ourNode as { metadata: object }).metadata });
  expect(dynamic).toMatchObject(ourDynamic as object);
  expect((fixed as { clusters: object[] }).clusters[0]).toEqual((ourFixed as { clusters: object[] }).clusters[0]);
});

function libraryBootstrap(): Record<string, unknown> {
  const host = "headworks.gloo-system.svc";
  const tls = { caFile: "/etc/xds/ca.crt", certFile: "/etc/xds/tls.crt", keyFile: "/etc/xds/tls.key", serverName: host };
  return envoyBootstrap({
    proxy: "gloo-system~gateway-proxy" as ProxyKey,
    xds: { host, port: 9977 },
    tls,
    admin: { port: 19000 },
    maxHeapBytes: 805_306_368,
    maxConnections: 50_000,
  }) as Record<string, unknown>;
}

withEnvoy("Envoy takes the arguments and the bootstrap, with the certificates of the chart", () => {
  const objects = renderChart();
  const folder = mkdtempSync(join(tmpdir(), "headworks-chart-"));
  try {
    for (const [name, content] of Object.entries(one(objects, "Secret", "gateway-proxy-xds").data as Record<string, string>))
      writeFileSync(join(folder, name), Buffer.from(content, "base64"));
    const bootstrap = (one(objects, "ConfigMap", "gateway-proxy-envoy-config").data["envoy.yaml"] as string).replaceAll("/etc/xds", folder);
    writeFileSync(join(folder, "envoy.yaml"), bootstrap);
    const args = envoyArguments(objects).map((each) => each.replace("/etc/envoy", folder));
    const said = execFileSync(findEnvoy() as string, ["--mode", "validate", ...args], { encoding: "utf8", stdio: "pipe" });
    expect(said).toContain("OK");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

withHelm("Envoys do not look for unknown fields, unless one is told what to do with them", () => {
  const toldOf = (...extraArgs: readonly string[]) =>
    envoyArguments(renderChart({ values: { gatewayProxy: { extraArgs } } })).filter((each) => each.includes("unknown"));
  expect(toldOf()).toEqual(["--ignore-unknown-dynamic-fields"]);
  expect(toldOf("--reject-unknown-dynamic-fields")).toEqual(["--reject-unknown-dynamic-fields"]);
  expect(toldOf("--ignore-unknown-dynamic-fields")).toEqual(["--ignore-unknown-dynamic-fields"]);
});

function envoyArguments(objects: readonly KubeObject[]): readonly string[] {
  const pod = one(objects, "Deployment", "gateway-proxy").spec.template as { spec: { containers: { args: string[] }[] } };
  return pod.spec.containers[0]?.args ?? [];
}
