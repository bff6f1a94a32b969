// Calls of Lambda functions whose credentials have to be fetched first.

import { createServer, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { packAny } from "../../envoy/encode.ts";
import { PerRouteConfigSchema } from "../../gen/envoy/envoy/extensions/filters/http/aws_lambda/v3/aws_lambda_pb.js";
import { AwsRequestSigningSchema } from "../../gen/envoy/envoy/extensions/filters/http/aws_request_signing/v3/aws_request_signing_pb.js";
import { LuaPerRouteSchema, LuaSchema } from "../../gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import { HttpProtocolOptionsSchema } from "../../gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { formFilter, lambdaFilter } from "../filters/awsLambda.ts";
import { echo, parseRaw, type RawUpstream, rawRequest, rawUpstream } from "../testing/raw.ts";
import {
  type ClusterInit,
  listener,
  type RouteInit,
  routeConfig,
  type ServedDataPlane,
  serve,
  staticCluster,
} from "../testing/resources.ts";

/** Whoever asks for credentials waits here. */
const asking: ServerResponse[] = [];
const metadata = createServer((_, response) => void asking.push(response));
let upstream: RawUpstream;
let plane: ServedDataPlane;

beforeEach(async () => {
  await new Promise<void>((resolve) => metadata.listen(0, "127.0.0.1", resolve));
  process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI = `http://127.0.0.1:${(metadata.address() as { port: number }).port}/`;
  upstream = await rawUpstream("a");
  plane = await serve([lambdaCluster(upstream.port), staticCluster("plain", [upstream.port]), routes(), listener(0)]);
});

afterEach(async () => {
  delete process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI;
  await plane[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  asking.length = 0;
  metadata.closeAllConnections();
  await new Promise((resolve) => metadata.close(resolve));
});

test("credentials that end soon serve the call that they were fetched for", async () => {
  const answer = rawRequest(plane.port, "GET /call HTTP/1.1\r\nHost: a\r\n\r\n");
  await expect.poll(() => asking.length).toBe(1);
  const Expiration = new Date(Date.now() + 30_000).toISOString();
  asking[0]?.end(JSON.stringify({ AccessKeyId: "id", SecretAccessKey: "key", Token: "token", Expiration }));
  expect((await answer)?.status).toBe(200);
  expect(upstream.requests[0]).toContain("AWS4-HMAC-SHA256 Credential=id/");
  expect(asking.length).toBe(1);
});

test("the cluster says whether functions are told what was asked for", async () => {
  const told = async () => {
    const answer = rawRequest(plane.port, "GET /call HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(() => asking.length).toBe(1);
    asking.pop()?.end(JSON.stringify({ AccessKeyId: "id", SecretAccessKey: "key" }));
    await answer;
    return upstream.requests.pop()?.match(/x-envoy-original-\S+ \S+/g);
  };
  expect(await told()).toBeNull();
  plane.publish(lambdaCluster(upstream.port, { metadata: { filterMetadata: { [formFilter]: { tells_origin: true } } } } as ClusterInit));
  expect(await told()).toEqual(["x-envoy-original-path: /call", "x-envoy-original-method: GET"]);
});

test("credentials that cannot be had in time leave the next request on the connection alone", async () => {
  const client = connect(plane.port, "127.0.0.1");
  let text = "";
  client.on("data", (data) => {
    text += data.toString("latin1");
  });
  client.write("GET /hurried HTTP/1.1\r\nHost: a\r\n\r\n");
  await expect.poll(() => parseRaw(text, false, false)?.status).toBe(504);
  text = "";
  let answerNow = () => {};
  upstream.answer = (request, socket) => {
    answerNow = () => socket.write(echo(request));
    return undefined;
  };
  client.write("GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
  await expect.poll(() => upstream.requests.length).toBe(1);
  asking[0]?.writeHead(500).end();
  // Once a further one has waited in vain, the failure has come to the first.
  expect((await rawRequest(plane.port, "GET /hurried HTTP/1.1\r\nHost: a\r\n\r\n"))?.status).toBeGreaterThanOrEqual(500);
  answerNow();
  await expect.poll(() => parseRaw(text, false, false)?.status).toBe(200);
  client.destroy();
});

function lambdaCluster(port: number, more: ClusterInit = {}) {
  const filter = (name: string, value = packAny(LuaSchema, {})) => ({ name, configType: { case: "typedConfig" as const, value } });
  const httpFilters = [
    filter(formFilter),
    filter(lambdaFilter),
    filter("headworks.aws_lambda.call"),
    filter(
      "envoy.filters.http.aws_request_signing",
      packAny(AwsRequestSigningSchema, { serviceName: "lambda", region: "eu-west-1", hostRewrite: "lambda.test" }),
    ),
    filter("envoy.filters.http.upstream_codec"),
  ];
  return staticCluster("lambda", [port], {
    typedExtensionProtocolOptions: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packAny(HttpProtocolOptionsSchema, { httpFilters }),
    },
    ...more,
  } as ClusterInit);
}

function routes() {
  const to = (path: string, cluster: string, nanos: number, more: object): RouteInit =>
    ({
      match: { pathSpecifier: { case: "path", value: path } },
      action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster }, timeout: { nanos } } },
      ...more,
    }) as RouteInit;
  const call = {
    [lambdaFilter]: packAny(PerRouteConfigSchema, { invokeConfig: { arn: "arn:aws:lambda:eu-west-1:000000000000:function:f" } }),
    [formFilter]: packAny(LuaPerRouteSchema, { override: { case: "name", value: "body-asIs" } }),
  };
  const plain = to("/plain", "plain", 0, {});
  return routeConfig([
    {
      name: "all",
      domains: ["*"],
      routes: [
        to("/call", "lambda", 0, { typedPerFilterConfig: call }),
        to("/hurried", "lambda", 300_000_000, { typedPerFilterConfig: call }),
        plain,
      ],
    },
  ]);
}
