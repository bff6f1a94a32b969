import { expect, test } from "vitest";
import { envoyStatsText } from "./envoy-stats.ts";

test("counters have the names and labels of Envoy's Prometheus page", () => {
  const text = envoyStatsText({
    "cluster.petstore_shop.upstream_rq_total": 3,
    "cluster.other.v1_shop.upstream_rq_total": 4,
    "cluster.petstore_shop.membership_healthy": 1,
    "http.http.downstream_rq_active": 2,
    "listener_manager.total_listeners_active": 1,
  });
  expect(text).toBe(`# TYPE envoy_cluster_upstream_rq_total counter
envoy_cluster_upstream_rq_total{envoy_cluster_name="petstore_shop"} 3
envoy_cluster_upstream_rq_total{envoy_cluster_name="other.v1_shop"} 4
# TYPE envoy_cluster_membership_healthy gauge
envoy_cluster_membership_healthy{envoy_cluster_name="petstore_shop"} 1
# TYPE envoy_http_downstream_rq_active gauge
envoy_http_downstream_rq_active{envoy_http_conn_manager_prefix="http"} 2
# TYPE envoy_listener_manager_total_listeners_active gauge
envoy_listener_manager_total_listeners_active 1
`);
});
