// Definitions of Gloo's kinds: some that take anything, for tests which are not about definitions, and some as an installation of Gloo has them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import { kinds } from "../../src/model/resource.ts";
import { crdManifests } from "./chart.ts";

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

/** A folder of Gloo's own definitions (`install/helm/gloo/crds` of its sources), which are not a part of this repository. */
export const ownGlooDefinitions: string | undefined = process.env.HEADWORKS_GLOO_CRDS || undefined;

/** What an installation of Gloo 1.22 brings along: its own where they are at hand, otherwise ours without what is better about them. */
export function glooDefinitions(): object[] {
  if (ownGlooDefinitions === undefined) return crdManifests().map((text) => asGloos(JSON.parse(text)));
  const files = readdirSync(ownGlooDefinitions).filter((name) => /\.ya?ml$/.test(name));
  const all = files.flatMap((name) => loadAll(readFileSync(join(ownGlooDefinitions as string, name), "utf8")) as (object | null)[]);
  return all.filter((each) => each !== null);
}

function asGloos(definition: { readonly spec: { readonly versions: readonly Record<string, unknown>[] } }): object {
  const versions = definition.spec.versions.map(({ subresources: _, additionalPrinterColumns: __, ...version }) => version);
  return { ...definition, spec: { ...definition.spec, versions } };
}
