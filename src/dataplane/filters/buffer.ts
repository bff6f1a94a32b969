// Requests are held until they are whole, up to a size.

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { BufferPerRouteSchema, BufferSchema } from "../../gen/envoy/envoy/extensions/filters/http/buffer/v3/buffer_pb.js";
import { holdBody } from "../exchange/request-body.ts";
import type { HttpFilter } from "./http-filter.ts";

/** How many bytes; undefined: this request is not held. */
interface BufferLimit {
  readonly bytes: number | undefined;
}

export const buffer: HttpFilter<BufferLimit, BufferLimit> = {
  configType: "envoy.extensions.filters.http.buffer.v3.Buffer",
  routeType: "envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
  compile: (any) => ({ bytes: anyUnpack(any, BufferSchema)?.maxRequestBytes }),
  compileRoute(any) {
    const override = anyUnpack(any, BufferPerRouteSchema)?.override;
    return { bytes: override?.case === "buffer" ? override.value.maxRequestBytes : undefined };
  },
  begin(config, routes, exchange) {
    const bytes = (routes[0] ?? config)?.bytes;
    if (bytes === undefined || exchange.requestEnded || exchange.upgrade !== undefined) return undefined;
    return {
      onRequest(_, resume) {
        const goOn = () => {
          // The upstream is told how much it is, now that it is known.
          exchange.contentLength = exchange.bodySize;
          exchange.isChunked = false;
          resume();
        };
        return holdBody(exchange, goOn, bytes) ? "next" : "wait";
      },
    };
  },
};
