// Definitions of Gloo's kinds that take anything, for tests which are not about definitions.
import { kinds } from "../../src/model/resource.ts";

export interface DefinitionOptions {
  /** Gloo's own have no status subresource; ours have. Default: true. */
  readonly hasStatus?: boolean;
  /** Default: all. */
  readonly only?: readonly (keyof typeof kinds)[];
}

export function looseDefinitions({ hasStatus = true, only }: DefinitionOptions = {}): object[] {
  return Object.entries(kinds)
    .filter(([kind]) => only === undefined || only.includes(kind as keyof typeof kinds))
    .map(([kind, { group, version, plural, shortNames }]) => ({
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: `${plural}.${group}` },
      spec: {
        group,
        scope: "Namespaced",
        names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List`, shortNames },
        versions: [
          {
            name: version,
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
            ...(hasStatus && { subresources: { status: {} } }),
          },
        ],
      },
    }));
}
