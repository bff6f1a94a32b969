// Upstreams of the type `gcp`: one service of Google Cloud, over TLS. All of the type is here.
//
// The identity token that Gloo's enterprise edition added is not sent: Envoy's gcp_authn filter is for listeners only, and a token
// in every listener for the sake of one Upstream is not worth it. Services that are open to all work; others answer 403.
import { onRouteAction } from "../../envoy/drafts.ts";
import { hostCluster } from "../../envoy/hostCluster.ts";
import { defineUpstreamType } from "../../plugin/upstream-type.ts";

const isHostName = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

export const gcp = defineUpstreamType({
  kind: "gcp",
  cluster({ name, spec }, { report }) {
    if (!isHostName.test(spec.host)) {
      const what = spec.host === "" ? "host is missing" : `"${spec.host}" is not a host name`;
      report.error("GcpHost", what, { path: "gcp.host", hint: "host: app-xyz.a.run.app" });
      return undefined;
    }
    report.warn("GcpIdentity", "requests are sent without an identity token, which this version does not add", {
      path: spec.audience === "" ? "gcp" : "gcp.audience",
      hint: "services that allow unauthenticated calls work; for others let the client send `authorization`, or use extauth",
    });
    return hostCluster({ name, hostname: spec.host, port: 443 });
  },
  tls: ({ spec }) => ({ isOn: true, sni: spec.host }),
  // Google's front ends choose the service by its host.
  route: (route, { spec }) =>
    onRouteAction(route, (action) =>
      action.hostRewriteSpecifier?.case ? action : { ...action, hostRewriteSpecifier: { case: "hostRewriteLiteral", value: spec.host } },
    ),
});
