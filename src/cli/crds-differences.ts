// What is different between two CustomResourceDefinitions, in a few lines for people.
import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../lib/kubernetes/object.ts";
import { fieldsOf, type Schema } from "../lib/kubernetes/structural-schema.ts";

export interface Definition extends KubeObject {
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: {
      readonly kind: string;
      readonly plural: string;
      readonly shortNames?: readonly string[];
      readonly categories?: readonly string[];
    };
    readonly versions: readonly DefinitionVersion[];
  };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

export interface DefinitionVersion {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly schema?: { readonly openAPIV3Schema?: Schema };
  readonly subresources?: { readonly status?: object };
  readonly additionalPrinterColumns?: readonly { readonly name: string }[];
}

/** Of fields, so many are named. */
const mostNamed = 3;

/** What `after` has, or has not, that `before` had not, or had. At least one line where their specs differ. */
export function differencesOf(before: Definition, after: Definition): string[] {
  const versions = (of: Definition) => of.spec.versions.map(({ name }) => name).join(", ");
  const names = (of: Definition) => [...(of.spec.names.shortNames ?? []), ...(of.spec.names.categories ?? [])].join(", ") || "none";
  const lines: string[] = [];
  if (versions(before) !== versions(after)) lines.push(`versions: ${versions(after)}; in the cluster ${versions(before)}`);
  if (names(before) !== names(after)) lines.push(`short names and categories: ${names(after)}; in the cluster ${names(before)}`);
  for (const version of after.spec.versions) {
    const other = before.spec.versions.find(({ name }) => name === version.name);
    if (other) lines.push(...versionDifferences(other, version));
  }
  return lines.length > 0 || isDeepStrictEqual(before.spec, after.spec) ? lines : ["in details of its spec"];
}

function versionDifferences(before: DefinitionVersion, after: DefinitionVersion): string[] {
  const lines: string[] = [];
  const columns = ({ additionalPrinterColumns = [] }: DefinitionVersion) =>
    additionalPrinterColumns.map(({ name }) => name).join(", ") || "none";
  const hasStatus = ({ subresources }: DefinitionVersion) => subresources?.status !== undefined;
  if (!hasStatus(before) && hasStatus(after))
    lines.push("status becomes a subresource: what a controller of Gloo writes into an object's status is ignored from then on");
  if (hasStatus(before) && !hasStatus(after)) lines.push("status is no subresource any more");
  if (columns(before) !== columns(after)) lines.push(`columns: ${columns(after)}; in the cluster ${columns(before)}`);
  return [...lines, ...fieldDifferences(before.schema?.openAPIV3Schema ?? {}, after.schema?.openAPIV3Schema ?? {})];
}

function fieldDifferences(before: Schema, after: Schema): string[] {
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  const added = [...now.keys()].filter((path) => !old.has(path));
  const gone = [...old.keys()].filter((path) => !now.has(path));
  const changed = [...now.keys()].filter((path) => old.has(path) && old.get(path) !== now.get(path));
  return [
    ...told("fields that the cluster's definition has not", added),
    ...told("fields that this one has not", gone),
    ...told("fields with other rules", changed),
  ];
}

function told(what: string, paths: readonly string[]): string[] {
  if (paths.length === 0) return [];
  const first = paths.slice(0, mostNamed).join(", ");
  return [`${what}: ${paths.length}, ${paths.length > mostNamed ? `among them ${first}` : first}`];
}
