// Upstreams of the type `pipe`: one Unix socket on the machine of the proxy. All of the type is here.
import { pipeAddress } from "../../envoy/endpoint.ts";
import { Cluster_DiscoveryType } from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { defineUpstreamType } from "../../plugin/upstream-type.ts";

/** `sun_path` of Linux, less the NUL at its end. */
const maxPathBytes = 107;

export const pipe = defineUpstreamType({
  kind: "pipe",
  cluster({ name, spec }, { report }) {
    if (spec.path === "") {
      report.error("PipePathMissing", "no path provided", { path: "pipe.path", hint: "give the path of the socket: /run/app.sock" });
      return undefined;
    }
    if (Buffer.byteLength(spec.path) > maxPathBytes) {
      report.error(
        "PipePathTooLong",
        `the path of a Unix socket has at most ${maxPathBytes} bytes; this one has ${Buffer.byteLength(spec.path)}`,
        { path: "pipe.path" },
      );
      return undefined;
    }
    return {
      name,
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
      loadAssignment: {
        clusterName: name,
        endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address: pipeAddress(spec.path) } } }] }],
      },
    };
  },
});
