// HTTP filters that Gloo puts into every listener, so that options of routes find them there, and those that only make the
// order whole: fault, cors, local rate limit, grpc-web, csrf, router. `gloo.removeUnusedFilters` leaves out all but the router
// where neither the listener nor any of its virtual hosts and routes asks for them.
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import { CorsSchema } from "../gen/envoy/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "../gen/envoy/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { GrpcWebSchema } from "../gen/envoy/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js";
import { RouterSchema } from "../gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import type { HttpListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
import type { FilterPlace } from "../model/filter-stages.ts";
import type { Feature, PlacedFilter } from "../plugin/feature.ts";

export const faultFilter: Feature = {
  name: "faultFilter",
  httpFilters: () => [{ ...filterAt({ stage: "fault" }, "envoy.filters.http.fault", HTTPFaultSchema, {}), idle: true }],
};

export const corsFilter: Feature = {
  name: "corsFilter",
  httpFilters: () => [{ ...filterAt({ stage: "cors" }, "envoy.filters.http.cors", CorsSchema, {}), idle: true }],
};

export const grpcWeb: Feature = {
  name: "grpcWeb",
  fields: { http: ["grpcWeb"] },
  httpFilters(options, context) {
    const { disableGrpcWeb, removeUnusedFilters = false } = context.world.settings.gloo ?? {};
    const isOff = options?.grpcWeb ? options.grpcWeb.disable : (disableGrpcWeb ?? removeUnusedFilters);
    return isOff ? [] : [filterAt({ stage: "authz", position: "after" }, "envoy.filters.http.grpc_web", GrpcWebSchema, {})];
  },
};

export const router: Feature = {
  name: "router",
  fields: { http: ["router"] },
  httpFilters: (options) => [
    // Last of all: its stage is the last, and nothing else stands behind it there.
    filterAt({ stage: "route", position: "after" }, "envoy.filters.http.router", RouterSchema, routerInit(options)),
  ],
};

function routerInit(options: HttpListenerOptions | undefined): MessageInitShape<typeof RouterSchema> {
  const { suppressEnvoyHeaders, dynamicStats } = options?.router ?? {};
  return {
    ...(suppressEnvoyHeaders !== undefined && { suppressEnvoyHeaders }),
    ...(dynamicStats !== undefined && { dynamicStats }),
  };
}

function filterAt<S extends DescMessage>(place: FilterPlace, name: string, schema: S, config: MessageInitShape<S>): PlacedFilter {
  return { place, filter: { name, configType: { case: "typedConfig", value: packAny(schema, config) } } };
}
