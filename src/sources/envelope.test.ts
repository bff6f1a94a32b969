import { describe, expect, test } from "vitest";
import type { Layout } from "./envelope.ts";
import { readText } from "./read-text.ts";

/** Keys of what was read and all problems, in a line each. */
function read(text: string, layout?: Layout): { readonly keys: string[]; readonly problems: string[] } {
  const reading = readText(text, "f.yaml", layout && { layout });
  const problems = [...reading.problems, ...reading.resources.flatMap((each) => each.problems)];
  return {
    keys: reading.resources.map((each) => each.key),
    problems: problems.map(
      ({ severity, code, path, message, hint, at }) =>
        `${at?.line}:${at?.column} ${severity} ${code}${path === undefined ? "" : ` ${path}`}: ${message}${hint === undefined ? "" : ` [${hint}]`}`,
    ),
  };
}

const upstream = (metadata: string) => `apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: ${metadata}\nspec: {pipe: {path: /p}}\n`;

describe("Kubernetes objects", () => {
  test("the namespace is default where it is not written", () => {
    expect(read(upstream("{name: a}"))).toEqual({ keys: ["Upstream default/a"], problems: [] });
    expect(read(upstream("{name: a, namespace: b}")).keys).toEqual(["Upstream b/a"]);
  });

  test("a List gives its items, also from a List in a List", () => {
    const list = (items: string) => `{apiVersion: v1, kind: List, items: [${items}]}`;
    const item = (name: string) => `{apiVersion: gloo.solo.io/v1, kind: Upstream, metadata: {name: ${name}}, spec: {pipe: {path: /p}}}`;
    expect(read(list(`${item("a")}, ${list(item("b"))}`))).toEqual({ keys: ["Upstream default/a", "Upstream default/b"], problems: [] });
  });

  test("Lists nested a thousand deep are refused", () => {
    const text = `${"{apiVersion: v1, kind: List, items: [".repeat(1_000)}${"]}".repeat(1_000)}`;
    expect(readText(text, "f.yaml").problems.map((each) => each.reason)).toEqual(["TooLarge"]);
  });

  test("labels and annotations are read, and the rest of metadata is known", () => {
    const metadata =
      "{name: a, labels: {x: y1}, annotations: {z: w}, uid: u, resourceVersion: '7', managedFields: [], creationTimestamp: '2020-01-02T03:04:05Z'}";
    const [resource] = readText(upstream(metadata), "f.yaml").resources;
    expect(resource).toMatchObject({ labels: { x: "y1" }, annotations: { z: "w" }, createdAt: "2020-01-02T03:04:05.000Z", problems: [] });
  });

  test("typos in metadata and labels that are no text are errors of the object", () => {
    expect(read(upstream("{name: a, lables: {x: y}}")).problems).toEqual([
      '3:21 error HW1003 metadata.lables: unknown field "lables" in metadata [did you mean "labels"?]',
    ]);
    expect(read(upstream("{name: a, labels: {x: 1}}")).problems).toEqual([
      '3:32 error HW1004 metadata.labels.x: "x" takes text, not the number 1 [quote it: "1"]'.replace("3:32", "3:33"),
    ]);
  });

  test("fields beside spec say where they belong", () => {
    expect(read("apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: a}\npipe: {path: /p}").problems).toEqual([
      '4:1 error HW1003 pipe: unknown field "pipe" beside kind and metadata [it belongs under spec]',
    ]);
  });

  test("duplicate keys are errors of the object that has them, with their path", () => {
    const text = "apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: a}\nspec:\n  pipe:\n    path: /p\n    path: /q\n";
    expect(read(`${text}---\n${upstream("{name: b}")}`)).toEqual({
      keys: ["Upstream default/a", "Upstream default/b"],
      problems: ['7:5 error HW1002 pipe.path: the key "path" is there twice [it is already on line 6; remove one]'],
    });
  });
});

describe("names", () => {
  test.each([
    ["{name: Upper}", "metadata.name"],
    ["{name: ../x}", "metadata.name"],
    ['{name: "a\\nb"}', "metadata.name"],
    ["{name: a%00}", "metadata.name"],
    ["{name: pаypal}", "metadata.name"],
    [`{name: ${"a".repeat(254)}}`, "metadata.name"],
    ["{name: a, namespace: b.c}", "metadata.namespace"],
    [`{name: a, namespace: ${"a".repeat(64)}}`, "metadata.namespace"],
  ])("%s is refused", (metadata, path) => {
    const { keys, problems } = read(upstream(metadata));
    expect(keys).toEqual([]);
    expect(problems).toEqual([expect.stringContaining(`error HW1045 ${path}: `)]);
  });

  test("an object without a name is refused", () => {
    expect(read(upstream("{}")).problems).toEqual(["3:11 error HW1045 metadata: the object has no name [add metadata.name]"]);
  });

  test("the same name in two namespaces is two objects", () => {
    expect(read(`${upstream("{name: a, namespace: x}")}---\n${upstream("{name: a, namespace: y}")}`).keys).toEqual([
      "Upstream x/a",
      "Upstream y/a",
    ]);
  });
});

describe("kinds", () => {
  const object = (apiVersion: string, kind: string) => `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: a}\n`;

  test.each([
    ["apps/v1", "Deployment"],
    ["v1", "ServiceAccount"],
    ["rbac.authorization.k8s.io/v1", "ClusterRole"],
    ["apiextensions.k8s.io/v1", "CustomResourceDefinition"],
  ])("%s %s is left alone without a word", (apiVersion, kind) => {
    expect(read(object(apiVersion, kind))).toEqual({ keys: [], problems: [] });
  });

  test.each([
    ["networking.istio.io/v1", "VirtualService"],
    ["gateway.networking.k8s.io/v1", "Gateway"],
    ["gateway.gloo.solo.io/v1alpha1", "GatewayParameters"],
  ])("%s %s is not read, and that is said", (apiVersion, kind) => {
    expect(read(object(apiVersion, kind)).problems).toEqual([`2:7 warning HW1043: ${kind} of ${apiVersion} is not read`]);
  });

  test("an unknown kind of our groups is an error", () => {
    expect(read(object("gloo.solo.io/v1", "Upstraem")).problems).toEqual([
      "2:7 error HW1041: there is no kind Upstraem in gloo.solo.io/v1 [did you mean Upstream?]",
    ]);
  });

  test("a wrong group or version of our groups is an error", () => {
    expect(read(object("gloo.solo.io/v2", "Upstream")).problems).toEqual([
      "1:13 error HW1042: Upstream is of gloo.solo.io/v1, not of gloo.solo.io/v2 [write apiVersion: gloo.solo.io/v1]",
    ]);
    expect(read(object("gloo.solo.io/v1", "VirtualService")).problems).toEqual([
      "1:13 error HW1042: VirtualService is of gateway.solo.io/v1, not of gloo.solo.io/v1 [write apiVersion: gateway.solo.io/v1]",
    ]);
  });

  test("a kind without apiVersion is an error that says which", () => {
    expect(read("kind: Upstream\nmetadata: {name: a}").problems).toEqual([
      "1:1 error HW1040: the object has no apiVersion [add apiVersion: gloo.solo.io/v1]",
    ]);
  });
});

describe("objects of file mode", () => {
  const layout: Layout = { kind: "Upstream", namespace: "shop", name: "cart" };

  test("kind, namespace and name come from the place, and metadata goes before", () => {
    expect(read("pipe: {path: /p}", layout)).toEqual({ keys: ["Upstream shop/cart"], problems: [] });
    expect(read("metadata: {name: other, namespace: elsewhere}\npipe: {path: /p}", layout).keys).toEqual(["Upstream elsewhere/other"]);
  });

  test("statuses are dropped", () => {
    expect(
      read(
        "pipe: {path: /p}\nstatus: {}\nnamespacedStatuses: {statuses: {x: {state: Accepted}}}\nmetadata: {resourceVersion: '4'}",
        layout,
      ),
    ).toEqual({
      keys: ["Upstream shop/cart"],
      problems: [],
    });
  });

  test.each([
    ["pipe: {path: /p}", "Upstream"],
    ["upstreamSpec: {static: {hosts: []}}", "Upstream"],
    ["virtualHost: {domains: ['*']}", "VirtualService"],
    ["routes: [{matchers: [{prefix: /}]}]", "RouteTable"],
    ["destinations: []", "UpstreamGroup"],
    ["bindAddress: '::'\nbindPort: 8080\nhttpGateway: {}", "Gateway"],
    ["listeners: []", "Proxy"],
    ["discoveryNamespace: x\nkubernetesConfigSource: {}\nrefreshRate: 60s", "Settings"],
    ["aws: {region: us-east-1, secretRef: {name: a}}", "Upstream"],
    ["aws: {accessKey: a, secretKey: b}", "Secret"],
    ["data: {a: b}", "Artifact"],
    ["configs: [{oauth2: {}}]", "AuthConfig"],
  ])("%j elsewhere is told by its fields: %s", (text, kind) => {
    expect(read(`metadata: {name: a}\n${text}`).keys).toEqual([`${kind} gloo-system/a`]);
  });

  test("what more than one kind could be is an error that says how to say it", () => {
    expect(read("metadata: {name: a}\noptions: {stats: {virtualClusters: []}}").keys).toEqual(["VirtualHostOption gloo-system/a"]);
    expect(read("metadata: {name: a}\noptions: {extensions: {}}").problems).toEqual([
      "1:1 error HW1040: the object does not say its kind, and it could be Gateway, RouteOption, VirtualHostOption, ListenerOption, HttpListenerOption [add apiVersion and kind, or put it into a folder <plural>/<namespace>/, such as upstreams/gloo-system/]",
    ]);
  });

  test("other YAML is left alone with a warning", () => {
    expect(read("services:\n  web: {image: nginx}\n").problems).toEqual([
      "1:1 warning HW1044: this document is not an object of the API: it has no kind, no metadata and none of its fields",
    ]);
    expect(read("just text").problems).toEqual([
      '1:1 warning HW1044: this document is the text "just text", so it is not an object of the API',
    ]);
    expect(read("apiVersion: v2\nname: chart\nversion: 1.0.0").problems).toEqual([
      "1:1 warning HW1044: this document has neither kind nor metadata, so it is not an object of the API",
    ]);
    expect(read("# nothing\n---\n---\n")).toEqual({ keys: [], problems: [] });
  });
});

test("equal content has an equal version; comments around it, its place and its status do not count", () => {
  const version = (text: string) => readText(text, "f.yaml").resources.map((each) => each.version);
  const [first] = version(upstream("{name: a}"));
  expect(version(`# comment\n---\n\n${upstream("{name: a}")}`)).toEqual([first]);
  expect(version(`${upstream("{name: a}")}status: {state: 1}\n`)).not.toEqual(version(upstream("{name: b}")));
  expect(version(`${upstream("{name: a}").trimEnd()}\nstatus: {state: 1}`)).toEqual(
    version(`${upstream("{name: a}").trimEnd()}\nstatus: {state: 2}`),
  );
  const shared = (port: number) =>
    `kind: List\napiVersion: v1\nx: &x {path: /${port}}\nitems:\n- {apiVersion: gloo.solo.io/v1, kind: Upstream, metadata: {name: a}, spec: {pipe: *x}}`;
  expect(version(shared(1))).not.toEqual(version(shared(2)));
});
