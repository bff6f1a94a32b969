// The hooks of this type as the flow runs them, for tests with a real Consul.
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { SettingsSchema } from "../../../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { UpstreamSchema } from "../../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { Problem } from "../../../model/problem.ts";
import { resourceKey } from "../../../model/ref.ts";
import type { DiscoveredUpstream, EdgeContext, Endpoint, TypedUpstream } from "../../../plugin/upstream-type.ts";
import { type DiscoveryTuning, discoverConsulServices } from "../discover.ts";
import { consulEndpoints, type EndpointsTuning } from "../endpoints.ts";

type ConsulUpstream = TypedUpstream<"consul">;

export function upstreamOf(name: string, consul: JsonObject): ConsulUpstream {
  const ref = { namespace: "shop", name };
  const upstream = fromJson(UpstreamSchema, { consul });
  if (upstream.upstreamType.case !== "consul") throw new Error("not a Consul Upstream");
  return { key: resourceKey("Upstream", ref), ref, name: `${name}_shop`, spec: upstream.upstreamType.value, upstream };
}

export interface EdgeOptions {
  /** Of the Settings: `consul`, with `serviceDiscovery`. */
  readonly consul: JsonObject;
  readonly consulDiscovery?: JsonObject;
  /** What proxies have already, for every Upstream. */
  readonly inService?: readonly Endpoint[];
}

/** What a hook was given and what it reported. */
class Edge implements AsyncDisposable {
  readonly problems = new Map<string, readonly Problem[]>();
  readonly logged: string[] = [];
  protected readonly ended = new AbortController();
  protected readonly context: EdgeContext;
  protected running: Promise<void> = Promise.resolve();

  constructor({ consul, consulDiscovery, inService }: EdgeOptions) {
    const settings = fromJson(SettingsSchema, { consul: { serviceDiscovery: {}, ...consul }, ...(consulDiscovery && { consulDiscovery }) });
    const log = (_: object, message: string) => this.logged.push(message);
    this.context = {
      signal: this.ended.signal,
      settings: () => settings,
      secret: () => undefined,
      endpointsInService: () => inService,
      report: (report) => this.problems.set(report.resource ?? "", report.problems),
      log: { debug: log, info: log, warn: log, error: log },
    };
  }

  get reasons(): string[] {
    return [...this.problems.values()].flat().map(({ reason }) => reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ended.abort();
    await this.running;
  }
}

/** Follows the endpoints of Upstreams and keeps the last set of each. */
export class FollowedEndpoints extends Edge {
  readonly sets = new Map<string, readonly Endpoint[]>();
  /** Every set that was yielded: name and number of endpoints. */
  readonly history: { readonly name: string; readonly count: number; readonly at: number }[] = [];
  #upstreams: readonly ConsulUpstream[];
  #wake: () => void = () => undefined;

  constructor(upstreams: readonly ConsulUpstream[], options: EdgeOptions & EndpointsTuning) {
    super(options);
    this.#upstreams = upstreams;
    this.running = (async () => {
      for await (const { key, endpoints } of consulEndpoints(this.#watch(), this.context, options)) {
        const name = key.slice(key.indexOf("/") + 1);
        this.sets.set(name, endpoints);
        this.history.push({ name, count: endpoints.length, at: performance.now() });
      }
    })();
  }

  set(upstreams: readonly ConsulUpstream[]): void {
    this.#upstreams = upstreams;
    this.#wake();
  }

  /** `address:port` of an Upstream, in order; undefined when nothing was yielded yet. */
  addresses(name: string): string[] | undefined {
    return this.sets
      .get(name)
      ?.map(({ address, port }) => `${address}:${port}`)
      .sort();
  }

  async *#watch(): AsyncGenerator<readonly ConsulUpstream[]> {
    const { signal } = this.ended;
    signal.addEventListener("abort", () => this.#wake(), { once: true });
    while (!signal.aborted) {
      yield this.#upstreams;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Follows discovery and keeps the last list. */
export class FollowedDiscovery extends Edge {
  list: readonly DiscoveredUpstream[] | undefined;

  constructor(options: EdgeOptions & DiscoveryTuning) {
    super(options);
    this.running = (async () => {
      for await (const list of discoverConsulServices(this.context, options)) this.list = list;
    })();
  }

  /** Names of what discovery would write. */
  get names(): string[] | undefined {
    return this.list?.filter(({ isImplied }) => !isImplied).map(({ ref }) => ref.name);
  }
}
