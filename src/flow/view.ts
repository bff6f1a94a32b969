// The whole answer, put together when somebody asks for it.
import type { Finding, Translation } from "../control-plane.ts";
import { cureOf } from "../model/catalog.ts";
import type { EnvoyResource, ProxyKey } from "../model/envoy-resource.ts";
import type { Problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { Status } from "../model/status.ts";
import type { Source } from "../plugin/source.ts";
import type { Flow } from "./flow.ts";
import { allKinds } from "./inputs.ts";
import { nearNames } from "./near-names.ts";
import { type Provenance, provenanceOf } from "./provenance.ts";
import { resourcesOfProxy } from "./publisher.ts";

export function viewOf(flow: Flow, sources: readonly Source[], fileProblems: () => readonly Problem[]): Translation & Provenance {
  return {
    ...provenanceOf(flow, sources),
    get statuses() {
      const statuses = new Map<ResourceKey, Status>();
      for (const [key, judgement] of judgements(flow)) if (judgement.status) statuses.set(key, judgement.status);
      return statuses;
    },
    get resources() {
      const resources = new Map<ResourceKey, Resource>();
      for (const kind of allKinds) {
        for (const [key, resource] of flow.inputs.given[kind].entries()) resources.set(key as ResourceKey, resource as Resource);
      }
      for (const [key, upstream] of flow.discovered.entries()) resources.set(key as ResourceKey, upstream);
      return resources;
    },
    get findings() {
      const problems = [...fileProblems()];
      for (const [, judgement] of judgements(flow)) problems.push(...judgement.problems);
      const near = nearNamesOf(flow);
      return problems.map((problem) => findingOf(flow, sources, near(problem))).sort(byPlace);
    },
    get proxies() {
      return new Map<ProxyKey, readonly EnvoyResource[]>([...flow.proxies()].map((proxy) => [proxy, resourcesOfProxy(flow, proxy)]));
    },
    textOf(file) {
      for (const source of sources) {
        const text = source.text?.(file);
        if (text !== undefined) return text;
      }
      return undefined;
    },
  };
}

/** For one showing of findings. */
export function nearNamesOf(flow: Flow): (found: Problem) => Problem {
  return nearNames((kind) => flow.inputs.given[kind].entries().map(([key]) => key));
}

/** A problem with its place: its own, or that of the field in the file that its resource came from. */
export function findingOf(flow: Flow, sources: readonly Source[], found: Problem): Finding {
  const cure = found.hint ?? cureOf(found.reason);
  const problem = cure === undefined ? found : { ...found, hint: cure };
  if (problem.at !== undefined) return { problem, place: problem.at };
  const resource = problem.resource && flow.given(problem.resource);
  if (resource === undefined) return { problem };
  const source = sources.find((each) => each.name === resource.origin.source);
  const place = source?.locate(resource, problem.path);
  return place === undefined ? { problem } : { problem, place };
}

function* judgements(flow: Flow) {
  for (const kind of allKinds) for (const [key, judgement] of flow.judged[kind].entries()) yield [key as ResourceKey, judgement] as const;
}

/** By file, line and column; what has no place comes last. */
export function byPlace(a: Finding, b: Finding): number {
  return sortKey(a) < sortKey(b) ? -1 : 1;
}

function sortKey({ problem, place }: Finding): string {
  const number = (value: number) => String(value).padStart(9, "0");
  return place === undefined
    ? `\uffff${problem.resource ?? ""}${problem.code}`
    : `${place.file}\0${number(place.line)}${number(place.column)}${problem.code}`;
}
