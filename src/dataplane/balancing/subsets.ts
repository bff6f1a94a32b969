// Subsets: a request that names metadata goes to hosts that have it. Each subset is balanced like a cluster of its own.

import { Balancer, type BalancerConfig } from "./balancer.ts";
import type { Candidate, PickContext, SubsetCriteria } from "./candidate.ts";
import type { Positions } from "./positions.ts";

export type SubsetFallback = "none" | "any" | "default";

export interface SubsetConfig {
  readonly fallback: SubsetFallback;
  readonly defaultSubset: Readonly<Record<string, unknown>>;
  readonly selectors: readonly SubsetSelector[];
  /** A value that is a list stands for each of its elements. */
  readonly listAsAny: boolean;
  /** When a default subset has nobody who is well, any host will do. */
  readonly panicModeAny: boolean;
}

export interface SubsetSelector {
  /** Sorted. */
  readonly keys: readonly string[];
  /** Undefined: that of the cluster. */
  readonly fallback: SubsetFallback | "keys" | undefined;
  /** Sorted. */
  readonly fallbackKeys: readonly string[];
}

export class SubsetBalancer<H extends Candidate> {
  readonly #hosts: readonly H[];
  readonly #config: SubsetConfig;
  readonly #balancing: BalancerConfig;
  readonly #positions: Positions;
  readonly #all: Balancer<H>;
  readonly #subsets = new Map<string, Balancer<H>>();

  constructor(hosts: readonly H[], config: SubsetConfig, balancing: BalancerConfig, positions: Positions) {
    this.#hosts = hosts;
    this.#config = config;
    this.#balancing = balancing;
    this.#positions = positions;
    this.#all = new Balancer(hosts, balancing, positions);
  }

  pick(context: PickContext, attempt: number): H | undefined {
    const criteria = context.subset;
    if (criteria === undefined) return this.#fallBack(this.#config.fallback, context, attempt);
    const selector = this.#selectorFor(criteria.keys);
    if (selector === undefined) return this.#fallBack(this.#config.fallback, context, attempt);
    const found = this.#of(criteria);
    if (found !== undefined) return found.pick(context, attempt);
    if (selector.fallback !== "keys") return this.#fallBack(selector.fallback ?? this.#config.fallback, context, attempt);
    const values = Object.fromEntries(selector.fallbackKeys.map((key) => [key, criteria.values[key]]));
    return this.pick({ ...context, subset: { keys: selector.fallbackKeys, values } }, attempt);
  }

  #selectorFor(keys: readonly string[]): SubsetSelector | undefined {
    return this.#config.selectors.find((each) => each.keys.length === keys.length && each.keys.every((key, index) => key === keys[index]));
  }

  #fallBack(fallback: SubsetFallback, context: PickContext, attempt: number): H | undefined {
    switch (fallback) {
      case "any":
        return this.#all.pick(context, attempt);
      case "default": {
        const values = this.#config.defaultSubset;
        const keys = Object.keys(values).sort();
        const found = keys.length === 0 ? this.#all : this.#of({ keys, values });
        return found?.pick(context, attempt) ?? (this.#config.panicModeAny ? this.#all.pick(context, attempt) : undefined);
      }
      default:
        return undefined;
    }
  }

  /** Undefined when no host has that metadata. */
  #of({ keys, values }: SubsetCriteria): Balancer<H> | undefined {
    const name = JSON.stringify(keys.map((key) => [key, values[key]]));
    let subset = this.#subsets.get(name);
    if (subset === undefined) {
      const members = this.#hosts.filter((host) => keys.every((key) => this.#has(host, key, values[key])));
      if (members.length === 0) return undefined;
      subset = new Balancer(members, this.#balancing, this.#positions, name);
      this.#subsets.set(name, subset);
    }
    return subset;
  }

  #has({ spec }: H, key: string, wanted: unknown): boolean {
    const value = spec.lbMetadata?.[key];
    if (value === undefined || wanted === undefined) return false;
    const text = JSON.stringify(wanted);
    if (this.#config.listAsAny && Array.isArray(value)) return value.some((each) => JSON.stringify(each) === text);
    return JSON.stringify(value) === text;
  }
}
