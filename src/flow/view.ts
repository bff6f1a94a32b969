// The whole answer, put together when somebody asks for it.
import type { Finding, Translation } from "../control-plane.ts";
import { regexCure } from "../envoy/regex-cure.ts";
import { cureOf } from "../model/catalog.ts";
import type { EnvoyResource, ProxyKey } from "../model/envoy-resource.ts";
import type { FieldPlace, Place, Problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { Status } from "../model/status.ts";
import type { Source } from "../plugin/source.ts";
import { fieldsMeant, type Known } from "./field-meant.ts";
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
  const hint = found.hint ?? regexCure(found.message) ?? cureOf(found.reason);
  const message = found.message + otherLines(flow, sources, found);
  const problem = { ...found, message, ...(hint !== undefined && { hint }) };
  if (problem.at !== undefined) return { problem, place: problem.at };
  const meant = writtenOf(flow, sources, found);
  if (meant !== undefined) return { problem: { ...problem, ...meant.field }, place: meant.place };
  const place = problem.resource && locate(flow, sources, problem.resource, problem.path);
  return place === undefined ? { problem } : { problem, place };
}

/** The first of the fields that may be meant which is written somewhere. */
function writtenOf(flow: Flow, sources: readonly Source[], found: Problem): { field: FieldPlace; place: Place } | undefined {
  const known: Known = {
    get: (key) => flow.given(key),
    all: (kind) => flow.inputs.given[kind].entries().map(([, resource]) => resource as Resource),
  };
  for (const field of fieldsMeant(found, known)) {
    const [place, top] = [field.path, undefined].map((path) => locate(flow, sources, field.resource, path));
    if (place && (place.line !== top?.line || place.column !== top.column)) return { field, place };
  }
  return undefined;
}

function locate(flow: Flow, sources: readonly Source[], key: ResourceKey, path?: string): Place | undefined {
  const resource = flow.given(key);
  return resource && sources.find((each) => each.name === resource.origin.source)?.locate(resource, path);
}

/** ` (lines 12, 15 and 18)`: where else a problem is. Of what stands in no file, the paths. */
function otherLines(flow: Flow, sources: readonly Source[], { resource, path, others }: Problem): string {
  if (others === undefined || others.length === 0) return "";
  const here = resource && locate(flow, sources, resource, path);
  const shown = others.slice(0, mostLines).map((other) => {
    const place = locate(flow, sources, other.resource, other.path);
    if (place === undefined) return { isLine: false, text: other.path };
    return place.file === here?.file ? { isLine: true, text: String(place.line) } : { isLine: false, text: `${place.file}:${place.line}` };
  });
  const texts = [...shown.map(({ text }) => text), ...(others.length > mostLines ? [`${others.length - mostLines} more`] : [])];
  const list = texts.length > 1 ? `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}` : texts[0];
  const lines = texts.length > 1 ? "lines" : "line";
  return ` (${shown.every(({ isLine }) => isLine) ? `${lines} ` : ""}${list})`;
}

const mostLines = 10;

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
