// HTTP filters of a connection manager. The router is what this data plane is; those of filters/builtins.ts are executed in their order; of the
// others, those whose configuration makes them do nothing need no word, and the rest is reported. Those that keep requests out are never left out: guard.ts.

import { create } from "@bufbuild/protobuf";
import { type Any, AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import { ExtensionWithMatcherSchema } from "../../gen/envoy/envoy/extensions/common/matching/v3/extension_matcher_pb.js";
import { RouterSchema } from "../../gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import type { HttpFilter } from "../../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { unhandledFields } from "../fields.ts";
import { httpFilters } from "../filters/builtins.ts";
import { neverExecuted } from "../filters/guard.ts";
import type { AnyHttpFilter } from "../filters/http-filter.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { messageName } from "./route-filters.ts";

/** Filters that do nothing while their configuration is empty; what a route adds to them is reported there. */
const inertWhenEmpty = [".FilterConfig", ".HeaderMutation"];

/** A filter of the list that is executed here. */
export interface CompiledFilter {
  readonly name: string;
  readonly filter: AnyHttpFilter;
  readonly config: unknown;
  /** Unless a route says otherwise. */
  readonly isDisabled: boolean;
}

export interface CompiledFilters {
  readonly envoyHeaders: boolean;
  /** The router has spans of its own. */
  readonly startsChildren: boolean;
  readonly filters: readonly CompiledFilter[];
  /** Those of them that have something to do where no route says anything. */
  readonly activeFilters: readonly CompiledFilter[];
}

export function compileHttpFilters(filters: readonly HttpFilter[], findings: Findings): CompiledFilters {
  let envoyHeaders = true;
  let startsChildren = false;
  const compiled: CompiledFilter[] = [];
  filters.forEach((filter, index) => {
    const place = findings.at(`http_filters[${index}]`);
    if (filter.configType.case !== "typedConfig") {
      const { typeUrls = [] } = filter.configType.value ?? {};
      if (typeUrls.some((typeUrl) => guardOf({ typeUrl }) !== undefined)) compiled.push(closedFilter(filter, place.at("config_discovery")));
      else if (!filter.isOptional) place.notExecuted(`config_discovery (${filter.name})`);
      return;
    }
    const any = filter.configType.value;
    const matched = anyUnpack(any, ExtensionWithMatcherSchema)?.extensionConfig?.typedConfig;
    if (matched !== undefined && guardOf(matched) !== undefined) {
      compiled.push(closedFilter(filter, place.at("typed_config")));
      return;
    }
    const router = anyUnpack(any, RouterSchema);
    if (router !== undefined) {
      envoyHeaders = !router.suppressEnvoyHeaders;
      startsChildren = router.startChildSpan;
      for (const path of unhandledFields(RouterSchema, router, handledFields)) place.notExecuted(`typed_config.${path}`);
      return;
    }
    const known = httpFilters.find(({ configType }) => configType === messageName(any));
    if (known !== undefined) {
      try {
        const config = known.compile(any, place.at("typed_config"), filter);
        compiled.push({ name: filter.name, filter: known, config, isDisabled: filter.disabled });
      } catch (error) {
        place.refused("typed_config", (error as Error).message);
      }
      return;
    }
    if (filter.disabled || isInert(any)) return;
    place.notExecuted(`typed_config (${filter.name})`);
  });
  const activeFilters = compiled.filter(({ config, isDisabled }) => config !== undefined && !isDisabled);
  return { envoyHeaders, startsChildren, filters: compiled, activeFilters };
}

/** The filter behind a configuration, where it keeps requests out. */
function guardOf(any: Pick<Any, "typeUrl">): AnyHttpFilter | undefined {
  return httpFilters.find(({ configType, isGuard }) => isGuard && configType === messageName(any));
}

/** Stands for one whose configuration comes in a way that is not executed: nobody passes. */
function closedFilter(around: HttpFilter, findings: Findings): CompiledFilter {
  const filter = neverExecuted("", "");
  return { name: around.name, filter, config: filter.compile(create(AnySchema), findings, around), isDisabled: around.disabled };
}

function isInert(any: Parameters<typeof anyUnpack>[0]): boolean {
  return any.value.length === 0 && inertWhenEmpty.some((suffix) => any.typeUrl.endsWith(suffix));
}
