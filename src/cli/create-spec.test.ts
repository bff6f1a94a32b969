import { expect, test } from "vitest";
import { readJson } from "../sources/read-json.ts";
import { objectOf } from "./create.ts";
import { type secretKinds, secretObject } from "./create-secret.ts";
import { type UpstreamFlags, type UpstreamKind, upstreamGroupSpec, upstreamSpec, virtualServiceSpec } from "./create-spec.ts";
import { type RouteFlags, routeSpec } from "./route-spec.ts";

const ref = { namespace: "shop", name: "web" };
const usual: UpstreamFlags = {
  kubeServiceNamespace: "default",
  kubeServicePort: 80,
  awsRegion: "us-east-1",
  awsSecretNamespace: "gloo-system",
  ec2Port: 80,
  azureSecretNamespace: "gloo-system",
};
const read = (object: unknown) => readJson(object, { source: "memory" });

test.each<[UpstreamKind, Partial<UpstreamFlags>]>([
  ["static", { staticHosts: ["a:1", "[::1]:2", "b"], staticOutboundTls: true, serviceSpecType: "rest" }],
  ["kube", { kubeService: "web", kubeServiceLabels: ["app=web"], serviceSpecType: "grpc" }],
  ["consul", { consulService: "web", consulServiceTags: ["blue"] }],
  ["aws", { awsSecretName: "keys", awsRoleArn: "arn:aws:iam::1:role/x" }],
  ["ec2", { tagKeyFilters: ["a"], tagKeyValueFilters: ["b=c=d"], publicIp: true }],
  ["azure", { azureAppName: "app", azureSecretName: "keys" }],
])("an Upstream of kind %s is one that the API knows", (kind, flags) => {
  const { resources, problems } = read(objectOf("Upstream", ref, upstreamSpec(kind, { ...usual, ...flags })));
  expect([...problems, ...(resources[0]?.problems ?? [])]).toEqual([]);
  expect(resources[0]?.spec).toMatchObject({ upstreamType: { case: kind === "ec2" ? "awsEc2" : kind } });
});

test("hosts have a port, 80 where none is written", () => {
  expect(upstreamSpec("static", { ...usual, staticHosts: ["a", "[::1]:2"] })).toEqual({
    static: {
      hosts: [
        { addr: "a", port: 80 },
        { addr: "::1", port: 2 },
      ],
    },
  });
  for (const host of ["a:0", "a:70000", "::1", "a:b", ""])
    expect(() => upstreamSpec("static", { ...usual, staticHosts: [host] })).toThrow("--static-hosts takes host:port");
  expect(() => upstreamSpec("kube", usual)).toThrow("--kube-service is missing");
});

test("VirtualServices and UpstreamGroups are what the API knows", () => {
  for (const object of [
    objectOf("VirtualService", ref, virtualServiceSpec({ displayName: "Shop" })),
    objectOf("UpstreamGroup", ref, upstreamGroupSpec(["a.b.c=90"])),
  ])
    expect(read(object).resources[0]?.problems).toEqual([]);
  expect(upstreamGroupSpec(["a.b.c=90"])).toEqual({
    destinations: [{ destination: { upstream: { namespace: "a", name: "b.c" } }, weight: 90 }],
  });
  expect(() => upstreamGroupSpec(["b=90"])).toThrow("namespace.name=weight");
});

const route = (flags: Partial<RouteFlags>) =>
  routeSpec({ destNamespace: "gloo-system", upstreamGroupNamespace: "gloo-system", delegateNamespace: "gloo-system", ...flags });

test("routes with functions, groups and delegation are what the API knows", () => {
  const routes = [
    route({ destName: "a", pathRegex: "/x.*", method: ["get"], header: ["x", "y=1|2"], queryParameter: ["q:3"] }),
    route({ destName: "a", restFunctionName: "f", restParameters: [":path='/users/{id}'", "x-user={u}"] }),
    route({ destName: "a", awsFunctionName: "f", awsUnescape: true, awsAlbUnwrap: true }),
    route({ upstreamGroupName: "g", pathExact: "/", prefixRewrite: "/x", routeName: "r" }),
    route({ delegateName: "t", pathPrefix: "/t" }),
  ];
  const { resources } = read(objectOf("VirtualService", ref, { virtualHost: { routes } }));
  expect(resources[0]?.problems.filter(({ severity }) => severity === "error")).toEqual([]);
  expect(routes[0]).toEqual({
    matchers: [
      {
        regex: "/x.*",
        methods: ["GET"],
        headers: [{ name: "x" }, { name: "y", value: "1|2", regex: true }],
        queryParameters: [{ name: "q", value: "3", regex: true }],
      },
    ],
    routeAction: { single: { upstream: { name: "a", namespace: "gloo-system" } } },
  });
  expect(routes[1]).toMatchObject({
    routeAction: { single: { destinationSpec: { rest: { parameters: { path: "/users/{id}", headers: { "x-user": "{u}" } } } } } },
  });
});

test.each<[Partial<RouteFlags>, string]>([
  [{}, "where does the route go?"],
  [{ destName: "a", delegateName: "b" }, "--dest-name and --delegate-name"],
  [{ destName: "a", pathPrefix: "/", pathExact: "/" }, "one path"],
  [{ delegateName: "a", restFunctionName: "f" }, "functions belong to an Upstream"],
  [{ destName: "a", awsAlbUnwrap: true }, "--aws-function-name"],
  [{ destName: "a", header: ["=x"] }, "--header takes"],
])("a route of %j is refused", (flags, message) => {
  expect(() => route(flags)).toThrow(message);
});

test("secrets are what we read from Kubernetes, and mean what was given", () => {
  const values: Record<string, Record<string, string>> = {
    aws: { AWS_ACCESS_KEY_ID: "AK", AWS_SECRET_ACCESS_KEY: "SK" },
    apikey: { API_KEY: "K" },
    oauth: { CLIENT_SECRET: "C" },
  };
  for (const [kind, env] of Object.entries(values)) {
    Object.assign(process.env, env);
    try {
      const made = secretObject(kind as keyof typeof secretKinds, ref, { fromEnv: true });
      expect(JSON.stringify(made)).not.toContain('"SK"');
      expect(read(made).resources[0]?.spec).toMatchObject({ kind: { case: kind === "apikey" ? "apiKey" : kind } });
    } finally {
      for (const name of Object.keys(env)) delete process.env[name];
    }
  }
  expect(() => secretObject("tls", ref, { certchain: "/nowhere", privatekey: "/nowhere" })).toThrow("/nowhere cannot be read");
  expect(() => secretObject("tls", ref, { certchain: "x" })).toThrow("--privatekey is missing");
  expect(() => secretObject("header", ref, {})).toThrow("where is the secret?");
  expect(() => secretObject("header", ref, { fromEnv: true })).toThrow("not for secrets of kind header");
});
