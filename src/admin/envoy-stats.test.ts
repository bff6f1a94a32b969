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

test("statuses, groups and buckets of times are told as Envoy tells them", () => {
  const text = envoyStatsText({
    "cluster.a.upstream_rq_200": 2,
    "cluster.a.upstream_rq_2xx": 3,
    "cluster.a.health_check.attempt": 4,
    "cluster.a.upstream_rq_time#0.5": 1,
    "cluster.a.upstream_rq_time#+Inf": 2,
    "cluster.a.upstream_rq_time#sum": 7.5,
    "cluster.a.upstream_rq_time#count": 2,
  });
  expect(text).toBe(`# TYPE envoy_cluster_upstream_rq counter
envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="a"} 2
# TYPE envoy_cluster_upstream_rq_xx counter
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="a"} 3
# TYPE envoy_cluster_health_check_attempt counter
envoy_cluster_health_check_attempt{envoy_cluster_name="a"} 4
# TYPE envoy_cluster_upstream_rq_time histogram
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="0.5"} 1
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="+Inf"} 2
envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="a"} 7.5
envoy_cluster_upstream_rq_time_count{envoy_cluster_name="a"} 2
`);
});
