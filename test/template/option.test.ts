// What a transformation in a configuration comes to: findings with their places, and which filter of which level is configured.
import type { JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { envoyJson } from "../../src/admin/envoy-json.ts";
import { builtins } from "../../src/builtins.ts";
import { translateOnce } from "../../src/control-plane.ts";
import { typeUrls } from "../../src/model/envoy-resource.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { readText } from "../../src/sources/read-text.ts";

const upstream = { name: "shop", namespace: "gloo-system" };
const template = (fields: object) => ({ transformationTemplate: fields });

async function translated(virtualHost: object, settings: object = {}) {
  const objects = [
    { apiVersion: "gloo.solo.io/v1", kind: "Settings", metadata: { name: "default", namespace: "gloo-system" }, spec: settings },
    { apiVersion: "gloo.solo.io/v1", kind: "Upstream", metadata: upstream, spec: { static: { hosts: [{ addr: "127.0.0.1", port: 1 }] } } },
    {
      apiVersion: "gateway.solo.io/v1",
      kind: "VirtualService",
      metadata: { name: "vs", namespace: "gloo-system" },
      spec: { virtualHost: { domains: ["*"], ...virtualHost } },
    },
  ];
  const { resources } = readText(objects.map((each) => JSON.stringify(each)).join("\n---\n"), "a.yaml");
  const { proxies, findings } = await translateOnce({ source: memorySource(resources), plugins: builtins });
  const hosts = [...proxies.values()]
    .flat()
    .filter((each) => each.typeUrl === typeUrls.route)
    .flatMap((each) => (envoyJson(each).virtualHosts ?? []) as JsonObject[]);
  return { host: hosts.find(({ name }) => name === "gloo-system_vs"), findings: findings.map(({ problem }) => problem) };
}

function route(options: object, more: object = { routeAction: { single: { upstream } } }) {
  return { matchers: [{ prefix: "/" }], ...more, options };
}

const regular = (entry: object) => ({ stagedTransformations: { regular: { requestTransforms: [entry] } } });
const filters = (holder: JsonObject | undefined) =>
  Object.fromEntries(
    Object.entries((holder?.typedPerFilterConfig ?? {}) as Record<string, JsonObject>)
      .filter(([name]) => name.startsWith("io.solo."))
      .map(([name, config]) => [
        name.replace("io.solo.transformation", "").replace(".", "") || "regular",
        config.disabled === true ? "off" : "on",
      ]),
  );

test("every fault is told with its place", async () => {
  const wrong = template({
    extractors: { e: { header: "a", regex: "(" }, "x.y": { header: "a", regex: "a", subgroup: 2 } },
    headers: { "x-a": { text: "{{" }, "b c": { text: "" } },
    headersToAppend: [
      { key: "x", value: { text: "ok" } },
      { key: "x", value: { text: "{% if %}" } },
    ],
    headersToRemove: ["ok", "not ok"],
    dynamicMetadataValues: [{ key: "k", value: { text: "{{ nope() }}" } }],
    body: { text: "{{ a b }}" },
  });
  const { findings } = await translated({
    routes: [
      route(
        regular({
          matcher: { regex: "(?i)a" },
          requestTransformation: wrong,
          responseTransformation: template({ headers: { ":path": { text: "" } } }),
        }),
      ),
      route({ transformations: { requestTransformation: template({ mergeJsonKeys: { jsonKeys: { "a.b": { tmpl: { text: "1" } } } } }) } }),
      route(regular({ requestTransformation: template({ extractors: { e: { header: "a", regex: "a", mode: "REPLACE_ALL" } } }) })),
    ],
  });
  const errors = findings.filter(({ severity }) => severity === "error");
  expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(["HW2045"]));
  const at = (i: number) => `virtualHost.routes[${i}].options.`;
  const entry = `${at(0)}stagedTransformations.regular.requestTransforms[0]`;
  const request = `${entry}.requestTransformation.transformationTemplate`;
  expect(errors.map(({ path }) => path).sort()).toEqual(
    [
      `${entry}.matcher`,
      `${request}.body.text`,
      `${request}.dynamicMetadataValues[0].value.text`,
      `${request}.extractors.e.regex`,
      `${request}.extractors["x.y"]`,
      `${request}.headers.x-a.text`,
      `${request}.headers["b c"].text`,
      `${request}.headersToAppend[1].value.text`,
      `${request}.headersToRemove[1]`,
      `${entry}.responseTransformation.transformationTemplate.headers[":path"].text`,
      `${at(1)}transformations.requestTransformation.transformationTemplate.mergeJsonKeys.jsonKeys["a.b"].tmpl.text`,
      `${at(2)}stagedTransformations.regular.requestTransforms[0].requestTransformation.transformationTemplate.extractors.e`,
    ].sort(),
  );
});

test("a route with a wrong transformation is served without; a virtual host is withheld", async () => {
  const wrong = regular({ requestTransformation: template({ passthrough: {}, headers: { a: { text: "{{" } } }) });
  const { host } = await translated({ routes: [route(wrong)] });
  const routes = (host?.routes ?? []) as JsonObject[];
  expect([routes.length, filters(routes[0])]).toEqual([1, {}]);
  expect((await translated({ options: wrong, routes: [route({})] })).host).toBeUndefined();
});

test("the most specific level that says anything switches off what is below", async () => {
  const change = { requestTransforms: [{ requestTransformation: template({ passthrough: {}, headers: { a: { text: "b" } } }) }] };
  const both = { stagedTransformations: { early: change, regular: change } };
  const multi = {
    routeAction: {
      multi: { destinations: [{ weight: 1, destination: { upstream }, options: { stagedTransformations: { regular: change } } }] },
    },
  };
  const { host, findings } = await translated({
    options: both,
    routes: [
      route({ stagedTransformations: { regular: change } }),
      route({ stagedTransformations: { postRouting: change, inheritTransformation: true } }),
      route({}, multi),
    ],
  });
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  const routes = host?.routes as (JsonObject & { route?: { weightedClusters?: { clusters: JsonObject[] } } })[];
  expect(filters(host)).toEqual({ early: "on", regular: "on" });
  expect(filters(routes[0])).toEqual({ early: "off", regular: "on" });
  expect(filters(routes[1])).toEqual({ early: "on", regular: "on", post_routing: "on" });
  expect(filters(routes[2]?.route?.weightedClusters?.clusters[0])).toEqual({ early: "off", regular: "on", post_routing: "off" });
});

test("what stock Envoy cannot do is a warning that names the field", async () => {
  const { findings } = await translated({
    routes: [
      route({
        stagedTransformations: {
          postRouting: {
            requestTransforms: [
              {
                clearRouteCache: true,
                requestTransformation: template({
                  passthrough: {},
                  headers: { a: { text: '{{ host_metadata("a") }}' } },
                  spanTransformer: { name: { text: "a" } },
                }),
              },
            ],
            responseTransforms: [{ responseCodeDetails: "via_upstream", responseTransformation: template({ passthrough: {} }) }],
          },
        },
      }),
    ],
  });
  const at = "virtualHost.routes[0].options.stagedTransformations.postRouting";
  expect(findings.filter(({ code }) => code === "HW2042").map(({ path }) => path)).toEqual([
    `${at}.requestTransforms[0].clearRouteCache`,
    `${at}.requestTransforms[0].requestTransformation.transformationTemplate.spanTransformer`,
    `${at}.responseTransforms[0].responseCodeDetails`,
    at,
  ]);
});

test("escaping and logging come from the template, the stages, or Settings", async () => {
  const program = async (fields: object, stages: object, gloo: object) => {
    const { host } = await translated(
      {
        routes: [
          route({
            stagedTransformations: {
              ...stages,
              regular: { requestTransforms: [{ requestTransformation: template({ body: { text: "a" }, ...fields }) }] },
            },
          }),
        ],
      },
      { gloo },
    );
    const [first] = (host?.routes ?? []) as { typedPerFilterConfig?: Record<string, { filterContext: { program: string } }> }[];
    const config = first?.typedPerFilterConfig?.["io.solo.transformation"];
    const { entries, logs } = JSON.parse(config?.filterContext.program ?? "");
    return [entries[0].request.escapes ?? false, logs ?? false];
  };
  expect(await program({}, {}, {})).toEqual([false, false]);
  expect(await program({}, {}, { transformationEscapeCharacters: true, logTransformationRequestResponseInfo: true })).toEqual([true, true]);
  expect(
    await program(
      {},
      { escapeCharacters: false, logRequestResponseInfo: false },
      { transformationEscapeCharacters: true, logTransformationRequestResponseInfo: true },
    ),
  ).toEqual([false, false]);
  expect(await program({ escapeCharacters: true }, { escapeCharacters: false }, {})).toEqual([true, false]);
});
