import { expect, test } from "vitest";
import { countersOf, sumOf } from "./statistics.ts";

test("requests add up; hosts that each worker sees are counted once", () => {
  const one = {
    "cluster.a.upstream_rq_total": 3,
    "cluster.a.membership_total": 2,
    "http.h.downstream_cx_active": 1,
    "http.h.rq#0.5": 2,
    "server.uptime": 9,
  };
  const two = {
    "cluster.a.upstream_rq_total": 4,
    "cluster.a.membership_total": 2,
    "http.h.downstream_cx_active": 5,
    "http.h.rq#0.5": 1,
    "server.uptime": 4,
  };
  expect(sumOf([one, two])).toEqual({
    "cluster.a.upstream_rq_total": 7,
    "cluster.a.membership_total": 2,
    "http.h.downstream_cx_active": 6,
    "http.h.rq#0.5": 3,
    "server.uptime": 9,
  });
});

test("of a worker that is gone, what it counted stays, and what it had open does not", () => {
  const stats = {
    "cluster.a.upstream_rq_total": 3,
    "cluster.a.upstream_rq_active": 1,
    "cluster.a.membership_healthy": 2,
    "http.h.rq#sum": 2,
    "server.live": 1,
  };
  expect(countersOf(stats)).toEqual({ "cluster.a.upstream_rq_total": 3, "http.h.rq#sum": 2 });
});
