// Resources of a cluster as they are stored there, with the statuses that somebody has written. Asks for no more than it shows.
import type { ResourceView, StatusView } from "../admin/contract.ts";
import { SecretValues } from "../admin/redact.ts";
import { plainSpec, resourceView } from "../admin/views.ts";
import type { KubeApi } from "../lib/kubernetes/api.ts";
import type { KubeObject } from "../lib/kubernetes/object.ts";
import type { ApiKind, Resource } from "../model/resource.ts";
import { states } from "../model/status.ts";
import { customKinds } from "../plugin/config.ts";
import { readJson } from "../sources/read-json.ts";
import { openCluster } from "./cluster.ts";
import { inWords } from "./cluster-once.ts";
import type { WatchFlags } from "./cluster-options.ts";
import { exitCodes } from "./exit.ts";
import { type Answers, answersOnce } from "./get-answers.ts";
import { loadPlugins } from "./plugins.ts";
import { expectServed, objectsOf, storedKind } from "./stored-kind.ts";

/** `namespace`: the only one that is asked about. */
export async function answersOfCluster(
  flags: WatchFlags,
  namespace: string | undefined,
  config: string | undefined,
): Promise<Answers & Disposable> {
  const api = await openCluster(flags);
  let whole: Promise<Answers> | undefined;
  const translated = () => {
    whole ??= answersOnce({ kind: "cluster", flags }, config);
    return whole;
  };
  return {
    resources: async (kind, isPlain) => {
      const custom = customKinds(await loadPlugins(config));
      const objects = await inWords(api, () => objectsIn(api, kind, namespace));
      const secrets = new SecretValues([]);
      return objects.flatMap((object) => {
        const { resources } = readJson(object, { source: "kubernetes", unknownFields: "warning", customKinds: custom });
        return resources.map((each) => viewOf(each, object, secrets, isPlain));
      });
    },
    // Proxies are computed, and stored nowhere.
    proxies: async () => (await translated()).proxies(),
    proxy: async (key) => (await translated()).proxy(key),
    [Symbol.dispose]: () => api[Symbol.dispose](),
  };
}

async function objectsIn(api: KubeApi, kind: ApiKind, namespace: string | undefined): Promise<KubeObject[]> {
  const stored = storedKind(kind);
  if (stored === undefined) return [];
  await expectServed(api, stored, exitCodes.findings);
  return objectsOf(api, stored, namespace);
}

function viewOf(resource: Resource, object: KubeObject, secrets: SecretValues, isPlain: boolean): ResourceView {
  const { status: _, ...view } = resourceView(resource, undefined, secrets);
  const statuses = statusesOf(object.status);
  return {
    ...view,
    ...(isPlain && resource.spec !== undefined && { spec: plainSpec(resource) }),
    ...(object.metadata.creationTimestamp !== undefined && {
      metadata: { ...view.metadata, creationTimestamp: object.metadata.creationTimestamp },
    }),
    ...(statuses && { status: { statuses } }),
  };
}

/** Gloo has written them in several forms: one status or one for each installation, states as names or as numbers. */
function statusesOf(status: unknown): Readonly<Record<string, StatusView>> | undefined {
  if (!isRecord(status)) return undefined;
  const all: [string, unknown][] = isRecord(status.statuses)
    ? Object.entries(status.statuses)
    : "state" in status
      ? [["gloo-system", status]]
      : [];
  const found = all.flatMap(([namespace, each]) => (isRecord(each) ? [[namespace, statusView(each)] as const] : []));
  return found.length > 0 ? Object.fromEntries(found) : undefined;
}

function statusView(status: Readonly<Record<string, unknown>>): StatusView {
  const parts = isRecord(status.subresourceStatuses) ? Object.entries(status.subresourceStatuses) : [];
  const subresources = parts.flatMap(([name, part]) => (isRecord(part) ? [[name, ownStatus(part)] as const] : []));
  return { ...ownStatus(status), ...(subresources.length > 0 && { subresourceStatuses: Object.fromEntries(subresources) }) };
}

/** The numbers of the API: `Accepted` is 1, `Rejected` 2, `Warning` 3. */
const numbered = ["Pending", "Accepted", "Rejected", "Warning"] as const;

function ownStatus({ state, reason, reportedBy }: Readonly<Record<string, unknown>>): StatusView {
  const named = typeof state === "number" ? numbered[state] : states.find((each) => each === state);
  return { state: named ?? "Pending", reason: textOf(reason), reportedBy: textOf(reportedBy) };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
