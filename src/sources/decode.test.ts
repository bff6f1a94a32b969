// The table of docs/reference on what Gloo's parser takes, row by row.
import { toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import type { Problem } from "../model/problem.ts";
import { type ApiKind, kinds, type Spec } from "../model/resource.ts";
import { apiTypes } from "./any-types.ts";
import { readText } from "./read-text.ts";

/** Reads one object of a kind, its spec given as YAML; answers with its spec as JSON and its problems. */
function read(kind: ApiKind, spec: string): { readonly json: unknown; readonly problems: readonly Problem[] } {
  const indented = spec.trim().replaceAll(/^/gm, "  ");
  const { group, version, schema } = kinds[kind];
  const text = `apiVersion: ${group}/${version}\nkind: ${kind}\nmetadata: {name: a, namespace: b}\nspec:\n${indented}\n`;
  const reading = readText(text, "f.yaml");
  const [resource] = reading.resources;
  expect(reading.problems).toEqual([]);
  return { json: resource?.spec && toJson(schema, resource.spec as never, { registry: apiTypes() }), problems: resource!.problems };
}

/** Problems in one line each: `error HW1003 path: message [hint]`. */
const lines = (problems: readonly Problem[]) =>
  problems.map(
    ({ severity, code, path, message, hint }) => `${severity} ${code} ${path}: ${message}${hint === undefined ? "" : ` [${hint}]`}`,
  );

function accepts(kind: ApiKind, spec: string, json: unknown, ...warnings: string[]): void {
  const result = read(kind, spec);
  expect(lines(result.problems)).toEqual(warnings);
  expect(result.json).toEqual(json);
}

function refuses(kind: ApiKind, spec: string, ...problems: string[]): void {
  const result = read(kind, spec);
  expect(lines(result.problems)).toEqual(problems);
  expect(result.json).toBeUndefined();
}

const hosts = (port: string) => `static: {hosts: [{addr: a.test, port: ${port}}]}`;
const withPort = (port: number) => ({ static: { hosts: [{ addr: "a.test", port }] } });

describe("keys", () => {
  test("both spellings of a key are taken, without a word", () => {
    accepts("Upstream", "use_http2: true\nsslConfig: {sni: x}", { useHttp2: true, sslConfig: { sni: "x" } });
  });

  test.each(["useHttp2: true\nuse_http2: false", "use_http2: false\nuseHttp2: true"])(
    "of both spellings at once, camelCase counts, whatever the order",
    (spec) => {
      accepts(
        "Upstream",
        spec,
        { useHttp2: true },
        'warning HW1021 useHttp2: "useHttp2" is also there as "use_http2"; "useHttp2" is used [remove "use_http2"]',
      );
    },
  );

  test("an unknown field is an error, and so is each further one", () => {
    refuses(
      "Upstream",
      `${hosts("1")}\nfooBarBaz: 1\nquux: 2`,
      'error HW1003 fooBarBaz: unknown field "fooBarBaz" in Upstream',
      'error HW1003 quux: unknown field "quux" in Upstream',
    );
  });

  test.each([
    ["a typo", "VirtualService", "virtualHost: {routes: [{routeAction: {single: {upstrem: {name: x}}}}]}", 'did you mean "upstream"?'],
    ["swapped letters", "Upstream", "statci: {}", 'did you mean "static"?'],
    ["wrong case", "Upstream", "useHTTP2: true", 'did you mean "useHttp2"?'],
    ["a field one level down", "VirtualService", "virtualHost: {routes: [{timeout: 5s}]}", 'it belongs under "options": options.timeout'],
    ["a field one level up", "VirtualService", "virtualHost: {sslConfig: {}}", "it belongs one level up: give it less indentation"],
    [
      "a field of a neighbour",
      "VirtualService",
      "virtualHost: {routes: [{matchers: [{prefix: /}], options: {queryParameters: []}}]}",
      'it belongs one level up, under "matchers"',
    ],
    ["a small message", "UpstreamGroup", "targets: []", "the fields here are destinations, namespacedStatuses, metadata"],
  ] as const)("the hint for %s", (_, kind, spec, hint) => {
    const { problems } = read(kind, spec);
    expect(problems.map((each) => each.hint)).toEqual([hint]);
  });

  test.each(["__proto__", "constructor", "toString", "hasOwnProperty"])("%s as a field is unknown, and as a map key plain data", (key) => {
    expect(read("Upstream", `${key}: {polluted: 1}`).problems.map((each) => each.reason)).toEqual(["UnknownField"]);
    const text = `apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: a, labels: {${key}: x}}\nspec: {discoveryMetadata: {labels: {${key}: z}}}`;
    const [resource] = readText(text, "f.yaml").resources;
    const { labels } = (resource!.spec as Spec<"Upstream">).discoveryMetadata!;
    expect([resource?.problems, Object.entries(labels), Object.entries(resource!.labels)]).toEqual([[], [[key, "z"]], [[key, "x"]]]);
    expect(Object.getPrototypeOf(labels)).toBe(Object.prototype);
    expect({}).not.toHaveProperty("polluted");
  });
});

describe("oneof", () => {
  test.each(["static: {hosts: [{addr: a, port: 1}]}\npipe: {path: /p}", "pipe: {path: /p}\nstatic: {hosts: [{addr: a, port: 1}]}"])(
    "of two members the later declared is used, whatever the order",
    (spec) => {
      const { json, problems } = read("Upstream", spec);
      expect(json).toEqual({ pipe: { path: "/p" } });
      expect(problems.map((each) => each.message)).toEqual(['"pipe" is used and "static" is not: only one of them can count']);
    },
  );

  test("a member that is null is not there", () => {
    accepts("Upstream", "static: {hosts: [{addr: a.test, port: 1}]}\npipe: null", withPort(1));
  });
});

describe("null", () => {
  test("null is as good as absent for scalars, lists, maps and messages", () => {
    accepts("Upstream", "useHttp2: ~\nhealthChecks: null\nsslConfig:\ndiscoveryMetadata: {labels: null}", { discoveryMetadata: {} });
  });

  test("a null item of a list is an empty message", () => {
    accepts(
      "Upstream",
      "static:\n  hosts:\n  - {addr: a.test, port: 1}\n  -",
      { static: { hosts: [{ addr: "a.test", port: 1 }, {}] } },
      'warning HW1022 static.hosts[1]: an item of "hosts" has no value; it counts as one with nothing set [fill it in, or remove it]',
    );
  });
});

describe("durations", () => {
  const timeout = (value: string) => `connectionConfig: {connectTimeout: ${value}}`;
  const is = (value: string) => ({ connectionConfig: { connectTimeout: value } });

  test.each([
    ["5s", "5s"],
    ["1.5s", "1.500s"],
    ["0.000000001s", "0.000000001s"],
    ["-1s", "-1s"],
    ["'5s'", "5s"],
    ["0s", "0s"],
  ])("%s is a duration of protobuf's own form", (written, json) => {
    accepts("Upstream", timeout(written), is(json));
  });

  test.each([
    ["1m30s", "90s"],
    ["1.5h", "5400s"],
    ["500ms", "0.500s"],
    ["1h0.5s", "3600.500s"],
    ["-1m", "-60s"],
    ["10us", "0.000010s"],
  ])("%s is a duration as Go writes it", (written, json) => {
    accepts("Upstream", timeout(written), is(json));
  });

  test.each([
    ["10µs", "0.000010s", "0.00001s"],
    ["1.s", "1s", "1s"],
    [".5s", "0.500s", "0.5s"],
    ["+5s", "5s", "5s"],
  ])("%s is a duration, though few would write it so", (written, json, understood) => {
    accepts(
      "Upstream",
      timeout(written),
      is(json),
      `warning HW1018 connectionConfig.connectTimeout: ${written} is read as ${understood} [write ${understood}]`,
    );
  });

  test.each([
    ["5", "a duration says its unit; this is the number 5 [write 5s, or 5ms]"],
    ["1d", 'not a duration: "1d" [there is no unit for days; write 24h]'],
    ["'5'", 'not a duration: "5" [say the unit: 5s]'],
    ["5 s", 'not a duration: "5 s" [write it as 5s, 1.5s, 250ms or 1m30s]'],
    ["yes", 'not a duration: "yes" [write it as 5s, 1.5s, 250ms or 1m30s]'],
    ["999999999999s", "999999999999s is longer than a duration can be (10,000 years)"],
  ])("%s is no duration", (written, message) => {
    refuses("Upstream", timeout(written), `error HW1006 connectionConfig.connectTimeout: ${message}`);
  });

  test("an object is no duration", () => {
    refuses(
      "Upstream",
      timeout("{seconds: 5}"),
      'error HW1004 connectionConfig.connectTimeout: "connectTimeout" takes a duration, not a map [write it as text: "5s"]',
    );
  });
});

describe("enums", () => {
  const version = (value: string) => `sslConfig: {parameters: {minimumProtocolVersion: ${value}}}`;
  const path = "sslConfig.parameters.minimumProtocolVersion";

  test("the exact name is taken", () => {
    accepts("Upstream", version("TLSv1_2"), { sslConfig: { parameters: { minimumProtocolVersion: "TLSv1_2" } } });
  });

  test("a number is read as its value, and an unknown one is kept", () => {
    accepts(
      "Upstream",
      version("3"),
      { sslConfig: { parameters: { minimumProtocolVersion: "TLSv1_2" } } },
      `warning HW1019 ${path}: 3 is read as TLSv1_2 [write TLSv1_2]`,
    );
    accepts(
      "Upstream",
      version("77"),
      { sslConfig: { parameters: { minimumProtocolVersion: 77 } } },
      `warning HW1019 ${path}: 77 is kept, though no value has this number [the values are TLS_AUTO, TLSv1_0, TLSv1_1, TLSv1_2, TLSv1_3]`,
    );
  });

  test("another case or a typo is an error that names the right one", () => {
    refuses(
      "Upstream",
      version("tlsv1_2"),
      `error HW1005 ${path}: "tlsv1_2" is not a value of this field; the values are TLS_AUTO, TLSv1_0, TLSv1_1, TLSv1_2, TLSv1_3 [did you mean TLSv1_2?]`,
    );
    refuses(
      "Upstream",
      version("SSL"),
      `error HW1005 ${path}: "SSL" is not a value of this field [one of TLS_AUTO, TLSv1_0, TLSv1_1, TLSv1_2, TLSv1_3]`,
    );
  });
});

describe("numbers", () => {
  const path = "static.hosts[0].port";

  test.each(["9000", "+9000", "0x2328", "0o21450"])("%s is a whole number", (written) => {
    accepts("Upstream", hosts(written), withPort(9000));
  });

  test.each(["'9000'", "9000.0", "9e3", "'9e3'", '"9000.0"'])("%s is that number too, with a warning", (written) => {
    const printed = written.startsWith("'") ? `"${written.slice(1, -1)}"` : written;
    accepts("Upstream", hosts(written), withPort(9000), `warning HW1017 ${path}: ${printed} is read as the number 9000 [write 9000]`);
  });

  test.each([
    ["021", 17],
    ["9_000", 9000],
    ["0b11", 3],
    ["0o2_1", 17],
  ])("%s is read as YAML 1.1 reads it, with a warning", (written, value) => {
    accepts(
      "Upstream",
      hosts(written),
      withPort(value),
      `warning HW1016 ${path}: ${written} is read as ${value}; YAML 1.2 reads another value [write ${value}]`,
    );
  });

  test("a port of 70000 parses: ranges of meaning are judged later", () => {
    accepts("Upstream", hosts("70000"), withPort(70000));
  });

  test.each([
    ["-1", "-1 is out of range: a whole number from 0 to 4294967295 is wanted"],
    ["4294967296", "4294967296 is out of range: a whole number from 0 to 4294967295 is wanted"],
    ["1e300", "1e300 is out of range: a whole number from 0 to 4294967295 is wanted"],
    ["80.5", "a whole number is wanted; this is 80.5"],
    [".inf", "a whole number is wanted; this is .inf"],
  ])("%s is out of range", (written, message) => {
    refuses("Upstream", hosts(written), `error HW1007 ${path}: ${message}`);
  });

  test.each([
    ["http", 'the text "http"'],
    ["true", "the boolean true"],
    ["yes", "the boolean yes"],
    ["'0x50'", 'the text "0x50"'],
    ["''", 'the text ""'],
    ["[80]", "a list"],
    ["12:30:45", 'the text "12:30:45"'],
  ])("%s is no number", (written, described) => {
    refuses("Upstream", hosts(written), `error HW1004 ${path}: "port" takes a whole number, not ${described}`);
  });

  test("64-bit numbers beyond 2^53 are exact, in quotes and without", () => {
    const ring = (size: string) => `loadBalancerConfig: {ringHash: {ringHashConfig: {minimumRingSize: ${size}}}}`;
    const is = (size: string) => ({ loadBalancerConfig: { ringHash: { ringHashConfig: { minimumRingSize: size } } } });
    accepts("Upstream", ring("9007199254740993"), is("9007199254740993"));
    accepts("Upstream", ring("'18446744073709551615'"), is("18446744073709551615"));
    expect(read("Upstream", ring("18446744073709551616")).problems.map((each) => each.reason)).toEqual(["NumberOutOfRange"]);
  });
});

describe("booleans", () => {
  test.each(["true", "True", "TRUE"])("%s is true", (written) => accepts("Upstream", `useHttp2: ${written}`, { useHttp2: true }));

  test.each(["yes", "on", "y", "Y", "ON", "Yes"])("%s is true as YAML 1.1 has it, with a warning", (written) => {
    accepts(
      "Upstream",
      `useHttp2: ${written}`,
      { useHttp2: true },
      `warning HW1016 useHttp2: ${written} is read as true; YAML 1.2 reads text [write true]`,
    );
  });

  test.each(["no", "off", "n"])("%s is false, with a warning", (written) => {
    accepts(
      "Upstream",
      `useHttp2: ${written}`,
      { useHttp2: false },
      `warning HW1016 useHttp2: ${written} is read as false; YAML 1.2 reads text [write false]`,
    );
  });

  test("text and numbers are not booleans", () => {
    refuses(
      "Upstream",
      "useHttp2: 'true'",
      'error HW1004 useHttp2: "useHttp2" takes true or false, not the text "true" [write it without quotes: true]',
    );
    refuses("Upstream", "useHttp2: 1", 'error HW1004 useHttp2: "useHttp2" takes true or false, not the number 1');
  });
});

describe("text", () => {
  const addr = (value: string) => `static: {hosts: [{addr: ${value}, port: 1}]}`;
  const path = "static.hosts[0].addr";
  const is = (value: string) => ({ static: { hosts: [{ addr: value, port: 1 }] } });

  test.each([
    ["127", "the number 127"],
    ["1.5", "the number 1.5"],
    ["true", "the boolean true"],
    ["0x1f", "the number 0x1f"],
  ])("%s is not text", (written, described) => {
    refuses("Upstream", addr(written), `error HW1004 ${path}: "addr" takes text, not ${described} [quote it: "${written}"]`);
  });

  test.each([
    ["no", "the boolean false"],
    ["y", "the boolean true"],
    ["010", "the number 8"],
    ["1_000", "the number 1000"],
  ])("%s, which only YAML 1.1 takes for something else, is text with a warning", (written, other) => {
    accepts(
      "Upstream",
      addr(written),
      is(written),
      `warning HW1016 ${path}: ${written} is read as the text "${written}"; YAML 1.1 reads ${other} [quote it: "${written}"]`,
    );
  });

  test("a hash that YAML 1.2 takes for a number is text with a warning", () => {
    expect(read("Upstream", addr("50494e47")).json).toEqual(is("50494e47"));
  });

  test.each(["2020-01-01", "12:30:45", "1.2.3", "10.0.0.1", "-", "+", ".", "1e", "0x", "08:00", "=", "localhost"])(
    "%s is text",
    (written) => {
      accepts("Upstream", addr(written === "-" || written === "=" ? `"${written}"` : written), is(written));
    },
  );

  test("half of a surrogate pair is an error", () => {
    refuses("Upstream", addr('"\\ud800"'), `error HW1010 ${path}: the text holds half of a surrogate pair`);
  });
});

describe("shapes", () => {
  test("text where an object is wanted", () => {
    refuses(
      "VirtualService",
      "virtualHost: {routes: [{routeAction: {single: {upstream: cart}}}]}",
      'error HW1004 virtualHost.routes[0].routeAction.single.upstream: "upstream" takes an object, not the text "cart" [write {name: cart, namespace: …}]',
    );
  });

  test("an object or a value where a list is wanted", () => {
    refuses(
      "Upstream",
      "static: {hosts: {addr: a}}",
      'error HW1004 static.hosts: "hosts" takes a list, not a map [begin each item with "- "]',
    );
    refuses(
      "VirtualService",
      "virtualHost: {domains: a.test}",
      'error HW1004 virtualHost.domains: "domains" takes a list, not the text "a.test" [write it in brackets: [ … ]]',
    );
  });

  test("a list where a map is wanted", () => {
    refuses("Upstream", "discoveryMetadata: {labels: [a]}", 'error HW1004 discoveryMetadata.labels: "labels" takes a map, not a list');
  });
});

describe("the messages with a JSON form of their own", () => {
  test("wrappers are bare values, also in a oneof and in a list", () => {
    accepts("VirtualService", "virtualHost: {routes: [{options: {prefixRewrite: /x, autoHostRewrite: true}}]}", {
      virtualHost: { routes: [{ options: { prefixRewrite: "/x", autoHostRewrite: true } }] },
    });
    accepts("Upstream", "initialStreamWindowSize: 65536\nignoreHealthOnHostRemoval: false", {
      initialStreamWindowSize: 65536,
      ignoreHealthOnHostRemoval: false,
    });
  });

  test("bytes are base64, of either alphabet", () => {
    accepts("Secret", "tls: {ocspStaple: aGk/}", { tls: { ocspStaple: "aGk/" } });
    accepts("Secret", "tls: {ocspStaple: aGk_}", { tls: { ocspStaple: "aGk/" } });
    refuses(
      "Secret",
      "tls: {ocspStaple: 'no base64!'}",
      'error HW1008 tls.ocspStaple: not base64: the text "no base64!" [encode the bytes: base64 -w0 FILE]',
    );
  });

  test("a Struct is free JSON", () => {
    accepts("Upstream", "static: {hosts: [{addr: a, port: 1, metadata: {x: {a: [1, true, null, s, {b: 1.5}]}}}]}", {
      static: { hosts: [{ addr: "a", port: 1, metadata: { x: { a: [1, true, null, "s", { b: 1.5 }] } } }] },
    });
  });

  test("YAML 1.1 words in a Struct are what they are for Gloo, with a warning", () => {
    accepts(
      "Upstream",
      "static: {hosts: [{addr: a, port: 1, metadata: {x: {a: yes}}}]}",
      { static: { hosts: [{ addr: "a", port: 1, metadata: { x: { a: true } } }] } },
      "warning HW1016 static.hosts[0].metadata.x.a: yes is read as true; YAML 1.2 reads another value [write true, or quote it]",
    );
  });
});

describe("Any", () => {
  const check = (config: string) =>
    `healthChecks: [{timeout: 1s, interval: 1s, unhealthyThreshold: 1, healthyThreshold: 1, customHealthCheck: {name: x, typedConfig: ${config}}}]`;

  test("@type names the message, and its fields are checked", () => {
    const { problems } = read("Upstream", check("{'@type': type.googleapis.com/core.solo.io.ResourceRef, name: a, namespce: b}"));
    expect(lines(problems)).toEqual([
      'error HW1003 healthChecks[0].customHealthCheck.typedConfig.namespce: unknown field "namespce" in customHealthCheck.typedConfig [did you mean "namespace"?]',
    ]);
    expect(read("Upstream", check("{'@type': type.googleapis.com/core.solo.io.ResourceRef, name: a}")).problems).toEqual([]);
    expect(read("Upstream", check("{'@type': type.googleapis.com/google.protobuf.StringValue, value: a}")).problems).toEqual([]);
  });

  test("without a known @type it is an error", () => {
    const path = "healthChecks[0].customHealthCheck.typedConfig";
    refuses(
      "Upstream",
      check("{name: a}"),
      `error HW1009 ${path}: @type is missing, which names the message [add "@type": type.googleapis.com/…]`,
    );
    refuses(
      "Upstream",
      check("{'@type': type.googleapis.com/core.solo.io.ResourceRev}"),
      `error HW1009 ${path}: there is no message type "core.solo.io.ResourceRev" [did you mean type.googleapis.com/core.solo.io.ResourceRef?]`,
    );
  });
});

test("all mistakes of an object are found at once, each at its place", () => {
  const { problems } = read(
    "VirtualService",
    "virtualHost:\n  domain: [a]\n  routes:\n  - matchers: [{prefx: /}]\n    options: {timeout: 5, retries: {numRetries: many}}",
  );
  expect(problems.map((each) => `${each.at?.line}:${each.at?.column}-${each.at?.endColumn} ${each.reason}`)).toEqual([
    "6:5-11 UnknownField",
    "8:19-24 UnknownField",
    "9:26-27 BadDuration",
    "9:51-55 WrongType",
  ]);
});

test("statuses in what comes in are dropped, whatever they hold", () => {
  const status = "status: {state: 7, nonsense: [}]}".replace("}]}", "]}");
  const text = (where: string) => `apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: a}\n${where}`;
  for (const where of [`spec: {}\n${status}`, "spec: {namespacedStatuses: {x: 3}, status: hm}", "spec: {}\nstatus: text"]) {
    const [resource] = readText(text(where), "f.yaml").resources;
    expect(resource?.problems).toEqual([]);
  }
});
