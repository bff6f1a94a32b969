// Names of upstreams to addresses, again and again: STRICT_DNS uses all of them, LOGICAL_DNS the first.

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { CompiledCluster } from "../compile/cluster.ts";
import type { EndpointSet, EndpointSpec } from "../compile/endpoints.ts";

export interface Resolution {
  stop(): void;
}

export interface ResolutionListener {
  onEndpoints(set: EndpointSet): void;
  /** After each look, and at once where there is nothing to look up. Undefined: all names resolve. */
  onProblem(problem: string | undefined): void;
}

export function resolveEndpoints(config: CompiledCluster, listener: ResolutionListener): Resolution {
  const known = new Map<string, readonly string[]>();
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;

  const publish = () => {
    const endpoints: EndpointSpec[] = [];
    for (const spec of config.inline.endpoints) {
      const addresses = spec.isPipe || isIP(spec.address) !== 0 ? [spec.address] : (known.get(spec.address) ?? []);
      const used = config.discovery === "logicalDns" ? addresses.slice(0, 1) : addresses;
      for (const address of used) endpoints.push({ ...spec, address, hostname: spec.hostname || spec.address });
    }
    listener.onEndpoints({ endpoints, overprovisioning: config.inline.overprovisioning });
  };

  const round = async () => {
    const names = [
      ...new Set(config.inline.endpoints.filter((each) => !each.isPipe && isIP(each.address) === 0).map((each) => each.address)),
    ];
    const failures: string[] = [];
    let isChanged = false;
    await Promise.all(
      names.map(async (name) => {
        try {
          const addresses = await addressesOf(name, config.dns.family);
          if (String(known.get(name)) !== String(addresses)) isChanged = true;
          known.set(name, addresses);
        } catch (error) {
          failures.push(`${name}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
        }
      }),
    );
    if (isStopped) return;
    if (isChanged) publish();
    listener.onProblem(failures.length === 0 ? undefined : failures.sort().join(", "));
    if (names.length > 0) {
      timer = setTimeout(() => void round(), config.dns.refreshMs);
      timer.unref();
    }
  };

  const isKnown = config.inline.endpoints.every((each) => each.isPipe || isIP(each.address) !== 0);
  if (isKnown) {
    publish();
    listener.onProblem(undefined);
  } else void round();
  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

async function addressesOf(name: string, family: CompiledCluster["dns"]["family"]): Promise<string[]> {
  const all = await lookup(name, { all: true, order: "verbatim" });
  const v4 = all.filter((each) => each.family === 4).map((each) => each.address);
  const v6 = all.filter((each) => each.family === 6).map((each) => each.address);
  const pick = {
    v4: v4,
    v6: v6,
    // As in Envoy: the second family only when the first has nothing.
    auto: v6.length > 0 ? v6 : v4,
    v4Preferred: v4.length > 0 ? v4 : v6,
    all: [...v6, ...v4],
  }[family];
  // Sorted: an answer in another order is not a change.
  const unique = [...new Set(pick)].sort();
  if (unique.length === 0) throw new Error(`no ${family} address`);
  return unique;
}
