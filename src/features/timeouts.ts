// `timeout`, `idleTimeout`, `maxStreamDuration` of a route. Unset leaves Envoy's 15 s; `0s` turns a limit off.
import { onRouteAction } from "../envoy/drafts.ts";
import type { Feature } from "../plugin/feature.ts";

export const timeouts: Feature = {
  name: "timeout",
  fields: { route: ["timeout", "idleTimeout", "maxStreamDuration"] },
  route: (route, { timeout, idleTimeout, maxStreamDuration }) =>
    onRouteAction(route, (action) => ({
      ...action,
      ...(timeout && { timeout }),
      ...(idleTimeout && { idleTimeout }),
      ...(maxStreamDuration && {
        maxStreamDuration: {
          ...(maxStreamDuration.maxStreamDuration && { maxStreamDuration: maxStreamDuration.maxStreamDuration }),
          ...(maxStreamDuration.grpcTimeoutHeaderMax && { grpcTimeoutHeaderMax: maxStreamDuration.grpcTimeoutHeaderMax }),
          ...(maxStreamDuration.grpcTimeoutHeaderOffset && { grpcTimeoutHeaderOffset: maxStreamDuration.grpcTimeoutHeaderOffset }),
        },
      }),
    })),
};
