// The recorded cases on a real API server with definitions as Gloo 1.22 has them (no status subresource, unknown fields dropped): what comes of them
// is what the recording says, statuses are written, and nothing else about the objects is. Then our definitions take the place of those.
//
// A sample in `npm test`; all of them with HEADWORKS_LONG=1. With HEADWORKS_GLOO_CRDS=FOLDER the definitions are Gloo's own.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CORE_SCHEMA, floatCoreTag, floatYaml11Tag, loadAll, Schema } from "js-yaml";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtins } from "../../src/builtins.ts";
import { attend, StoredStatuses } from "../../src/cli/cluster-duties.ts";
import { ControlPlane } from "../../src/control-plane.ts";
import { type KubeApi, kubeApi } from "../../src/lib/kubernetes/api.ts";
import { type ResourceKey, resourceKey } from "../../src/model/ref.ts";
import { type Kind, kinds } from "../../src/model/resource.ts";
import { kubernetesSource } from "../../src/sources/kubernetes/kubernetes.ts";
import { type Case, corpusFolder, readCases } from "../corpus/cases.ts";
import { differences } from "../corpus/compare.ts";
import { needOf } from "../corpus/lab.ts";
import { outputOf, servedBy, translateCase } from "../corpus/translate.ts";
import { glooDefinitions, ownGlooDefinitions } from "../servers/definitions.ts";
import { type RunningKubernetes, startKubernetes } from "../servers/kubernetes.ts";
import type { KubeObject } from "../servers/kubernetes-client.ts";
import { hasKubernetes } from "./cluster.ts";
import { commandHere } from "./command-here.ts";
import { until } from "./gateway.ts";

const root = join(import.meta.dirname, "../..");
const folder = corpusFolder(root);
const isLong = process.env.HEADWORKS_LONG === "1";
const listed = new Set(readFileSync(join(root, "test/corpus/differences.md"), "utf8").match(/[a-z]+\/[\w-]+/g));

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: unknown;
}

describe.skipIf(!hasKubernetes || folder === undefined)("the recorded cases in a cluster", () => {
  let kubernetes: RunningKubernetes;
  let api: KubeApi;
  beforeAll(async () => {
    kubernetes = await startKubernetes({ users: [{ name: "headworks", token: "us", groups: ["system:masters"] }] });
    api = await kubeApi({ kubeconfig: kubernetes.kubeconfig({ token: "us" }) });
    await kubernetes.apply(...glooDefinitions());
    for (const name of ["gloo-system", "shop", "depot", "billing"])
      await kubernetes.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  });
  afterAll(async () => {
    api?.[Symbol.dispose]();
    await kubernetes?.[Symbol.asyncDispose]();
  });

  const all = folder === undefined ? [] : readCases(folder).filter((each) => needOf(each) === undefined);
  const cases = isLong ? all : all.filter((_, i) => i % 9 === 4);

  test(`${cases.length} cases`, { timeout: 1_800_000 }, async () => {
    const wrong: string[] = [];
    const notLetIn: string[] = [];
    for (const each of cases) wrong.push(...(await faultsOf(each, notLetIn)).map((fault) => `${each.id}: ${fault}`));
    console.log(
      [
        `${cases.length} cases on definitions ${ownGlooDefinitions ? "of Gloo" : "as Gloo's"}: ${notLetIn.length} objects not let in`,
        ...notLetIn,
      ].join("\n  "),
    );
    expect(wrong).toEqual([]);
    expect(cases.length - notLetIn.length).toBeGreaterThan(20);
  });

  test("our definitions over those: every stored object stays as it is, and could be stored anew", { timeout: 600_000 }, async () => {
    const stored: KubeObject[] = [];
    for (const [i, each] of cases.entries()) {
      for (const manifest of manifestsOf(each)) {
        if (!(manifest.kind in kinds) || !manifest.apiVersion.includes("solo.io/")) continue;
        // All of them at the same time, each in a place of its own.
        const metadata = { ...manifest.metadata, namespace: `${manifest.metadata.namespace ?? "default"}-${i}` };
        // With what Gloo has said of it.
        const said = each.expected.statuses?.[`${manifest.kind} ${manifest.metadata.namespace ?? "default"}/${manifest.metadata.name}`];
        const status = said && { statuses: { "gloo-system": { reportedBy: "gloo", ...said } } };
        const made = await store({ ...manifest, metadata, ...(status && { status }) }).catch(() => undefined);
        if (made !== undefined) stored.push(made as KubeObject);
      }
    }
    const crds = (line: string) => commandHere(["crds", ...line.split(" "), "--kubeconfig", kubernetes.kubeconfigPath]);
    const differs = await crds("diff");
    expect(differs, differs.stderr).toMatchObject({ code: 1 });
    expect(differs.stdout).not.toContain("do not fit");
    const applied = await crds("apply");
    expect(applied, applied.stderr).toMatchObject({ code: 0 });
    expect(await crds("diff")).toMatchObject({ code: 0 });

    const wrong: string[] = [];
    for (const before of stored) {
      const { apiVersion, kind, metadata, spec, status } = before;
      const { name, namespace = "" } = metadata;
      const at = `${kind} ${namespace}/${name}`;
      const now = await kubernetes.get(pluralOf(apiVersion, kind), namespace, name);
      if (JSON.stringify(now?.spec) !== JSON.stringify(spec))
        wrong.push(`${at}: ${JSON.stringify(spec)} became ${JSON.stringify(now?.spec)}`);
      if (JSON.stringify(now?.status) !== JSON.stringify(status))
        wrong.push(`${at}: ${JSON.stringify(status)} became ${JSON.stringify(now?.status)}`);
      // A new one: what is only changed is not judged where it stays as it was.
      const path = `/apis/${apiVersion}/namespaces/${namespace}/${pluralOf(apiVersion, kind).split(".")[0]}?dryRun=All`;
      const anew = await kubernetes.request("POST", path, { apiVersion, kind, metadata: { name: `${name}-anew`, namespace }, spec });
      if (anew.status !== 201) wrong.push(`${at}: ${anew.status} ${JSON.stringify(anew.body)}`);
    }
    const judged = stored.filter(({ status }) => Object.keys(status?.statuses ?? {}).length > 0).length;
    const count = (text: string) => applied.stderr.split(text).length - 1;
    console.log(
      `${stored.length} objects (${judged} with a status of Gloo) of ${cases.length} cases; ${count("changed: ")} definitions changed, ${count("installed: ")} installed; ${wrong.length} objects not as before`,
    );
    expect(wrong).toEqual([]);
    expect(judged).toBeGreaterThan(cases.length);
  });

  async function faultsOf(each: Case, notLetIn: string[]): Promise<string[]> {
    const manifests = manifestsOf(each);
    manifests.push(...manifests.flatMap(slicesOf));
    const stored: Manifest[] = [];
    const refused: string[] = [];
    try {
      for (const manifest of manifests) {
        const { kind, metadata } = manifest;
        try {
          stored.push(await store(manifest));
        } catch (error) {
          refused.push(`${kind} ${metadata.namespace ?? "default"}/${metadata.name}`);
          notLetIn.push(`${each.id}: ${(error as Error).message.slice(0, 300)}`);
        }
      }
      const expected = Object.keys(each.expected.apiServerRejected ?? {});
      if (refused.join() !== expected.join())
        return [`the API server did not let in: ${refused.join(", ") || "nothing"}; recorded: ${expected.join(", ") || "nothing"}`];
      return await outcome(each, stored);
    } finally {
      for (const { apiVersion, kind, metadata } of stored.toReversed())
        await kubernetes.delete(pluralOf(apiVersion, kind), metadata.namespace ?? "", metadata.name);
    }
  }

  /** As a client that does not mind unknown fields. Applied on the server's side, an object with one is refused; made, it is stored without. */
  async function store(manifest: Manifest): Promise<Manifest> {
    try {
      return ((await kubernetes.apply(manifest)) as Manifest[])[0] as Manifest;
    } catch {
      const { apiVersion, kind, metadata } = manifest;
      const path = `/apis/${apiVersion}/namespaces/${metadata.namespace ?? "default"}/${pluralOf(apiVersion, kind).split(".")[0]}`;
      const { status, body } = await kubernetes.request("POST", path, manifest);
      if (status !== 201) throw new Error(`${status} ${(body as { readonly message?: string }).message ?? JSON.stringify(body)}`);
      return body as Manifest;
    }
  }

  async function outcome(each: Case, stored: readonly Manifest[]): Promise<string[]> {
    const objects = new StoredStatuses((kind) => source.typeOf(kind));
    const source = kubernetesSource({ api, onObject: objects.see.bind(objects) });
    await using plane = new ControlPlane({ sources: [source], consumers: [], plugins: builtins, log: silent });
    await using _duties = attend({ api, plane, objects, namespace: "gloo-system", log: silent });
    plane.start();
    await plane.ready;
    const { current } = plane;
    const faults: string[] = [];
    const all = outputOf(current.statuses, servedBy(current));
    // The API server's own Service was not in the recordings.
    const clusters = all.clusters.filter(({ name }) => !String(name).startsWith("kube-svc:default-kubernetes-"));
    // Pods are read only where labels choose among those of a Service. So addresses of Pods that are not there (none is, in the
    // recordings of these) count where a slice names them, and carry no labels that nobody looks at.
    const endpoints = all.endpoints.filter(({ clusterName }) => !String(clusterName).startsWith("kube-svc:"));
    const output = { ...all, clusters, endpoints, discovered: [] };
    if (!listed.has(each.id)) {
      const told = { ...each.expected, afterApply: {} };
      const found = differences(told, output).filter(({ aspect, text }) => aspect !== "endpoints" || !/kube-svc:|\.metadata: /.test(text));
      for (const { aspect, text } of found) faults.push(`${aspect}: ${text}`);
    } else {
      // Where it differs on purpose it does so as from a folder.
      const fromFolder = await translateCase(each);
      const names = (list: readonly { name?: unknown }[]) =>
        list
          .map(({ name }) => String(name))
          .sort()
          .join();
      if (names(fromFolder.clusters) !== names(clusters))
        faults.push(`clusters: ${names(clusters)} and from a folder ${names(fromFolder.clusters)}`);
    }
    for (const { apiVersion, kind, metadata, spec } of stored) {
      const key = kind in kinds ? resourceKey(kind as Kind, { namespace: metadata.namespace ?? "", name: metadata.name }) : undefined;
      const status = key && current.statuses.get(key as ResourceKey);
      if (key === undefined || status === undefined) continue;
      const now = () => kubernetes.get(pluralOf(apiVersion, kind), metadata.namespace ?? "", metadata.name);
      try {
        await until(`${key} has its status`, async () => (await now())?.status?.statuses?.["gloo-system"]?.state === status.state, 10_000);
      } catch (error) {
        faults.push((error as Error).message);
      }
      const after = await now();
      if (JSON.stringify(after?.spec) !== JSON.stringify(spec)) faults.push(`${key}: its spec is another one`);
      if (JSON.stringify(after?.status?.statuses?.["gloo-system"]?.reason ?? "") !== JSON.stringify(status.reason))
        faults.push(`${key}: another reason`);
    }
    return faults;
  }
});

/** As the recording read them: `50494e47` is a text, and so is `yes`. */
const asRecorded = new Schema(CORE_SCHEMA.tags.map((tag) => (tag === floatCoreTag ? floatYaml11Tag : tag)));

function manifestsOf({ settings, input }: Case): Manifest[] {
  return [
    settings as unknown as Manifest,
    ...(loadAll(input, { schema: asRecorded }) as (Manifest | null)[]).filter((one) => one !== null),
  ];
}

/** Of Endpoints that somebody wrote, as the controller that mirrors them makes them; none runs here. */
function slicesOf({ kind, metadata, subsets = [] }: Manifest & { readonly subsets?: readonly Subset[] }): Manifest[] {
  if (kind !== "Endpoints") return [];
  return subsets.map(({ addresses = [], notReadyAddresses = [], ports = [] }, i) => {
    const endpoint = (ready: boolean) => (each: Subset["addresses"][number]) => ({
      addresses: [each.ip],
      conditions: { ready },
      ...(each.targetRef && { targetRef: each.targetRef }),
    });
    const endpoints = [...addresses.map(endpoint(true)), ...notReadyAddresses.map(endpoint(false))];
    const labels = { "kubernetes.io/service-name": metadata.name };
    const named = { ...metadata, name: `${metadata.name}-mirrored-${i}`, labels };
    return { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", metadata: named, addressType: "IPv4", ports, endpoints } as Manifest;
  });
}

interface Subset {
  readonly addresses: readonly { readonly ip: string; readonly targetRef?: object }[];
  readonly notReadyAddresses?: Subset["addresses"];
  readonly ports?: readonly object[];
}

function pluralOf(apiVersion: string, kind: string): string {
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  const ours = kind in kinds ? kinds[kind as keyof typeof kinds] : undefined;
  const plural =
    ours?.plural ?? (kind === "EndpointSlice" ? "endpointslices" : kind === "Endpoints" ? "endpoints" : `${kind.toLowerCase()}s`);
  return group ? `${plural}.${group}` : plural;
}

const silent = pino({ level: "silent" }) as never;
