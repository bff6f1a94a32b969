// Found functions, laid over the Upstreams that sources deliver: what users write stays theirs, and nothing is written back. Pure but for
// what it remembers: the functions found, by Upstream.
import { hash } from "node:crypto";
import { clone, toBinary } from "@bufbuild/protobuf";
import { type ServiceSpec, ServiceSpecSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/options/service_spec_pb.js";
import { type Upstream, UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { serviceSpecOf, takesServiceSpec } from "../plugin/serviceSpec.ts";
import { takesFunctionsOfType } from "./function-plan.ts";

/** What a service says of itself; of a type with functions of its own (`aws`), the Upstream with its functions. */
export type FoundSpec = ServiceSpec | Upstream;

/** Functions of one Upstream; `spec` is absent when it has none any more. */
export interface FunctionsFound {
  readonly key: ResourceKey;
  readonly spec: FoundSpec | undefined;
}

const mark = "+functions:";

/** It is not as its source gives it: functions were found. */
export function hasFunctions(upstream: Resource<"Upstream">): boolean {
  return upstream.version.includes(mark);
}

/** What was found of an Upstream before a restart, and of which version of it. */
export function rememberedFunctions(upstream: Resource<"Upstream">): { readonly spec: FoundSpec; readonly ofVersion: string } | undefined {
  const at = upstream.version.indexOf(mark);
  const spec = serviceSpecOf(upstream.spec) ?? upstream.spec;
  return at === -1 || spec === undefined ? undefined : { spec, ofVersion: upstream.version.slice(0, at) };
}

export class FunctionOverlay {
  readonly #found = new Map<ResourceKey, FoundSpec>();
  readonly #bases = new Map<ResourceKey, Resource<"Upstream">>();
  readonly #remembered = new Map<ResourceKey, Resource<"Upstream">>();

  /** `remembered` are Upstreams that were in service before a restart: their functions count until news comes. */
  constructor(remembered: readonly Resource<"Upstream">[] = []) {
    for (const each of remembered) if (hasFunctions(each)) this.#remembered.set(each.key, each);
  }

  /** Takes note of what was found, and returns the Upstream as it is now, if there is one. */
  learn({ key, spec }: FunctionsFound): Resource<"Upstream"> | undefined {
    this.#remembered.delete(key);
    if (spec) this.#found.set(key, spec);
    else this.#found.delete(key);
    const base = this.#bases.get(key);
    return base && this.over(base);
  }

  /** The Upstream is gone. */
  forget(key: ResourceKey): void {
    this.#bases.delete(key);
    this.#found.delete(key);
    this.#remembered.delete(key);
  }

  /** What a source says of an Upstream, with the functions that are known of it. */
  over(upstream: Resource<"Upstream">): Resource<"Upstream"> {
    this.#bases.set(upstream.key, upstream);
    return this.seenOver(upstream);
  }

  /** The same, of an Upstream that is only thought of: it is not remembered. */
  seenOver(upstream: Resource<"Upstream">): Resource<"Upstream"> {
    const found = this.#found.get(upstream.key) ?? this.#before(upstream);
    return found ? withFunctions(upstream, found) : upstream;
  }

  /** The Upstreams as sources deliver them: what discovery of functions has to look at. */
  get bases(): ReadonlyMap<ResourceKey, Resource<"Upstream">> {
    return this.#bases;
  }

  #before(upstream: Resource<"Upstream">): FoundSpec | undefined {
    const before = this.#remembered.get(upstream.key);
    const known = before && rememberedFunctions(before);
    return known?.ofVersion === upstream.version ? known.spec : undefined;
  }
}

/** Nothing that the Upstream says itself is overwritten: a spec that is not merely begun stays. */
export function withFunctions(upstream: Resource<"Upstream">, found: FoundSpec): Resource<"Upstream"> {
  const next = upstream.spec && filled(upstream, upstream.spec, found);
  if (next === undefined) return upstream;
  const version = hash("sha256", toBinary(UpstreamSchema, next), "hex").slice(0, 16);
  return { ...upstream, spec: next, version: `${upstream.version}${mark}${version}` };
}

/** Undefined where there is nothing to fill. */
function filled(upstream: Resource<"Upstream">, spec: Upstream, found: FoundSpec): Upstream | undefined {
  if (found.$typeName === UpstreamSchema.typeName) return takesFunctionsOfType(upstream) ? withLambdas(spec, found) : undefined;
  if (!takesServiceSpec(spec)) return undefined;
  const filling = filledSpec(serviceSpecOf(spec), found);
  if (filling === undefined) return undefined;
  const next = clone(UpstreamSchema, spec);
  (next.upstreamType.value as { serviceSpec?: ServiceSpec }).serviceSpec = filling;
  return next;
}

/** The user's own first; a name that is theirs stays theirs. */
function withLambdas(spec: Upstream, found: Upstream): Upstream | undefined {
  const [own, its] = [spec.upstreamType, found.upstreamType];
  if (own.case !== "aws" || its.case !== "aws") return undefined;
  const names = new Set(own.value.lambdaFunctions.map((each) => each.logicalName || each.lambdaFunctionName));
  const further = its.value.lambdaFunctions.filter(({ logicalName }) => !names.has(logicalName));
  if (further.length === 0) return undefined;
  const next = clone(UpstreamSchema, spec);
  if (next.upstreamType.case === "aws") next.upstreamType.value.lambdaFunctions.push(...further);
  return next;
}

function filledSpec(own: ServiceSpec | undefined, found: ServiceSpec): ServiceSpec | undefined {
  if (own === undefined || own.pluginType.case === undefined) return found;
  const next = clone(ServiceSpecSchema, own);
  const [mine, its] = [next.pluginType, found.pluginType];
  if (mine.case === "rest" && its.case === "rest" && Object.keys(mine.value.transformations).length === 0) {
    mine.value.transformations = its.value.transformations;
    if (mine.value.swaggerInfo === undefined && its.value.swaggerInfo) mine.value.swaggerInfo = its.value.swaggerInfo;
    return next;
  }
  if (mine.case === "grpcJsonTranscoder" && its.case === "grpcJsonTranscoder" && mine.value.descriptorSet.case === undefined) {
    mine.value.descriptorSet = its.value.descriptorSet;
    if (mine.value.services.length === 0) mine.value.services = its.value.services;
    mine.value.matchIncomingRequestRoute = true;
    return next;
  }
  return undefined;
}
