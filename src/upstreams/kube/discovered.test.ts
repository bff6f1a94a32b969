import { expect, test } from "vitest";
import { resourceKey } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import { discoveredName } from "./discovered.ts";
import { inMemoryUpstreams } from "./service.ts";

function service(name: string, annotations: Record<string, string> = {}): Resource<"Service"> {
  const ref = { namespace: "shop", name };
  const spec = { spec: { ports: [{ port: 80 }] } } as unknown as NonNullable<Resource<"Service">["spec"]>;
  return {
    kind: "Service",
    key: resourceKey("Service", ref),
    ref,
    labels: {},
    annotations,
    spec,
    version: "1",
    problems: [],
    origin: { source: "memory" },
  };
}

test("a long name ends in a hash, as Gloo's do", () => {
  expect(discoveredName({ namespace: "shop", name: "till" }, 80)).toBe("shop-till-80");
  const name = discoveredName({ namespace: "a-rather-long-namespace", name: "and-a-service-with-a-name-that-is-long" }, 8080);
  expect(name).toBe("a-rather-long-namespace-and-a-s-2f84d0bb707ff94e56cafb537fd6a17");
  expect(name).toHaveLength(63);
});

test("the Upstream in memory has the same name behind its prefix, also a long one", () => {
  const name = "a-service-with-a-name-of-the-greatest-length-that-there-can-be";
  expect(inMemoryUpstreams(service(name))[0]?.ref.name).toBe(`kube-svc:${discoveredName({ namespace: "shop", name }, 80)}`);
});

test("what the Settings say of all Services stays where a Service says something else; its TLS is its own to say", () => {
  const config = (json: object) => ({ "gloo.solo.io/upstream_config": JSON.stringify(json) });
  const defaults = { ...config({ useHttp2: true, maxConcurrentStreams: 5 }), "gloo.solo.io/sslService.secret": "all" };
  const [upstream] = inMemoryUpstreams(service("till", config({ maxConcurrentStreams: 7, discoveryMetadata: {} })), defaults);
  expect(upstream?.spec).toMatchObject({ useHttp2: true, maxConcurrentStreams: 7 });
  expect(upstream?.spec?.sslConfig).toBeUndefined();
  const told = service("till", { "gloo.solo.io/sslService.secret": "80:own", "gloo.solo.io/sslService.oneWayTls": "1" });
  expect(inMemoryUpstreams(told)[0]?.spec?.sslConfig).toMatchObject({ sslSecrets: { value: { name: "own" } }, oneWayTls: true });
});
