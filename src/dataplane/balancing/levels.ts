// Priorities and localities: which hosts of a cluster take part, and with which share of the requests. As Envoy computes them.

import type { Candidate } from "./candidate.ts";

export interface LevelConfig {
  /** Over-provisioning factor: 1.4. */
  readonly overprovisioning: number;
  /** In percent. */
  readonly panicThreshold: number;
  readonly byLocality: boolean;
}

/** Hosts that take requests together. */
export interface Level<H> {
  /** Share of requests, in percent; the shares of all levels are 100 together. */
  readonly load: number;
  readonly localities: readonly Locality<H>[];
}

export interface Locality<H> {
  /** Unique among all localities of all levels, and the same over changes. */
  readonly key: string;
  /** Against its siblings. */
  readonly weight: number;
  readonly hosts: readonly H[];
}

/**
 * A priority takes as much load as its healthy share times the over-provisioning factor; the rest goes to the next one, and what no healthy host takes
 * goes to degraded ones. When less than the panic threshold of a priority is well, health is not believed and all its hosts are used.
 */
export function levelsOf<H extends Candidate>(hosts: readonly H[], config: LevelConfig): Level<H>[] {
  const priorities = byPriority(hosts);
  const healthy = priorities.map((all) => availability(all, (host) => host.isHealthy, config));
  const degraded = priorities.map((all) => availability(all, (host) => host.isDegraded, config));
  const total = Math.min(100, sum(healthy) + sum(degraded));
  let left = 100;
  const share = (available: number) => {
    const load = Math.min(left, Math.round((available * 100) / total));
    left -= load;
    return load;
  };
  if (total === 0) {
    // Nothing is well anywhere: the first priority, in panic; as long as that is allowed.
    const [first] = priorities;
    return first === undefined ? [] : [{ load: 100, localities: localitiesOf("0", first, config.panicThreshold > 0 ? first : [], config) }];
  }
  const isPanic = (all: readonly H[]) =>
    total < 100 && (100 * all.filter((host) => host.isHealthy || host.isDegraded).length) / all.length < config.panicThreshold;
  const levels: { load: number; localities: Locality<H>[] }[] = [];
  for (const [index, all] of priorities.entries()) {
    const used = isPanic(all) ? all : all.filter((host) => host.isHealthy);
    levels.push({ load: share(healthy[index] as number), localities: localitiesOf(`${index}`, all, used, config) });
  }
  for (const [index, all] of priorities.entries()) {
    if ((degraded[index] as number) === 0) continue;
    const used = isPanic(all) ? all : all.filter((host) => host.isDegraded);
    levels.push({ load: share(degraded[index] as number), localities: localitiesOf(`${index} degraded`, all, used, config) });
  }
  // Rounding: what is left goes to the first that takes anything.
  const first = levels.find(({ load }) => load > 0);
  if (first !== undefined) first.load += left;
  return levels;
}

function byPriority<H extends Candidate>(hosts: readonly H[]): H[][] {
  const found = new Map<number, H[]>();
  for (const host of hosts) {
    const level = found.get(host.spec.priority);
    if (level === undefined) found.set(host.spec.priority, [host]);
    else level.push(host);
  }
  return [...found.entries()].sort(([a], [b]) => a - b).map(([, level]) => level);
}

function availability<H>(all: readonly H[], isGood: (host: H) => boolean, { overprovisioning }: LevelConfig): number {
  return Math.min(100, Math.floor((100 * overprovisioning * all.filter(isGood).length) / all.length));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}

/** Without weights for localities, all hosts are one. A locality counts as much as its weight, less when many of its hosts are not well. */
function localitiesOf<H extends Candidate>(
  level: string,
  all: readonly H[],
  used: readonly H[],
  { byLocality, overprovisioning }: LevelConfig,
): Locality<H>[] {
  if (used.length === 0) return [];
  if (!byLocality || !all.some((host) => host.spec.locality.weight > 0)) return [{ key: level, weight: 1, hosts: used }];
  const groups = new Map<string, { all: number; used: H[]; weight: number }>();
  for (const host of all) {
    const { key, weight } = host.spec.locality;
    const group = groups.get(key) ?? { all: 0, used: [], weight };
    group.all++;
    groups.set(key, group);
  }
  for (const host of used) groups.get(host.spec.locality.key)?.used.push(host);
  return [...groups]
    .filter(([, group]) => group.weight > 0 && group.used.length > 0)
    .map(([key, group]) => ({
      key: `${level} ${key}`,
      weight: group.weight * Math.min(1, (overprovisioning * group.used.length) / group.all),
      hosts: group.used,
    }));
}
