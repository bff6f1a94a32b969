// A flow with everything around it that a control plane has, and what a consumer holds that was sent every change.
import { fromBinary } from "@bufbuild/protobuf";
import { expect } from "vitest";
import { builtins } from "../../src/builtins.ts";
import { carryOut } from "../../src/flow/carry-out.ts";
import { Flow } from "../../src/flow/flow.ts";
import { allKinds } from "../../src/flow/inputs.ts";
import { Memory } from "../../src/flow/memory.ts";
import { Publisher, resourcesOfProxy } from "../../src/flow/publisher.ts";
import { RouteConfigurationSchema } from "../../src/gen/envoy/envoy/config/route/v3/route_pb.js";
import type { BatchResult, Collection, Input } from "../../src/graph/mod.ts";
import {
  type EnvoyResource,
  type ProxyKey,
  type ResourceChanges,
  type ResourceConsumer,
  typeUrls,
} from "../../src/model/envoy-resource.ts";
import type { Resource } from "../../src/model/resource.ts";
import type { Random } from "./random.ts";

export class Running {
  readonly flow: Flow;
  readonly held = new Held();
  readonly memory: Memory;
  readonly #publisher: Publisher;
  #isFirst = true;

  /** As what serves proxies, unless told otherwise. */
  constructor({ secretsApart = true } = {}) {
    this.flow = new Flow(builtins, { secretsApart });
    this.memory = new Memory(this.flow, undefined);
    this.#publisher = new Publisher(this.flow, [this.held], (fault) => {
      throw fault;
    });
  }

  /** One batch, as the control plane carries it through. */
  batch(edit: (flow: Flow) => void): BatchResult {
    const result = this.flow.graph.batch(() => edit(this.flow));
    expect(result.failures).toEqual([]);
    carryOut(this.#publisher, this.memory, this.#isFirst ? undefined : result);
    this.#isFirst = false;
    return result;
  }
}

/** What a client has that applied all it was sent. */
export class Held implements ResourceConsumer {
  readonly proxies = new Map<ProxyKey, Map<string, EnvoyResource>>();

  publish(proxy: ProxyKey, { upserts, removals }: ResourceChanges): void {
    const held = this.proxies.get(proxy) ?? new Map<string, EnvoyResource>();
    this.proxies.set(proxy, held);
    for (const resource of upserts) held.set(nameOf(resource), resource);
    for (const removal of removals) held.delete(nameOf(removal));
  }

  retire(proxy: ProxyKey): void {
    this.proxies.delete(proxy);
  }
}

/** All that can be seen of a flow, a line each. */
export function seenOf(flow: Flow): string[] {
  const lines: string[] = [];
  for (const kind of allKinds) {
    for (const [key, judgement] of flow.judged[kind].entries()) lines.push(`judged ${key} ${JSON.stringify(judgement)}`);
  }
  for (const proxy of [...flow.proxies()].sort()) {
    for (const resource of resourcesOfProxy(flow, proxy)) {
      lines.push(`sent ${proxy} ${nameOf(resource)} ${bytesOf(resource)} of ${[...resource.owners].sort()}`);
    }
  }
  return lines;
}

/** What Envoy would refuse as a whole, whatever the parts are like: two resources of one name, a domain twice in a route configuration. */
export function expectServable(flow: Flow, where: string): void {
  const twice: string[] = [];
  for (const proxy of flow.proxies()) {
    const names = new Set<string>();
    for (const resource of resourcesOfProxy(flow, proxy)) {
      if (names.has(nameOf(resource))) twice.push(`${proxy} ${nameOf(resource)}`);
      names.add(nameOf(resource));
      if (resource.typeUrl === typeUrls.route) twice.push(...domainsTwice(resource));
    }
  }
  expect(twice, where).toEqual([]);
}

function domainsTwice(resource: EnvoyResource): string[] {
  const hosts = fromBinary(RouteConfigurationSchema, resource.bytes).virtualHosts;
  const domains = hosts.flatMap((host) => host.domains.map((domain) => domain.toLowerCase()));
  const names = hosts.map(({ name }) => name);
  return [...domains.filter((domain, i) => domains.indexOf(domain) !== i), ...names.filter((name, i) => names.indexOf(name) !== i)].map(
    (each) => `${resource.name} ${each}`,
  );
}

/** What a consumer holds, and what it ought to hold, a line each. */
export function heldBy(held: Held): string[] {
  return linesOf([...held.proxies].map(([proxy, resources]) => [proxy, [...resources.values()]]));
}

export function servedBy(flow: Flow): string[] {
  return linesOf([...flow.proxies()].map((proxy) => [proxy, resourcesOfProxy(flow, proxy)]));
}

function linesOf(proxies: readonly (readonly [ProxyKey, readonly EnvoyResource[]])[]): string[] {
  return proxies
    .flatMap(([proxy, resources]) => [`proxy ${proxy}`, ...resources.map((each) => `${proxy} ${nameOf(each)} ${bytesOf(each)}`)])
    .sort();
}

/** A flow that is given at once, in any order, what another has come to hold. */
export function fromScratch(other: Flow, random?: Random): Flow {
  const flow = new Flow(builtins, { secretsApart: true });
  const edits: (() => void)[] = [];
  for (const kind of allKinds) {
    for (const [, resource] of other.inputs.given[kind].entries()) edits.push(() => flow.apply("test", resource as Resource));
    const lastGood = flow.inputs.lastGood[kind] as unknown as Input<Resource>;
    copy(other.inputs.lastGood[kind] as unknown as Collection<Resource>, lastGood, edits);
  }
  copy(other.inputs.refused, flow.inputs.refused, edits);
  copy(other.inputs.addresses, flow.inputs.addresses, edits);
  copy(other.inputs.outside, flow.inputs.outside, edits);
  if (random) shuffle(edits, random);
  const result = flow.graph.batch(() => {
    for (const edit of edits) edit();
  });
  expect(result.failures).toEqual([]);
  return flow;
}

export function shuffle<T>(list: T[], random: Random): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j] as T, list[i] as T];
  }
  return list;
}

function copy<V extends {}>(from: Collection<V>, to: Input<V>, edits: (() => void)[]): void {
  for (const [key, value] of from.entries()) edits.push(() => to.set(key, value));
}

function nameOf({ typeUrl, name }: Pick<EnvoyResource, "typeUrl" | "name">): string {
  return `${typeUrl.slice(typeUrl.lastIndexOf(".") + 1)} ${name}`;
}

function bytesOf({ version, bytes }: EnvoyResource): string {
  return `${version} ${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")}`;
}
