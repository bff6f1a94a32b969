// `statefulSession` of a listener: a client stays at one endpoint, which a cookie or header names.
import { packAny } from "../envoy/encode.ts";
import { StatefulSessionSchema } from "../gen/envoy/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.js";
import { CookieBasedSessionStateSchema } from "../gen/envoy/envoy/extensions/http/stateful_session/cookie/v3/cookie_pb.js";
import { HeaderBasedSessionStateSchema } from "../gen/envoy/envoy/extensions/http/stateful_session/header/v3/header_pb.js";
import type { StatefulSession } from "../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/stateful_session/stateful_session_pb.js";
import type { Feature, ListenerContext } from "../plugin/feature.ts";

const filter = "envoy.filters.http.stateful_session";

export const statefulSession: Feature = {
  name: "statefulSession",
  glooName: "stateful_session",
  fields: { http: ["statefulSession"] },
  httpFilters(options, context) {
    const sessionState = options?.statefulSession && stateOf(options.statefulSession, context);
    if (sessionState === undefined) return [];
    const value = packAny(StatefulSessionSchema, { sessionState, strict: options?.statefulSession?.strict ?? false });
    // As near to the router as can be: what changes the path before is seen.
    return [{ place: { stage: "route" }, filter: { name: filter, configType: { case: "typedConfig", value } } }];
  },
};

function stateOf({ SessionState: state }: StatefulSession, { refuse }: ListenerContext) {
  switch (state.case) {
    case "cookieBased": {
      const { name = "", path = "", ttl } = state.value.cookie ?? {};
      if (name === "") {
        refuse("statefulSession.cookieBased.cookie.name", "a cookie needs a name");
        return undefined;
      }
      const typedConfig = packAny(CookieBasedSessionStateSchema, { cookie: { name, path, ...(ttl && { ttl }) } });
      return { name: "envoy.http.stateful_session.cookie", typedConfig };
    }
    case "headerBased": {
      const name = state.value.headerName;
      if (name === "") {
        refuse("statefulSession.headerBased.headerName", "a header needs a name");
        return undefined;
      }
      return { name: "envoy.http.stateful_session.header", typedConfig: packAny(HeaderBasedSessionStateSchema, { name }) };
    }
    default:
      refuse("statefulSession", "a session needs cookieBased or headerBased, to remember the endpoint");
      return undefined;
  }
}
