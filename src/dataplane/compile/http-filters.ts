// HTTP filters of a connection manager. The router is what this data plane is; those of filters/builtins.ts are executed in their order; of the
// others, those whose configuration makes them do nothing need no word, and the rest is reported.

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { RouterSchema } from "../../gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import type { HttpFilter } from "../../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { unhandledFields } from "../fields.ts";
import { httpFilters } from "../filters/builtins.ts";
import type { AnyHttpFilter } from "../filters/http-filter.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { messageName } from "./route-filters.ts";

/** Filters that do nothing while their configuration is empty; what a route adds to them is reported there. */
const inertWhenEmpty = [".FilterConfig", ".HeaderMutation", ".ExtAuthz", ".RBAC", ".JwtAuthentication"];

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
  readonly filters: readonly CompiledFilter[];
  /** Those of them that have something to do where no route says anything. */
  readonly activeFilters: readonly CompiledFilter[];
}

export function compileHttpFilters(filters: readonly HttpFilter[], findings: Findings): CompiledFilters {
  let envoyHeaders = true;
  const compiled: CompiledFilter[] = [];
  filters.forEach((filter, index) => {
    const place = findings.at(`http_filters[${index}]`);
    if (filter.configType.case !== "typedConfig") {
      if (!filter.isOptional) place.notExecuted(`config_discovery (${filter.name})`);
      return;
    }
    const any = filter.configType.value;
    const router = anyUnpack(any, RouterSchema);
    if (router !== undefined) {
      envoyHeaders = !router.suppressEnvoyHeaders;
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
  return { envoyHeaders, filters: compiled, activeFilters };
}

function isInert(any: Parameters<typeof anyUnpack>[0]): boolean {
  return any.value.length === 0 && inertWhenEmpty.some((suffix) => any.typeUrl.endsWith(suffix));
}
