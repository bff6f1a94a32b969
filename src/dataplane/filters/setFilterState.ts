// Of the filter that sets state for other filters, what it does besides: the route is chosen once more, by what filters before have changed.

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ConfigSchema } from "../../gen/envoy/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import type { Exchange } from "../exchange/exchange.ts";
import { findRouteAgain } from "../exchange/receive.ts";
import type { HttpFilter, Verdict } from "./http-filter.ts";

const type = "envoy.extensions.filters.http.set_filter_state.v3.Config";

export const setFilterState: HttpFilter<"reroutes", undefined> = {
  configType: type,
  routeType: type,
  compile: (any, findings) => {
    const message = anyUnpack(any, ConfigSchema);
    if (message === undefined) throw new Error("is no configuration of set_filter_state");
    if (message.onRequestHeaders.length > 0) findings.notExecuted("on_request_headers");
    return message.clearRouteCache ? "reroutes" : undefined;
  },
  compileRoute: (_, findings) => {
    findings.notExecuted("");
    return undefined;
  },
  begin: (config) =>
    config && {
      onRequest(exchange: Exchange): Verdict {
        findRouteAgain(exchange);
        return "next";
      },
    },
};
