// THE FLOW: what is computed from what, top to bottom. The only place where stages meet.
//
//   sources ─► given ─► in service ─► clusters, endpoints ─────────────────────────────► outlets ─► publisher
//                          └────────► gateways ─► virtual hosts ─► route configurations ──┘
//                                          └────► listeners ──────────────────────────────┘
//              each of these says what it found ─► judgements ─► statuses, and what is remembered as good
import { type FunctionOverlay, withFunctions } from "../discovery/overlay.ts";
import { type BatchResult, type Collection, Graph, type Input, type Single } from "../graph/mod.ts";
import type { Change } from "../model/change.ts";
import type { EnvoyResource, ProxyKey } from "../model/envoy-resource.ts";
import type { Problem } from "../model/problem.ts";
import { parseResourceKey, type ResourceKey } from "../model/ref.ts";
import type { Kind, Resource, Spec } from "../model/resource.ts";
import type { Status } from "../model/status.ts";
import type { Plugins } from "../plugin/plugins.ts";
import { statusOf } from "../status/status.ts";
import { discoveredUpstreams, discoverySettings } from "../upstreams/kube/discovered.ts";
import { inMemoryUpstreams } from "../upstreams/kube/service.ts";
import { secretProblems } from "../validate/secret.ts";
import { authConfigsFlow, badAuthConfigs } from "./auth-configs.ts";
import { discoveredInUse } from "./discovered.ts";
import type { SiteHost } from "./hosts.ts";
import { byKind, createInputs, type Inputs, sameJson, sameResource } from "./inputs.ts";
import { type Contributor, type Judged, judge } from "./judgements.ts";
import type { Made } from "./last-good.ts";
import { type MakingOptions, makingWith } from "./making.ts";
import { Offers } from "./offers.ts";
import type { Outlet } from "./publisher.ts";
import { routesFlow } from "./routes.ts";
import { clusterResources, type Endpoints, endpointResources, generatedResources, upstreamsFlow } from "./upstreams.ts";
import { isWatched, sameWatched, type Watched, watchedNamespaces } from "./watched.ts";
import { type InService, inService, settingsFlow } from "./world.ts";

export class Flow {
  readonly graph: Graph;
  readonly inputs: Inputs;
  /** Everything that Envoy resources come from. */
  readonly outlets: readonly Outlet[];
  readonly judged: Judged;
  /** Upstreams that could be read, also those that discovery made. */
  readonly upstreams: Collection<Resource<"Upstream">>;
  readonly settings: Single<Spec<"Settings">>;
  /** The Upstreams of Services, as discovery would have them. */
  readonly found: Collection<Resource<"Upstream">>;
  /** Those of them that nobody has written. */
  readonly discovered: Collection<Resource<"Upstream">>;
  /** Endpoints that travel by EDS, by key of the Upstream. */
  readonly endpoints: readonly Collection<Endpoints>[];
  /** For what is computed only where Headworks runs. */
  readonly known: InService;
  readonly proxies: () => Iterable<ProxyKey>;
  /** VirtualServices as Gateways serve them. */
  readonly hosts: Collection<SiteHost>;
  /** What was thrown in this batch, by what was being made: for the log. */
  readonly faultsOf: (result: BatchResult) => ReadonlyMap<string, unknown>;
  /** Functions that were found, laid over Upstreams as they come in. */
  overlay?: FunctionOverlay;
  readonly #offers = new Offers();
  /** Of the newest objects: one that is equal to the one before is not taken in, and may be another one all the same. */
  readonly #generations = new Map<ResourceKey, number>();
  /** What each reporter has said last, by resource. */
  readonly #reported = new Map<string, readonly ResourceKey[]>();

  /** `onFault` is told what those throw who observe the graph; without it, whoever began the batch meets it. */
  constructor(plugins: Plugins, options: MakingOptions = {}, onFault?: (fault: unknown) => void) {
    const graph = new Graph({ ...(onFault && { onFault }) });
    this.graph = graph;
    const making = makingWith(plugins, options);
    const inputs = createInputs(graph);
    const allSettings = newestReadable(graph, inputs, "Settings") as Collection<Resource<"Settings">>;
    const settings = settingsFlow(graph, allSettings);
    const watched = graph.value("watched namespaces", (read) => watchedNamespaces(read.value(settings)), { equals: sameWatched });
    const badSecrets = graph.derive("bad secrets", inputs.given.Secret, (secret) => {
      const problems = secretProblems(secret);
      return problems.length === 0 ? undefined : problems;
    });
    const badConfigs = badAuthConfigs(graph, inputs, making);
    const bad: Partial<Record<Kind, Collection<unknown>>> = { Secret: badSecrets, AuthConfig: badConfigs };
    const readable = byKind((kind) =>
      kind === "Settings" ? allSettings : newestReadable(graph, inputs, kind, watched, bad[kind]),
    ) as unknown as { [K in Kind]: Collection<Resource<K>> };
    const generated = graph.deriveMany(
      "upstreams of services",
      readable.Service,
      (service, _key, read) => {
        const { gloo, upstreamOptions } = read.value(settings);
        if (gloo?.disableKubernetesDestinations === true) return [];
        return inMemoryUpstreams(service, upstreamOptions?.globalAnnotations).map((upstream) => [upstream.key, upstream] as const);
      },
      { equals: sameResource },
    );
    const discovery = graph.value("discovery settings", (read) => discoverySettings(read.value(settings)), { equals: sameJson });
    const found = graph.deriveMany(
      "upstreams that discovery finds",
      readable.Service,
      (service, _key, read) => discoveredUpstreams(service, read.value(discovery)).map((upstream) => [upstream.key, upstream] as const),
      { equals: sameResource },
    );
    // Who wrote one of that name, or had it written, means that.
    const discovered = graph.derive(
      "discovered upstreams",
      found,
      (upstream, key, read) => {
        if (read.has(readable.Upstream, key)) return undefined;
        const functions = read.get(inputs.functions, key);
        const areOfIt = functions !== undefined && (functions.ofVersion ?? upstream.version) === upstream.version;
        return areOfIt ? withFunctions(upstream, functions.spec) : upstream;
      },
      { equals: sameResource },
    );
    const known = inService({ of: readable, settings, generated, discovered });

    const upstreams = upstreamsFlow(graph, inputs, known, making);
    const routes = routesFlow(graph, inputs, known, upstreams, making);
    const authConfigs = authConfigsFlow(graph, inputs, known, badConfigs, making);
    const inUse = discoveredInUse(graph, inputs, known, making, routes.users);

    const aboutSecrets: Contributor = ({ kind, key }, read) => (kind === "Secret" ? [{ problems: read.get(badSecrets, key) ?? [] }] : []);

    this.inputs = inputs;
    this.upstreams = known.of.Upstream;
    this.settings = known.settings;
    this.found = found;
    this.discovered = discovered;
    this.endpoints = [upstreams.endpoints, upstreams.generatedEndpoints, ...inUse.map((each) => each.endpoints)];
    this.known = known;
    this.outlets = [
      { collection: upstreams.clusters, resources: clusterResources },
      { collection: upstreams.extras, resources: (each: EnvoyResource) => [each] },
      { collection: upstreams.generatedClusters, resources: generatedResources },
      { collection: authConfigs.resources, resources: (each: EnvoyResource) => [each] },
      { collection: upstreams.endpoints, resources: endpointResources },
      { collection: upstreams.generatedEndpoints, resources: endpointResources },
      ...inUse.flatMap(({ clusters, endpoints }) => [
        { collection: clusters, resources: generatedResources },
        { collection: endpoints, resources: endpointResources },
      ]),
      ...routes.outlets,
    ] as readonly Outlet[];
    this.proxies = routes.proxies;
    this.hosts = routes.hosts;
    const made: readonly Collection<Made<unknown>>[] = [upstreams.clusters, authConfigs.made, ...routes.made];
    this.faultsOf = (result) =>
      new Map(
        made.flatMap((collection) =>
          [...result.changesOf(collection)].flatMap(([key, { after }]) =>
            after?.fault === undefined ? [] : [[key, after.fault] as const],
          ),
        ),
      );
    this.judged = judge(
      graph,
      inputs,
      watched,
      [upstreams.contribute, authConfigs.contribute, ...routes.contributors, aboutSecrets],
      routes.sentOf,
      statusOfResource,
    );
  }

  /**
   * A change of a source, to be made and taken back inside of `graph.trial`. It reaches the inputs of the graph and nothing else: neither
   * who gave what, nor the functions that were found, may know of what never happens.
   */
  thought(source: string, change: Exclude<Change, { kind: "reset" }>): { readonly edit: () => void; readonly undo: () => void } {
    const key = change.kind === "apply" ? change.resource.key : change.key;
    const input = this.#input(key);
    const { refused } = this.inputs;
    const lastGood = this.lastGood(key);
    const [before, refusal, good] = [input?.get(key), refused.get(key), lastGood.get(key)];
    const put = (resource: Resource) => input?.set(key, this.#withFunctions(resource));
    return {
      edit: () => {
        if (change.kind === "apply") {
          if (this.#offers.wouldCount(source, key)) put(change.resource);
          return;
        }
        const next = this.#offers.without(source, key);
        if (next === "same") return;
        refused.delete(key);
        if (next !== "nothing") return put(next);
        input?.delete(key);
        // As it would be for who starts afterwards.
        lastGood.delete(key);
      },
      undo: () => {
        if (good !== undefined) lastGood.set(key, good);
        if (before === undefined) input?.delete(key);
        else input?.set(key, before);
        if (refusal !== undefined) refused.set(key, refusal);
      },
    };
  }

  /** The newest version of a resource, as its source gave it. */
  given(key: ResourceKey): Resource | undefined {
    return this.#input(key)?.get(key);
  }

  /** Which generation of it that is, where its source counts them. */
  generationOf(key: ResourceKey): number | undefined {
    return this.#generations.get(key);
  }

  lastGood(key: ResourceKey): Input<Resource> {
    return this.inputs.lastGood[parseResourceKey(key).kind as Kind] as unknown as Input<Resource>;
  }

  /** Inside of a batch, as the next three. */
  apply(source: string, resource: Resource): void {
    if (this.#offers.give(source, resource)) this.#put(resource);
  }

  delete(source: string, key: ResourceKey): void {
    const next = this.#offers.takeBack(source, key);
    if (next === "same") return;
    this.overlay?.forget(key);
    this.inputs.refused.delete(key);
    this.#generations.delete(key);
    if (next === "nothing") this.#input(key)?.delete(key);
    else this.#put(next);
  }

  reset(source: string, resources: readonly Resource[]): void {
    const kept = new Set(resources.map((resource) => resource.key));
    for (const key of this.#offers.of(source)) if (!kept.has(key)) this.delete(source, key);
    for (const resource of resources) this.apply(source, resource);
  }

  #put(resource: Resource): void {
    const { generation } = resource.origin;
    if (generation !== undefined) this.#generations.set(resource.key, generation);
    const known = resource.kind === "Upstream" ? this.overlay?.over(resource as Resource<"Upstream">) : undefined;
    this.#input(resource.key)?.set(resource.key, known ?? resource);
  }

  #withFunctions(resource: Resource): Resource {
    return resource.kind === "Upstream" && this.overlay ? this.overlay.seenOver(resource as Resource<"Upstream">) : resource;
  }

  /** Replaces all that a reporter has found about resources. */
  report(reporter: string, problems: readonly Problem[]): void {
    const byResource = Map.groupBy(
      problems.filter((problem) => problem.resource !== undefined),
      (problem) => problem.resource as ResourceKey,
    );
    for (const key of this.#reported.get(reporter) ?? []) if (!byResource.has(key)) this.inputs.outside.delete(`${reporter} ${key}`);
    for (const [resource, its] of byResource) this.inputs.outside.set(`${reporter} ${resource}`, { resource, problems: its });
    this.#reported.set(reporter, [...byResource.keys()]);
  }

  /** Replaces what a reporter has found about one resource. */
  reportOn(reporter: string, resource: ResourceKey, problems: readonly Problem[]): void {
    if (problems.length === 0) this.inputs.outside.delete(`${reporter} ${resource}`);
    else this.inputs.outside.set(`${reporter} ${resource}`, { resource, problems });
  }

  /** Somebody else than this source gave a resource of that name. */
  isGivenByAnother(source: string, key: ResourceKey): boolean {
    const giver = this.#offers.giverOf(key);
    return giver !== undefined && giver !== source;
  }

  #input(key: ResourceKey): Input<Resource> | undefined {
    return this.inputs.given[parseResourceKey(key).kind as Kind] as unknown as Input<Resource> | undefined;
  }
}

/**
 * The newest version that could be read at all, of what is in the namespaces that Settings tell us to watch; whether it is any good is
 * for those to say who make something of it.
 */
function newestReadable(
  graph: Graph,
  inputs: Inputs,
  kind: Kind,
  watched?: Single<Watched>,
  faults?: Collection<unknown>,
): Collection<Resource> {
  return graph.derive(
    `readable ${kind}`,
    inputs.given[kind] as unknown as Collection<Resource>,
    (resource, key, read) => {
      if (watched !== undefined && !isWatched(resource, read.value(watched))) return undefined;
      if (resource.spec !== undefined && !(faults && read.has(faults, key))) return resource;
      const lastGood = read.get(inputs.lastGood[kind] as unknown as Collection<Resource>, key);
      return lastGood ?? (resource.spec === undefined ? undefined : resource);
    },
    { equals: sameResource },
  );
}

const kindsWithStatus: readonly Kind[] = ["Upstream", "UpstreamGroup", "Gateway", "VirtualService", "RouteTable"];

/** In Gloo an Upstream that cannot be served is a Warning: the routes to it are still accepted. */
function statusOfResource(
  { kind }: Resource,
  own: readonly Problem[],
  byProxy: ReadonlyMap<string, readonly Problem[]>,
): Status | undefined {
  if (!kindsWithStatus.includes(kind)) return undefined;
  return statusOf(kind === "Upstream" ? own.map((each) => ({ ...each, severity: "warning" as const })) : own, byProxy);
}
