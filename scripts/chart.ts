// What is made from the Helm chart: the table of values in its README, and deploy/manifests for those who do not use Helm.
//
//   node scripts/chart.ts          writes both; the manifests only where there is a Helm ($HELM_BIN, PATH or the cache of the tests)
//   node scripts/chart.ts --check  writes nothing; exit 1 when they are not what the chart gives
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { loadAll } from "js-yaml";
import { findHelm } from "../test/servers/helm.ts";
import { valuesTable } from "./chart/values.ts";
import { yaml } from "./yaml.ts";

const root = join(import.meta.dirname, "..");
const chart = join(root, "deploy/helm/headworks");

/** A version that the chart takes; without a cluster, Helm asks none. */
const kubeVersion = "1.36.0";

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; annotations?: Record<string, string>; labels?: Record<string, string> };
}

const namespace = {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: "gloo-system", labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
};

if (import.meta.main) process.exitCode = main(process.argv.includes("--check"));

function main(onlyCheck: boolean): 0 | 1 {
  const helm = findHelm();
  if (helm === undefined) console.error("there is no Helm: deploy/manifests is left as it is");
  const wanted = new Map([readme(), ...(helm === undefined ? [] : manifests(helm))]);
  const stale = [...wanted].filter(([path, text]) => contentOf(path) !== text);
  for (const [path, text] of stale) {
    if (onlyCheck) console.error(`${path} is not up to date: run node scripts/chart.ts`);
    else {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
  }
  return onlyCheck && stale.length > 0 ? 1 : 0;
}

/** Path and text of the README, with the table that the values give. */
export function readme(): [path: string, text: string] {
  const path = "deploy/helm/headworks/README.md";
  const [begin, end] = ["<!-- values -->\n", "\n<!-- end of values -->"];
  const text = readFileSync(join(root, path), "utf8");
  const before = text.split(begin)[0];
  const after = text.split(end)[1];
  return [path, `${before}${begin}${valuesTable()}${end}${after}`];
}

/** What one `kubectl apply` takes, by part; with certificates of xDS that the user makes, because a file for everybody can hold none. */
export function manifests(helm: string): Map<string, string> {
  const known = ["gloo.solo.io/v1/Settings", "gateway.solo.io/v1/Gateway"].flatMap((kind) => ["--api-versions", kind]);
  const values = ["--set", "crds.install=false,xds.tls.mode=existing"];
  const args = ["--namespace", "gloo-system", "--kube-version", kubeVersion, ...known, ...values];
  const text = execFileSync(helm, ["template", "headworks", chart, ...args], { encoding: "utf8", maxBuffer: 1 << 26 });
  const rendered = (loadAll(text) as (Manifest | null)[]).filter((each) => each !== null);
  const objects: Manifest[] = [namespace, ...rendered.map(withoutHelm)];
  const parts = Map.groupBy(objects, partOf);
  const head = "# Made from the Helm chart beside it (node scripts/chart.ts). docs/guides/kubernetes.md says how it is used.\n";
  return new Map([...parts].map(([part, each]) => [`deploy/manifests/${part}.yaml`, `${head}${each.map(document).join("")}`]));
}

function document(manifest: Manifest): string {
  return `---\n${yaml(manifest)}`;
}

function partOf({ kind, metadata }: Manifest): string {
  if (kind === "Namespace") return "namespace";
  if (kind === "Settings" || kind === "Gateway") return "defaults";
  return metadata.name.startsWith("gateway-proxy") ? "gateway-proxy" : "control-plane";
}

/** What only Helm and Argo CD read. */
function withoutHelm(manifest: Manifest): Manifest {
  const { annotations = {}, labels = {}, ...metadata } = manifest.metadata;
  const kept = Object.entries(annotations).filter(([key]) => !/^(helm\.sh|argocd\.argoproj\.io)\//.test(key));
  const keptLabels = Object.entries(labels).filter(([, value]) => value !== "Helm");
  return {
    ...manifest,
    metadata: {
      ...metadata,
      ...(kept.length > 0 && { annotations: Object.fromEntries(kept) }),
      ...(keptLabels.length > 0 && { labels: Object.fromEntries(keptLabels) }),
    },
  };
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return undefined;
  }
}
