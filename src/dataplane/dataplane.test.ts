// What is published comes to whom it is for, and is judged beforehand as it will be when it comes.

import { afterAll, beforeAll, expect, test } from "vitest";
import { envoyResource } from "../envoy/encode.ts";
import { ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import { type Certificates, certificates, type KeyPair } from "./testing/certificates.ts";
import { type RawUpstream, rawRequest, rawUpstream } from "./testing/raw.ts";
import { allTo, type ClusterInit, endpoints, listener, routeConfig, serve, staticCluster, toCluster } from "./testing/resources.ts";
import { askTls, tlsListener } from "./testing/tls.ts";

let made: Certificates;
let a: RawUpstream;
let b: RawUpstream;
beforeAll(async () => {
  made = certificates();
  [a, b] = [await rawUpstream("a"), await rawUpstream("b")];
});
afterAll(async () => {
  await a[Symbol.asyncDispose]();
  await b[Symbol.asyncDispose]();
  made[Symbol.dispose]();
});

const ofService = (name: string, serviceName: string) =>
  envoyResource(
    ClusterSchema,
    name,
    {
      name,
      clusterDiscoveryType: { case: "type", value: 3 },
      connectTimeout: { seconds: 1n },
      edsClusterConfig: { serviceName, edsConfig: { configSourceSpecifier: { case: "ads", value: {} } } },
    } as ClusterInit,
    [],
  );

test("clusters with the same endpoints all get new ones, also where one of them has their name", async () => {
  const routes = ["svc", "second", "third"].map((cluster) => toCluster(cluster, {}, `/${cluster}`));
  await using plane = await serve([
    ...["svc", "second", "third"].map((name) => ofService(name, "svc")),
    endpoints("svc", [a.port]),
    routeConfig([{ name: "h", domains: ["*"], routes }]),
    listener(0),
  ]);
  const upstreams = async () => {
    const found: unknown[] = [];
    for (const cluster of ["svc", "second", "third"]) {
      const answer = await rawRequest(plane.port, `GET /${cluster} HTTP/1.1\r\nHost: a\r\n\r\n`);
      found.push(answer?.status === 200 ? (JSON.parse(answer.body) as { upstream: string }).upstream : answer?.status);
    }
    return found;
  };
  expect(await upstreams()).toEqual(["a", "a", "a"]);
  plane.publish(endpoints("svc", [b.port]));
  expect(await upstreams()).toEqual(["b", "b", "b"]);
  // One that follows another service from now on, and one that is gone.
  plane.publish(ofService("second", "else"), endpoints("else", [a.port]));
  plane.remove(ofService("svc", "svc"));
  plane.publish(endpoints("svc", [a.port, a.port]), endpoints("else", [b.port]));
  expect(await upstreams()).toEqual([503, "b", "a"]);
});

test("a broken certificate is no reason to refuse the listener, beforehand or when it comes: the one before serves on", async () => {
  const good = made.selfSigned("good.test");
  const broken: KeyPair = { certificate: good.certificate, key: "no key" };
  const of = (certificate: KeyPair) => envoyResource(ListenerSchema, "tls", tlsListener(0, [{ certificate }]), []);
  const refusals: string[] = [];
  await using plane = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), of(good)], {
    onRefused: (_, reason) => refusals.push(reason),
  });
  const unreadable: EnvoyResource = { ...of(good), version: "unreadable", bytes: Buffer.from("\xff", "latin1") };
  for (const resource of [of(broken), unreadable]) {
    const expected = plane.plane.check(resource);
    plane.publish(resource);
    expect(refusals).toEqual(expected === undefined ? [] : [expected]);
    expect(await askTls(plane.port)).toMatchObject({ status: 200, shown: "good.test" });
  }
  expect(refusals).toHaveLength(1);
});
