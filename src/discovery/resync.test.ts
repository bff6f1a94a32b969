import { fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { resynced } from "./resync.ts";

const upstream = (json: JsonObject) => fromJson(UpstreamSchema, json);

function story(news: JsonObject, stored: JsonObject, said?: JsonObject): unknown {
  const inputs = [upstream(news), upstream(stored)] as const;
  const before = JSON.stringify(inputs.map((each) => toJson(UpstreamSchema, each)));
  const result = toJson(UpstreamSchema, resynced(...inputs, said && upstream(said)));
  expect(JSON.stringify(inputs.map((each) => toJson(UpstreamSchema, each)))).toBe(before);
  return result;
}

test("what a user added stays, what discovery says wins", () => {
  const added = {
    sslConfig: { sni: "till.shop" },
    circuitBreakers: { maxConnections: 7 },
    healthChecks: [{ timeout: "1s", interval: "2s", tcpHealthCheck: {} }],
    useHttp2: false,
    ignoreHealthOnHostRemoval: true,
    httpConnectHeaders: [{ key: "a", value: "b" }],
    protocolSelection: "USE_DOWNSTREAM_PROTOCOL",
  };
  const stored = {
    kube: { serviceName: "till", servicePort: 80, selector: { app: "till" } },
    discoveryMetadata: { labels: { a: "1" } },
    ...added,
  };
  const news = { kube: { serviceName: "till", servicePort: 80, selector: { app: "other" } }, discoveryMetadata: { labels: { b: "2" } } };
  expect(story(news, stored)).toEqual({ ...news, ...added });
});

test("functions and subsets stay on the type", () => {
  const stored = {
    kube: { serviceName: "till", servicePort: 80, serviceSpec: { rest: {} }, subsetSpec: { selectors: [{ keys: ["ver"] }] } },
  };
  const news = { kube: { serviceName: "till", servicePort: 81 } };
  expect(story(news, stored)).toEqual({ kube: { ...stored.kube, servicePort: 81 } });
});

test("a type that became another keeps nothing of the old one", () => {
  expect(story({ static: { hosts: [] } }, { kube: { serviceName: "till", serviceSpec: { rest: {} } } })).toEqual({ static: {} });
});

test("what discovery itself said before is gone when it no longer says it; what a user made of it stays", () => {
  const said = { consul: { serviceName: "till" }, sslConfig: { secretRef: { name: "ca", namespace: "x" } } };
  const news = { consul: { serviceName: "till" } };
  expect(story(news, said, said)).toEqual(news);
  const edited = { ...said, sslConfig: { sni: "mine" } };
  expect(story(news, edited, said)).toEqual({ ...news, sslConfig: { sni: "mine" } });
});
