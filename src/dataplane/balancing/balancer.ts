// Who gets the next request: a priority, a locality in it, a host in that; or, for policies that hash, the host of a key among all hosts of a priority.

import { type Candidate, noContext, type PickContext } from "./candidate.ts";
import { type Level, type LevelConfig, type Locality, levelsOf } from "./levels.ts";
import { isHashing, type Picker, type PolicyConfig, pickerOf, type Share } from "./policies.ts";
import { type Position, Positions } from "./positions.ts";

export interface BalancerConfig extends LevelConfig {
  readonly policy: PolicyConfig;
}

export class Balancer<H extends Candidate> {
  readonly #levels: readonly Level<H>[];
  readonly #policy: PolicyConfig;
  readonly #isHashing: boolean;
  readonly #positions: Positions;
  readonly #group: string;
  readonly #hashPickers = new Map<Level<H>, Picker<H> | undefined>();
  readonly #pickers = new Map<Locality<H>, Picker<H>>();
  readonly #credits = new Map<Locality<H>, number>();
  /** Of a cluster with one priority and one locality: nearly all of them. */
  readonly #only: Picker<H> | undefined;

  /**
   * @param positions where round robin stands; shared with the next balancer
   * @param group what these hosts are among all that share `positions`
   */
  constructor(hosts: readonly H[], config: BalancerConfig, positions = new Positions(), group = "") {
    this.#levels = levelsOf(hosts, config);
    this.#policy = config.policy;
    this.#isHashing = isHashing(config.policy);
    this.#positions = positions;
    this.#group = group;
    const [level, ...others] = this.#levels;
    const [locality, ...more] = level?.localities ?? [];
    if (!this.#isHashing && others.length === 0 && locality !== undefined && more.length === 0) this.#only = this.#pickerOf(locality);
  }

  get isEmpty(): boolean {
    return this.#levels.every(({ localities }) => localities.length === 0);
  }

  pick(context: PickContext = noContext, attempt = 0): H | undefined {
    if (this.#only !== undefined) return this.#only(undefined, attempt);
    const level = this.#pickLevel(this.#isHashing ? context.hash : undefined);
    if (level === undefined) return undefined;
    if (this.#isHashing) return this.#hashPicker(level)?.(context.hash, attempt);
    const locality = this.#pickLocality(level.localities);
    return locality && this.#pickerOf(locality)(undefined, attempt);
  }

  #pickLevel(hash: bigint | undefined): Level<H> | undefined {
    const levels = this.#levels;
    if (levels.length <= 1) return levels[0];
    let point = hash === undefined ? Math.random() * 100 : Number(hash % 100n);
    for (const level of levels) {
      point -= level.load;
      if (point < 0) return level;
    }
    return levels.findLast((level) => level.load > 0) ?? levels[0];
  }

  /** In turns, as often as the weights say. */
  #pickLocality(localities: readonly Locality<H>[]): Locality<H> | undefined {
    if (localities.length <= 1) return localities[0];
    let total = 0;
    let best: Locality<H> | undefined;
    let most = Number.NEGATIVE_INFINITY;
    for (const locality of localities) {
      total += locality.weight;
      const credit = (this.#credits.get(locality) ?? 0) + locality.weight;
      this.#credits.set(locality, credit);
      if (credit > most) {
        most = credit;
        best = locality;
      }
    }
    if (best !== undefined) this.#credits.set(best, most - total);
    return best;
  }

  #pickerOf(locality: Locality<H>): Picker<H> {
    let picker = this.#pickers.get(locality);
    if (picker === undefined) {
      picker = pickerOf(this.#policy, locality.hosts, this.#positionOf(locality), () => sharesOf([locality]));
      this.#pickers.set(locality, picker);
    }
    return picker;
  }

  /** Made when it is first needed: a table of 65,537 slots is not for priorities that nobody uses. */
  #hashPicker(level: Level<H>): Picker<H> | undefined {
    if (this.#hashPickers.has(level)) return this.#hashPickers.get(level);
    const hosts = level.localities.flatMap((locality) => locality.hosts);
    const [first] = level.localities;
    const picker = first && pickerOf(this.#policy, hosts, this.#positionOf(first), () => sharesOf(level.localities));
    this.#hashPickers.set(level, picker);
    return picker;
  }

  #positionOf({ key }: Locality<H>): Position {
    return this.#positions.of(`${this.#group} ${key}`);
  }
}

/** The share of each host: that of its locality, by its weight among the locality's hosts. */
function sharesOf<H extends Candidate>(localities: readonly Locality<H>[]): Share<H>[] {
  const total = localities.reduce((sum, { weight }) => sum + weight, 0);
  return localities.flatMap(({ hosts, weight }) => {
    const inside = hosts.reduce((sum, { spec }) => sum + spec.weight, 0);
    return hosts.map((host) => ({ host, weight: ((weight / total) * host.spec.weight) / inside }));
  });
}
