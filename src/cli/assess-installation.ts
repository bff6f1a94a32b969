// What of a Gloo installation is not in its objects: definitions, controllers, webhooks, proxies. Reads only; what it may not read, it says.
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { KubeError } from "../lib/kubernetes/error.ts";
import { apiVersionOf, type KubeObject, type ResourceType, resourceName, type ServedType } from "../lib/kubernetes/object.ts";
import { parseResourceKey, type ResourceKey, resourceKey } from "../model/ref.ts";
import type { ApiKind } from "../model/resource.ts";
import { ownKinds } from "../sources/kubernetes/kinds.ts";
import type { Note } from "./assess-settings.ts";
import { openCluster } from "./cluster.ts";
import { inWords } from "./cluster-once.ts";
import type { WatchFlags } from "./cluster-options.ts";
import { answersOfCluster } from "./get-cluster.ts";

/** `namespace`: where Gloo is. */
export async function notesOnInstallation(flags: WatchFlags, namespace: string): Promise<readonly Note[]> {
  using api = await openCluster(flags);
  const parts = [definitions(api), deployments(api, namespace), webhooks(api), bootstraps(api, namespace), otherApis(api)];
  return (await inWords(api, () => Promise.all(parts))).flat();
}

/** Of these resources, those whose stored status is Rejected. */
export async function rejectedOf(flags: WatchFlags, keys: readonly ResourceKey[]): Promise<ReadonlySet<ResourceKey>> {
  if (keys.length === 0) return new Set();
  using answers = await answersOfCluster(flags, undefined, undefined);
  const wanted = new Set(keys);
  const ofKinds = [...new Set(keys.map((key) => parseResourceKey(key).kind as ApiKind))];
  const stored = (await Promise.all(ofKinds.map((kind) => answers.resources(kind, false)))).flat();
  const rejected = stored.filter(({ status }) => Object.values(status?.statuses ?? {}).some(({ state }) => state === "Rejected"));
  return new Set(rejected.map(({ kind, metadata }) => resourceKey(kind, metadata)).filter((key) => wanted.has(key)));
}

async function definitions(api: KubeApi): Promise<Note[]> {
  const types = ownKinds.map(({ type }) => type);
  const versions = [...new Set(types.map(apiVersionOf))];
  const served = (await Promise.all(versions.map((version) => api.discover(version)))).flat();
  const found = types.flatMap((type): ServedType[] => served.filter((each) => each.group === type.group && each.plural === type.plural));
  const missing = types.filter((type) => !found.some(({ plural }) => plural === type.plural)).map(({ plural }) => plural);
  const without = found.filter(({ hasStatus }) => !hasStatus).map(({ plural }) => plural);
  const notes: Note[] = [];
  if (missing.length > 0)
    notes.push({
      subject: `definitions of ${missing.join(", ")}`,
      what: "are not in the cluster, so there are no such objects",
      advice: "headworks crds | kubectl apply --server-side -f - adds them, when Gloo is gone",
      weight: "info",
    });
  if (without.length > 0)
    notes.push({
      subject: `definitions of ${without.join(", ")}`,
      what: "are Gloo's: without a status subresource, so a status is part of its object",
      advice:
        "beside Gloo, give the right to write it there (rbac.statusInObject of the chart); when Gloo is gone, headworks crds | kubectl apply --server-side --force-conflicts -f -",
      weight: "differs",
    });
  return notes;
}

const deploymentType: ResourceType = { group: "apps", version: "v1", plural: "deployments", kind: "Deployment", isNamespaced: true };
const enterpriseParts =
  /(^|\/)(extauth|rate-limit|gloo-fed|observability|caching|gloo-ee|glooe|redis|ext-auth-service|rate-limit-ee|gloo-fed-apiserver)/;

async function deployments(api: KubeApi, namespace: string): Promise<Note[]> {
  return await readable(deploymentType, async () => {
    const { items } = await api.list(deploymentType, { namespace });
    return items.flatMap((deployment): Note[] => {
      const { name } = deployment.metadata;
      const subject = `Deployment ${namespace}/${name}`;
      const { replicas = 1, images } = podsOf(deployment);
      const image = images.join(", ");
      if (name === "headworks" || /headworks/.test(image)) return [];
      if (images.some((each) => /gloo(-ee)?-envoy-wrapper/.test(each)))
        return [
          {
            subject,
            what: `runs Gloo's own build of Envoy (${image})`,
            advice:
              "the chart of Headworks brings unmodified Envoys: move the load balancer to their Service; Gloo's can be pointed at Headworks for the time between (xds.glooService)",
            weight: "differs",
          },
        ];
      const isEnterprise = enterpriseParts.test(name) || images.some((each) => enterpriseParts.test(each.replace(/^.*\//, "/")));
      if (isEnterprise)
        return [
          {
            subject,
            what: `is part of Gloo's enterprise edition (${image})`,
            advice: "its licence decides how long it runs",
            weight: "differs",
            isEnterprise: true,
          },
        ];
      if (!images.some((each) => /(^|\/)(gloo|discovery|gateway|ingress|access-logger|gloo-ee)[:@]/.test(each))) return [];
      if (replicas === 0) return [{ subject, what: "is scaled to zero", weight: "info" }];
      return [
        {
          subject,
          what: `is running (${image})`,
          advice:
            name === "discovery"
              ? "while it runs, it and Headworks may write the same Upstreams: scale it to zero first"
              : "Headworks runs beside it in a namespace of its own; scale it to zero when the traffic is moved",
          weight: "differs",
        },
      ];
    });
  });
}

function podsOf({ spec }: KubeObject): { readonly replicas?: number; readonly images: readonly string[] } {
  const { replicas, template } = (spec ?? {}) as {
    readonly replicas?: number;
    readonly template?: { readonly spec?: { readonly containers?: readonly { readonly image?: string }[] } };
  };
  const images = (template?.spec?.containers ?? []).flatMap(({ image }) => (image ? [image] : []));
  return { ...(replicas !== undefined && { replicas }), images };
}

const webhookType: ResourceType = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "validatingwebhookconfigurations",
  kind: "ValidatingWebhookConfiguration",
  isNamespaced: false,
};

async function webhooks(api: KubeApi): Promise<Note[]> {
  return await readable(webhookType, async () => {
    const { items } = await api.list(webhookType, { limit: 500 });
    const ofGloo = items.filter(({ metadata }) => /^gloo-(gateway-)?validation-webhook/.test(metadata.name));
    return ofGloo.map(({ metadata, webhooks: own }) => {
      const isClosed = (own as readonly { readonly failurePolicy?: string }[] | undefined)?.some(
        ({ failurePolicy }) => failurePolicy === "Fail",
      );
      return {
        subject: `ValidatingWebhookConfiguration ${metadata.name}`,
        what: `asks Gloo's controller${isClosed ? ", and refuses every change once that is gone (failurePolicy: Fail)" : ""}`,
        advice: "delete it together with Gloo's controller",
        weight: isClosed ? ("blocks" as const) : ("differs" as const),
      };
    });
  });
}

const configMapType: ResourceType = { group: "", version: "v1", plural: "configmaps", kind: "ConfigMap", isNamespaced: true };

async function bootstraps(api: KubeApi, namespace: string): Promise<Note[]> {
  return await readable(configMapType, async () => {
    const { items } = await api.list(configMapType, { namespace });
    return items.flatMap(({ metadata, data }): Note[] => {
      const text = ((data ?? {}) as Readonly<Record<string, string>>)["envoy.yaml"];
      if (text === undefined || metadata.labels?.["app.kubernetes.io/name"] === "headworks") return [];
      const role = /role:\s*['"]?([^'"\s]*~[^'"\s]*)/.exec(text)?.[1];
      return [
        {
          subject: `ConfigMap ${namespace}/${metadata.name}`,
          what: `is the bootstrap of Envoys${role ? ` with the role ${role}` : ""}: what was added to it by hand (tracing, stats, admin) is in no object`,
          advice: "compare it with gatewayProxy of the chart; the role stays valid, so Envoys of your own need another xDS address only",
          weight: "info",
        },
      ];
    });
  });
}

interface OtherApi {
  readonly type: ResourceType;
  readonly isGloos: (object: KubeObject) => boolean;
  readonly what: string;
  readonly advice: string;
}

const classOf = (object: KubeObject, field: string) => (object.spec as Readonly<Record<string, unknown>> | undefined)?.[field];

/** What Gloo serves besides its own API. */
const others: readonly OtherApi[] = [
  {
    type: { group: "gateway.networking.k8s.io", version: "v1", plural: "gateways", kind: "Gateway", isNamespaced: true },
    isGloos: (object) => classOf(object, "gatewayClassName") === "gloo-gateway",
    what: "is of the Gateway API, which Gloo serves and Headworks does not",
    advice: "write Gateways and VirtualServices of gateway.solo.io, or serve it with another controller",
  },
  {
    type: { group: "networking.k8s.io", version: "v1", plural: "ingresses", kind: "Ingress", isNamespaced: true },
    isGloos: (object) =>
      classOf(object, "ingressClassName") === "gloo" || object.metadata.annotations?.["kubernetes.io/ingress.class"] === "gloo",
    what: "is an Ingress of the class gloo, which Headworks does not serve",
    advice: "write a VirtualService for it",
  },
];

async function otherApis(api: KubeApi): Promise<Note[]> {
  const notes = await Promise.all(
    others.map(({ type, isGloos, what, advice }) =>
      readable(type, async () => {
        if (!(await api.discover(apiVersionOf(type))).some(({ plural }) => plural === type.plural)) return [];
        const { items } = await api.list(type, { limit: 500 });
        return items
          .filter(isGloos)
          .map(
            ({ metadata }): Note => ({ subject: `${type.kind} ${metadata.namespace}/${metadata.name}`, what, advice, weight: "blocks" }),
          );
      }),
    ),
  );
  return notes.flat();
}

/** Who may not read it can still assess the rest. */
async function readable(type: ResourceType, read: () => Promise<Note[]>): Promise<Note[]> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof KubeError && error.fault === "denied")) throw error;
    return [{ subject: resourceName(type), what: "may not be read by you, and were not looked at", weight: "info" }];
  }
}
