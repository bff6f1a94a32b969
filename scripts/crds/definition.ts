// The CustomResourceDefinition of a kind: names as Gloo has them, what `kubectl get` shows, what a status looks like.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ApiKind, kinds } from "../../src/model/resource.ts";
import { anyObject, messageSchema, type Schema } from "./schema.ts";

export interface Crd {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: Names;
    readonly scope: "Namespaced";
    readonly versions: readonly [CrdVersion];
  };
}

interface Names {
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
}

interface CrdVersion {
  readonly name: string;
  readonly served: true;
  readonly storage: true;
  readonly subresources: { readonly status: Record<string, never> };
  readonly additionalPrinterColumns: readonly Column[];
  readonly schema: { readonly openAPIV3Schema: Schema };
}

interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "boolean" | "date";
  readonly jsonPath: string;
  /** Above 0: only with `-o wide`. */
  readonly priority?: number;
}

/** What Gloo's definitions say besides the schema. */
interface Published {
  readonly singular: string | null;
  readonly categories: readonly string[];
  readonly versions: readonly { readonly preserveUnknown: readonly string[] }[];
}

const published: Readonly<Record<string, Published>> = JSON.parse(readFileSync(join(import.meta.dirname, "../../proto/crds.json"), "utf8"));

/** Every kind but Secret and Artifact, which are Secrets and ConfigMaps in a cluster. */
export const crdKinds = (Object.keys(kinds) as ApiKind[]).filter((kind) => `${kinds[kind].group}/${kind}` in published).sort();

export function crdOf(kind: ApiKind): Crd {
  const { group, version, plural, shortNames } = kinds[kind];
  const facts = published[`${group}/${kind}`]!;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: facts.singular ?? kind.toLowerCase(),
        shortNames,
        categories: facts.categories,
      },
      scope: "Namespaced",
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [...(ownColumns[kind] ?? []), ...columnsOfAll],
          schema: { openAPIV3Schema: objectSchema(kind) },
        },
      ],
    },
  };
}

/** Unknown fields beside `spec` are kept, too: whoever forgets `spec` is to be told. */
function objectSchema(kind: ApiKind): Schema {
  return { ...anyObject, properties: { apiVersion: text, kind: text, metadata: { type: "object" }, spec: specSchema(kind), status } };
}

function specSchema(kind: ApiKind): Schema {
  const { preserveUnknown } = published[`${kinds[kind].group}/${kind}`]!.versions[0]!;
  // The whole object: Gloo publishes no schema for RateLimitConfig.
  if (preserveUnknown.includes(".")) return anyObject;
  const open = new Set(preserveUnknown.map((path) => path.replace(/^\.spec\./, "")));
  return messageSchema(kinds[kind].schema, { without: ["metadata", "namespacedStatuses"], open });
}

const text: Schema = { type: "string" };

const condition: Schema = {
  type: "object",
  required: ["type", "status"],
  properties: {
    type: text,
    status: text,
    observedGeneration: { type: "integer", format: "int64" },
    lastTransitionTime: text,
    reason: text,
    message: text,
  },
};

/** The shape is in docs/decisions/0020-crds.md. Older versions of Gloo wrote `state` as a number. */
const status: Schema = {
  ...anyObject,
  properties: {
    state: { "x-kubernetes-int-or-string": true },
    type: text,
    conditions: { type: "array", items: condition, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] },
    statuses: anyObject,
  },
};

const accepted = (field: string) => `.status.conditions[?(@.type=="Accepted")].${field}`;

const columnsOfAll: readonly Column[] = [
  { name: "State", type: "string", jsonPath: ".status.state" },
  { name: "Reason", type: "string", jsonPath: accepted("reason") },
  { name: "Message", type: "string", jsonPath: accepted("message"), priority: 1 },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
];

const ownColumns: { readonly [K in ApiKind]?: readonly Column[] } = {
  Upstream: [{ name: "Type", type: "string", jsonPath: ".status.type" }],
  Gateway: [
    { name: "Address", type: "string", jsonPath: ".spec.bindAddress", priority: 1 },
    { name: "Port", type: "integer", jsonPath: ".spec.bindPort" },
    { name: "TLS", type: "boolean", jsonPath: ".spec.ssl" },
    { name: "Proxies", type: "string", jsonPath: ".spec.proxyNames", priority: 1 },
  ],
  VirtualService: [{ name: "Domains", type: "string", jsonPath: ".spec.virtualHost.domains" }],
  RouteTable: [{ name: "Weight", type: "integer", jsonPath: ".spec.weight", priority: 1 }],
};
