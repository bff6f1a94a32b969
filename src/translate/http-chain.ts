// The network filters of an HTTP chain: those of features, then the HTTP connection manager with its HTTP filters in their stages.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import { ApiVersion } from "../gen/envoy/envoy/config/core/v3/config_source_pb.js";
import {
  HttpConnectionManagerSchema,
  type HttpFilterSchema,
} from "../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { HttpListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
import { type FilterPlace, filterStages } from "../model/filter-stages.ts";
import type { ConnectionManagerDraft, Feature, ListenerContext, NetworkFilterDraft, PlacedFilter } from "../plugin/feature.ts";

export function httpChainFilters(
  routeConfigName: string,
  options: HttpListenerOptions | undefined,
  features: readonly Feature[],
  context: ListenerContext,
  /** Whether one of its virtual hosts or routes configures the filter of that name. */
  configures: (filter: string) => boolean,
): NetworkFilterDraft[] {
  const removesUnused = context.world.settings.gloo?.removeUnusedFilters === true;
  const filters = features
    .flatMap((feature) => feature.httpFilters?.(options, context) ?? [])
    .filter(({ idle, filter }) => !idle || !removesUnused || configures(filter.name ?? ""));
  let manager: ConnectionManagerDraft = {
    statPrefix: "http",
    routeSpecifier: {
      case: "rds",
      value: {
        routeConfigName,
        configSource: { resourceApiVersion: ApiVersion.V3, configSourceSpecifier: { case: "ads", value: {} } },
      },
    },
    httpFilters: inOrder(filters),
  };
  for (const feature of features) if (feature.connectionManager) manager = feature.connectionManager(manager, options, context);
  const before = features.flatMap((feature) => feature.networkFilters?.({ ...(options && { http: options }) }, context) ?? []);
  const value = packAny(HttpConnectionManagerSchema, create(HttpConnectionManagerSchema, manager));
  return [...sorted(before), { name: "envoy.filters.network.http_connection_manager", configType: { case: "typedConfig", value } }];
}

/** Network filters in front are ordered by name, as Gloo's. */
export function sorted(filters: readonly NetworkFilterDraft[]): readonly NetworkFilterDraft[] {
  return [...filters].sort((a, b) => ((a.name ?? "") < (b.name ?? "") ? -1 : 1));
}

const positions = ["before", "during", "after"];

/** By stage, then before, during or after, then by name. */
export function inOrder(filters: readonly PlacedFilter[]): MessageInitShape<typeof HttpFilterSchema>[] {
  const rank = ({ stage, position = "during" }: FilterPlace) =>
    filterStages.indexOf(stage) * positions.length + positions.indexOf(position);
  return [...filters]
    .sort((a, b) => rank(a.place) - rank(b.place) || ((a.filter.name ?? "") < (b.filter.name ?? "") ? -1 : 1))
    .map(({ filter }) => filter);
}
