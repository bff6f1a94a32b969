// `buffer` of a listener and `bufferPerRoute` below it: requests are held until they are complete.
import { withFilterConfig } from "../envoy/drafts.ts";
import { packAny } from "../envoy/encode.ts";
import { BufferPerRouteSchema, BufferSchema } from "../gen/envoy/envoy/extensions/filters/http/buffer/v3/buffer_pb.js";
import type { BufferPerRoute } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/extensions/filters/http/buffer/v3/buffer_pb.js";
import type { Feature, OptionContext } from "../plugin/feature.ts";

const filter = "envoy.filters.http.buffer";

export const buffer: Feature = {
  name: "buffer",
  fields: { http: ["buffer"], virtualHost: ["bufferPerRoute"], route: ["bufferPerRoute"], weightedDestination: ["bufferPerRoute"] },
  httpFilters(options, { refuse }) {
    const limit = options?.buffer?.maxRequestBytes;
    if (options?.buffer === undefined) return [];
    if (!limit) {
      refuse("buffer.maxRequestBytes", "invalid Buffer.MaxRequestBytes: value must be greater than 0");
      return [];
    }
    const value = packAny(BufferSchema, { maxRequestBytes: limit });
    return [{ place: { stage: "route" }, filter: { name: filter, configType: { case: "typedConfig", value } } }];
  },
  virtualHost: (host, { bufferPerRoute }, context) => perRoute(host, bufferPerRoute, context),
  route: (route, { bufferPerRoute }, _inherited, context) => perRoute(route, bufferPerRoute, context),
  weightedDestination: (cluster, { bufferPerRoute }, context) => perRoute(cluster, bufferPerRoute, context),
};

function perRoute<D extends { readonly typedPerFilterConfig?: unknown }>(
  draft: D,
  options: BufferPerRoute | undefined,
  { refuse }: OptionContext,
): D {
  const override = options?.override;
  switch (override?.case) {
    case "disabled":
      // Envoy knows only `true` here.
      return override.value
        ? withFilterConfig(draft, filter, BufferPerRouteSchema, { override: { case: "disabled", value: true } })
        : draft;
    case "buffer": {
      const { maxRequestBytes } = override.value;
      if (!maxRequestBytes) {
        const fault =
          "invalid BufferPerRoute.Buffer: embedded message failed validation | caused by: invalid Buffer.MaxRequestBytes: value must be greater than 0";
        refuse("bufferPerRoute.buffer.maxRequestBytes", fault);
        return draft;
      }
      return withFilterConfig(draft, filter, BufferPerRouteSchema, { override: { case: "buffer", value: { maxRequestBytes } } });
    }
    default:
      return draft;
  }
}
