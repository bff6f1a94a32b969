// The key of a cluster's HttpProtocolOptions. Envoy reads nothing of the cluster's own HTTP fields once it is there.

export const httpProtocolOptionsName = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
