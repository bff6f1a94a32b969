// A chain of filters in the place of one: that of the connection manager and those of the levels of a route, one after the other, the least
// specific first. Of filters with the same name only that of the most specific level runs.

import { create } from "@bufbuild/protobuf";
import { AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  FilterChainConfigPerRouteSchema,
  FilterChainConfigSchema,
  type FilterChain as Message,
} from "../../gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import type { Findings } from "../compile/findings.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { neverExecuted } from "./guard.ts";
import type { AnyHttpFilter, FilterRun, HttpFilter, Verdict } from "./http-filter.ts";

interface Link {
  readonly name: string;
  readonly filter: AnyHttpFilter;
  readonly config: unknown;
}

type Chain = readonly Link[];

/** @param filters those that may stand in a chain: asked for when one is compiled, as this filter is one of them */
export function filterChain(filters: () => readonly AnyHttpFilter[]): HttpFilter<Chain, Chain> {
  return {
    configType: "envoy.extensions.filters.http.filter_chain.v3.FilterChainConfig",
    routeType: "envoy.extensions.filters.http.filter_chain.v3.FilterChainConfigPerRoute",
    compile(any, findings) {
      const chain = unpacked(anyUnpack(any, FilterChainConfigSchema)).defaultFilterChain;
      return chain && compileChain(chain, filters(), findings.at("default_filter_chain"));
    },
    compileRoute(any, findings) {
      const chain = unpacked(anyUnpack(any, FilterChainConfigPerRouteSchema)).filterChain;
      return chain ? compileChain(chain, filters(), findings.at("filter_chain")) : [];
    },
    begin(config, routes) {
      const levels = [...routes, ...(config ? [config] : [])].reverse();
      const links = levels.flatMap((chain, at) => chain.filter(({ name }) => !levels.slice(at + 1).some((later) => has(later, name))));
      return links.length === 0 ? undefined : new ChainRun(links);
    },
  };
}

function has(chain: Chain, name: string): boolean {
  return chain.some((link) => link.name === name);
}

function unpacked<T>(message: T | undefined): T {
  if (message === undefined) throw new Error("is no filter chain");
  return message;
}

/** Whom a filter that is not executed here would keep out is not known: it lets nobody pass. */
function compileChain({ filters: written }: Message, known: readonly AnyHttpFilter[], findings: Findings): Chain {
  return written.map(({ name, typedConfig = create(AnySchema) }, index): Link => {
    const filter = known.find(({ configType }) => typedConfig.typeUrl.endsWith(`/${configType}`)) ?? neverExecuted("", "");
    const config = filter.compile(typedConfig, findings.at(`filters[${index}].typed_config`), { name, disabled: false });
    return { name, filter, config };
  });
}

class ChainRun implements FilterRun {
  readonly #links: Chain;

  constructor(links: Chain) {
    this.#links = links;
  }

  onRequest(exchange: Exchange, resume: () => void): Verdict {
    return this.#from(0, exchange, resume);
  }

  /** Those that run stand among the others of the exchange, which see to responses and to the end. */
  #from(start: number, exchange: Exchange, resume: () => void): Verdict {
    for (let at = start; at < this.#links.length; at++) {
      const { filter, config } = this.#links[at] as Link;
      const run = filter.begin(config, [], exchange);
      if (run === undefined) continue;
      exchange.filters?.push(run);
      let isResumed = false;
      const verdict = run.onRequest?.(exchange, () => {
        if (isResumed || exchange.isDone || exchange.headSent) return;
        isResumed = true;
        if (this.#from(at + 1, exchange, resume) === "next") resume();
      });
      if (verdict === "wait" || verdict === "answered" || exchange.isDone) return verdict ?? "answered";
    }
    return "next";
  }
}
