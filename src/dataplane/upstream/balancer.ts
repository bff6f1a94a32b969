// Who gets the next request: priorities and panic as Envoy computes them, then round robin, least request or random.

import type { Host } from "./host.ts";

interface Level {
  readonly hosts: readonly Host[];
  /** Share of requests, in percent; the shares of all levels are 100 together. */
  readonly load: number;
  readonly isWeighted: boolean;
}

export class Balancer {
  readonly #levels: readonly Level[];
  readonly #policy: "roundRobin" | "leastRequest" | "random";
  readonly #choices: number;
  /** Where round robin stands; handed to the next balancer so that an edit does not begin at the first host again. */
  position: number;

  constructor(
    hosts: readonly Host[],
    overprovisioning: number,
    panicThreshold: number,
    policy: "roundRobin" | "leastRequest" | "random",
    choices: number,
    position = 0,
  ) {
    this.#levels = levelsOf(hosts, overprovisioning, panicThreshold);
    this.#policy = policy;
    this.#choices = choices;
    this.position = position;
  }

  pick(): Host | undefined {
    const level = this.#pickLevel();
    if (level === undefined) return undefined;
    const { hosts } = level;
    if (hosts.length <= 1) return hosts[0];
    switch (this.#policy) {
      case "random":
        return level.isWeighted ? smoothWeighted(hosts) : randomOf(hosts);
      case "leastRequest": {
        let best = randomOf(hosts);
        for (let i = 1; i < this.#choices; i++) {
          const other = randomOf(hosts);
          if (other.activeRequests / other.spec.weight < best.activeRequests / best.spec.weight) best = other;
        }
        return best;
      }
      default:
        if (level.isWeighted) return smoothWeighted(hosts);
        this.position = (this.position + 1) % 0x4000_0000;
        return hosts[this.position % hosts.length];
    }
  }

  #pickLevel(): Level | undefined {
    const levels = this.#levels;
    if (levels.length <= 1) return levels[0];
    let point = Math.random() * 100;
    for (const level of levels) {
      point -= level.load;
      if (point < 0) return level;
    }
    return levels.findLast((level) => level.load > 0) ?? levels[0];
  }
}

function randomOf(hosts: readonly Host[]): Host {
  return hosts[Math.floor(Math.random() * hosts.length)] as Host;
}

/** Each host gets its share, spread evenly over time. */
function smoothWeighted(hosts: readonly Host[]): Host {
  let total = 0;
  let best = hosts[0] as Host;
  for (const host of hosts) {
    const { weight } = host.spec;
    total += weight;
    host.currentWeight += weight;
    if (host.currentWeight > best.currentWeight) best = host;
  }
  best.currentWeight -= total;
  return best;
}

/**
 * Levels by priority. A level takes as much load as its healthy share times the over-provisioning factor; the rest goes down a level. When
 * less than the panic threshold of a level is healthy, health is not believed and all its hosts are used.
 */
function levelsOf(hosts: readonly Host[], overprovisioning: number, panicThreshold: number): Level[] {
  const byPriority = new Map<number, Host[]>();
  for (const host of hosts) {
    const level = byPriority.get(host.spec.priority);
    if (level === undefined) byPriority.set(host.spec.priority, [host]);
    else level.push(host);
  }
  const ordered = [...byPriority.entries()].sort(([a], [b]) => a - b).map(([, level]) => level);
  const health = ordered.map((level) =>
    Math.min(100, Math.floor((100 * overprovisioning * level.filter((host) => host.spec.isHealthy).length) / level.length)),
  );
  const total = Math.min(
    100,
    health.reduce((sum, each) => sum + each, 0),
  );
  let left = 100;
  return ordered.map((level, index) => {
    // Nothing healthy anywhere: everything goes to the first level, in panic.
    const share = total === 0 ? (index === 0 ? 100 : 0) : Math.min(left, Math.round(((health[index] as number) * 100) / total));
    left -= share;
    const healthy = level.filter((host) => host.spec.isHealthy);
    const isPanic = total < 100 && (healthy.length / level.length) * 100 < panicThreshold;
    const used = isPanic ? level : healthy;
    return { hosts: used, load: share, isWeighted: used.some((host) => host.spec.weight !== used[0]?.spec.weight) };
  });
}
