import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import { ControlPlane } from "../control-plane.ts";
import { ClusterLoadAssignmentSchema } from "../gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { type ResourceChanges, typeUrls } from "../model/envoy-resource.ts";
import { memorySource } from "../sources/memory.ts";
import { changes, read } from "./testing/plane.ts";

const service = `
kind: Service
apiVersion: v1
metadata: {name: till, namespace: shop}
spec: {ports: [{port: 80}]}
---
kind: Endpoints
apiVersion: v1
metadata: {name: till, namespace: shop}
subsets: [{addresses: [{ip: 10.1.0.1}], ports: [{port: 80}]}]
---
apiVersion: gloo.solo.io/v1
kind: Settings
metadata: {name: default, namespace: gloo-system}
spec: {gloo: {failoverUpstreamDnsPollingInterval: 0.1s}}
---`;
const upstream = (name: string) => `
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: till, namespace: gloo-system}
spec:
  kube: {serviceName: till, serviceNamespace: shop, servicePort: 80}
  outlierDetection: {interval: 10s}
  failover: {prioritizedLocalities: [{localityEndpoints: [{lbEndpoints: [{address: ${name}, port: 81}]}]}]}
`;

/** A plane that looks names up, and all that it ever sent as endpoints of the Upstream. */
function start(text: string) {
  const source = memorySource(read(text));
  const sent: string[] = [];
  const consumer = {
    publish(_: string, { upserts }: ResourceChanges) {
      for (const { typeUrl, name, bytes } of upserts) {
        if (typeUrl !== typeUrls.endpoint || name !== "till_gloo-system") continue;
        const { endpoints } = fromBinary(ClusterLoadAssignmentSchema, bytes);
        sent.push(endpoints.map(({ priority, lbEndpoints }) => `${priority}: ${lbEndpoints.map(addressOf)}`).join(" | "));
      }
    },
    retire() {},
  };
  const quiet = () => undefined;
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const plane = new ControlPlane({ sources: [source], consumers: [consumer], plugins: builtins, log, looksOutside: true }).start();
  const warnings = () => plane.current.findings.map(({ problem }) => `${problem.reason} ${problem.message}`);
  return { plane, source, sent, warnings, [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose]() };
}

// biome-ignore lint/suspicious/noExplicitAny: a path through nested unions
const addressOf = (each: any) => each.hostIdentifier.value.address.address.value.address;

test("what is sent first has the addresses of names already: a restart takes nothing away", async () => {
  await using running = start(service + upstream("localhost"));
  await running.plane.ready;
  expect(running.sent).toEqual(["0: 10.1.0.1 | 1: 127.0.0.1"]);
  expect(running.warnings()).toEqual([]);
});

test("a name that has no address is told, costs its own endpoint only, and holds nobody up; another name resolves it", async () => {
  await using running = start(service + upstream("no-such-name.invalid"));
  await running.plane.ready;
  expect(running.sent.at(-1)).toBe("0: 10.1.0.1 | 1: ");
  await expect.poll(running.warnings).toEqual(["NameUnresolved no address was found for no-such-name.invalid"]);
  running.source.say(...changes(upstream("localhost")));
  await expect.poll(() => running.sent.at(-1)).toBe("0: 10.1.0.1 | 1: 127.0.0.1");
  await expect.poll(running.warnings).toEqual([]);
});
