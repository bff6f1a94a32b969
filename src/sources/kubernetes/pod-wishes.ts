// Whether Pods have to be watched, which is much work in a large cluster: only for Upstreams whose endpoints labels choose, and not where
// the labels are those by which the Service itself has chosen, as discovery writes them.
import type { JsonObject } from "@bufbuild/protobuf";
import { type ResourceKey, resourceKey } from "../../model/ref.ts";
import type { Resource, Spec } from "../../model/resource.ts";

type Labels = Readonly<Record<string, unknown>>;

export class PodWishes {
  /** Resources that want Pods. */
  readonly #wishes = new Set<ResourceKey>();
  /** Upstreams with a selector, by the Service that it has to be compared with. */
  readonly #selectors = new Map<ResourceKey, Map<ResourceKey, Labels>>();
  readonly #serviceOf = new Map<ResourceKey, ResourceKey>();
  readonly #resourceOf: (key: ResourceKey) => Resource | undefined;

  constructor(resourceOf: (key: ResourceKey) => Resource | undefined) {
    this.#resourceOf = resourceOf;
  }

  get areThere(): boolean {
    return this.#wishes.size > 0;
  }

  /** A resource is there, or has changed. */
  note(resource: Resource): void {
    const { kind, key } = resource;
    if (kind === "Upstream") this.#noteUpstream(resource as Resource<"Upstream">);
    else if (kind === "Service") {
      this.#wish(key, /subset/i.test(resource.annotations["gloo.solo.io/upstream_config"] ?? ""));
      for (const [upstream, selector] of this.#selectors.get(key) ?? []) this.#wish(upstream, this.#chooses(selector, key));
    } else if (kind === "Settings")
      this.#wish(key, (resource.spec as Spec<"Settings"> | undefined)?.gloo?.istioOptions?.enableAutoMtls === true);
  }

  forget(key: ResourceKey): void {
    this.#wishes.delete(key);
    const service = this.#serviceOf.get(key);
    if (service === undefined) return;
    this.#serviceOf.delete(key);
    const selectors = this.#selectors.get(service);
    selectors?.delete(key);
    if (selectors?.size === 0) this.#selectors.delete(service);
  }

  #noteUpstream({ key, spec }: Resource<"Upstream">): void {
    this.forget(key);
    if (spec?.upstreamType.case !== "kube") return;
    const { subsetSpec, selector, serviceName: name, serviceNamespace: namespace } = spec.upstreamType.value;
    if (subsetSpec !== undefined) this.#wish(key, true);
    else if (Object.keys(selector).length > 0) {
      const service = resourceKey("Service", { namespace, name });
      this.#serviceOf.set(key, service);
      this.#selectors.set(service, (this.#selectors.get(service) ?? new Map()).set(key, selector));
      this.#wish(key, this.#chooses(selector, service));
    }
  }

  /** Without its Service an Upstream has no endpoints to choose from. */
  #chooses(selector: Labels, service: ResourceKey): boolean {
    const object = this.#resourceOf(service)?.spec as { readonly spec?: JsonObject } | undefined;
    const ofService = (object?.spec?.selector ?? {}) as Labels;
    return object !== undefined && !Object.entries(selector).every(([name, value]) => ofService[name] === value);
  }

  #wish(key: ResourceKey, isWish: boolean): void {
    if (isWish) this.#wishes.add(key);
    else this.#wishes.delete(key);
  }
}
