// The Helm chart, rendered for tests: what a test lets Headworks do in a cluster is what the chart lets it do.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import { helm } from "./helm.ts";
import type { KubeObject } from "./kubernetes-client.ts";

const deploy = join(import.meta.dirname, "../../deploy");

export const chartFolder = join(deploy, "helm/headworks");

/** Without a cluster, Helm takes an old version for granted. */
export const kubeVersion = ["--kube-version", "1.36.3"];

const knownKinds = ["gloo.solo.io/v1/Settings", "gateway.solo.io/v1/Gateway"].flatMap((kind) => ["--api-versions", kind]);

export interface ChartOptions {
  readonly release?: string;
  readonly namespace?: string;
  /** As in values.yaml; definitions are left out unless `crds: { install: true }`. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/** The objects of the chart, in the order of Helm, for a cluster that has the definitions. */
export function renderChart({ release = "headworks", namespace = "gloo-system", values = {} }: ChartOptions = {}): KubeObject[] {
  const text = helm("template", release, chartFolder, "--namespace", namespace, ...kubeVersion, ...knownKinds, ...valueArgs(values));
  return objectsIn(text);
}

/** For a command line of Helm. */
export function valueArgs(values: Readonly<Record<string, unknown>>): string[] {
  const all = { crds: { install: false }, ...values };
  return Object.entries(all).flatMap(([key, value]) => ["--set-json", `${key}=${JSON.stringify(value)}`]);
}

/** Every object of deploy/manifests. */
export function plainManifests(): KubeObject[] {
  return ["namespace", "control-plane", "gateway-proxy", "defaults"].flatMap((part) =>
    objectsIn(readFileSync(join(deploy, "manifests", `${part}.yaml`), "utf8")),
  );
}

/** The CustomResourceDefinitions, as text. */
export function crdManifests(): string[] {
  return readFileSync(join(chartFolder, "files/crds.jsonl"), "utf8").trim().split("\n");
}

export interface RbacOptions {
  /** Of `startKubernetes({ users })`: is let do what the ServiceAccount of the control plane may. */
  readonly user: string;
  /** With values, the chart is rendered by Helm; without, these are the roles of deploy/manifests. */
  readonly values?: ChartOptions["values"];
}

/** The roles of the chart and their bindings, to a user of the test. */
export function chartRbac({ user, values }: RbacOptions): KubeObject[] {
  const objects = values === undefined ? plainManifests() : renderChart({ values });
  return objects
    .filter(({ apiVersion }) => apiVersion.startsWith("rbac.authorization.k8s.io/"))
    .map((object) =>
      object.subjects ? { ...object, subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: user }] } : object,
    );
}

function objectsIn(text: string): KubeObject[] {
  return (loadAll(text) as (KubeObject | null)[]).filter((each) => each !== null);
}
