// Types whose destinations cannot be had here, and pipes, through both data planes at once: one control plane serves a real Envoy and the
// embedded data plane. What stands for the destination is put in its place on the way; all else is what is sent.
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { create, fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { builtins } from "../../src/builtins.ts";
import { createDataPlane } from "../../src/dataplane/dataplane.ts";
import { certificates } from "../../src/dataplane/testing/certificates.ts";
import { envoyResource } from "../../src/envoy/encode.ts";
import { socketAddress } from "../../src/envoy/endpoint.ts";
import { Cluster_DiscoveryType, ClusterSchema } from "../../src/gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { AddressSchema } from "../../src/gen/envoy/envoy/config/core/v3/address_pb.js";
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from "../../src/gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { type EnvoyResource, type ResourceConsumer, typeUrls } from "../../src/model/envoy-resource.ts";
import { awsEc2 } from "../../src/upstreams/awsEc2/awsEc2.ts";
import { withEnvoy } from "../conformance/xds/envoy.ts";
import { awsKeys, findMoto, type RunningAws, startAws } from "../servers/aws.ts";
import { freePorts } from "../servers/ports.ts";
import { ask, backend, folder, object, until } from "./gateway.ts";
import { inProcess, proxy } from "./in-process.ts";

withEnvoy("types of Upstreams", () => {
  test.skipIf(findMoto() === undefined)("each is reached through a real Envoy and through the embedded data plane", async () => {
    await using open = new AsyncDisposableStack();
    const files = open.use(await folder());
    const aws = open.use(await startAws());
    const ec2 = open.use(await backend("ec2"));
    const cloud = await cloudOf(open);
    const path = join(files.path, "app.sock");
    const pipe = createHttp((_, response) => response.end("from the pipe")).listen(path);
    open.defer(() => void pipe.close());
    await runInstance(aws);

    const rewrite = (resource: EnvoyResource) => redirected(resource, cloud, ec2.port);
    const [embeddedPort = 0] = await freePorts(1);
    const dataPlane = open.use(
      createDataPlane({ proxy, bindOverride: () => ({ kind: "tcp", host: "127.0.0.1", port: embeddedPort }) as never }),
    );
    const namespace = "gloo-system";
    const keys = { apiVersion: "v1", kind: "Secret", type: "Opaque", metadata: { name: "aws-keys", namespace } };
    const running = open.use(
      await inProcess({
        plugins: {
          ...builtins,
          upstreamTypes: {
            ...builtins.upstreamTypes,
            awsEc2: awsEc2({ AWS_ENDPOINT_URL: aws.url }, { everyMs: 500, holdMs: 500 }) as never,
          },
        },
        consumers: [rewriting(dataPlane, rewrite)],
        rewrite,
        objects: [
          { ...keys, stringData: { aws_access_key_id: awsKeys.accessKeyId, aws_secret_access_key: awsKeys.secretAccessKey } },
          object("Upstream", "pipe", { pipe: { path } }),
          object("Upstream", "ec2", {
            awsEc2: { region: "eu-west-1", secretRef: { name: "aws-keys", namespace }, filters: [{ key: "role" }] },
          }),
          object("Upstream", "azure", {
            azure: { functionAppName: "shop", functions: [{ functionName: "price", authLevel: "Anonymous" }] },
          }),
          object("Upstream", "gcp", { gcp: { host: "app.a.run.app" } }),
          object("Upstream", "ai", { ai: { openai: { authToken: { inline: "sk-1" } } } }),
          routed("pipe"),
          routed("ec2"),
          routed("azure", { azure: { functionName: "price" } }),
          routed("gcp"),
          routed("ai"),
        ],
      }),
    );
    for (const [by, port] of [
      ["Envoy", running.port],
      ["embedded", embeddedPort],
    ] as const) {
      const answer = async (name: string) => (await ask(port, `${name}.test`))?.body ?? "";
      const told = async (name: string) => JSON.parse(await answer(name));
      await until(`the pipe answers ${by}`, async () => (await answer("pipe")) === "from the pipe");
      await until(`the instance answers ${by}`, async () => (await answer("ec2")) === "ec2 /");
      expect(await told("azure"), by).toEqual({ sni: "shop.azurewebsites.net", path: "/api/price", host: "shop.azurewebsites.net" });
      expect(await told("gcp"), by).toEqual({ sni: "app.a.run.app", path: "/", host: "app.a.run.app" });
      expect(await told("ai"), by).toEqual({
        sni: "api.openai.com",
        path: "/v1/chat/completions",
        host: "api.openai.com",
        authorization: "Bearer sk-1",
      });
    }
    expect(running.refusals).toEqual([]);
    expect(running.faults).toEqual([]);
  });
});

function routed(name: string, destinationSpec?: object): object {
  const single = { upstream: { name, namespace: "gloo-system" }, ...(destinationSpec && { destinationSpec }) };
  const routes = [{ matchers: [{ prefix: "/" }], routeAction: { single } }];
  return object("VirtualService", name, { virtualHost: { domains: [`${name}.test`], routes } });
}

async function runInstance(aws: RunningAws): Promise<void> {
  const call = (form: string) =>
    aws.call("ec2", "POST", "/", `${form}&Version=2016-11-15`, { "content-type": "application/x-www-form-urlencoded" });
  const image = /<imageId>([^<]+)/.exec(await call("Action=DescribeImages"))?.[1];
  const tag = "TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=role&TagSpecification.1.Tag.1.Value=web";
  await call(`Action=RunInstances&ImageId=${image}&MinCount=1&MaxCount=1&${tag}`);
}

/** In the place of all clouds; tells what it was asked. */
async function cloudOf(open: AsyncDisposableStack): Promise<number> {
  const { certificate: cert, key } = open.use(certificates()).selfSigned("cloud.test");
  const server = createHttps({ cert, key }, (request, response) => {
    const { servername: sni } = request.socket as TLSSocket & { servername?: string };
    const { host, authorization } = request.headers;
    response.end(JSON.stringify({ sni, path: request.url, host, authorization }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function redirected(resource: EnvoyResource, cloud: number, instance: number): EnvoyResource {
  if (resource.typeUrl === typeUrls.endpoint) {
    const assignment = fromBinary(ClusterLoadAssignmentSchema, resource.bytes);
    point(assignment, instance);
    return envoyResource(ClusterLoadAssignmentSchema, resource.name, assignment, resource.owners);
  }
  if (resource.typeUrl !== typeUrls.cluster || !/^(azure|gcp|ai)_/.test(resource.name)) return resource;
  const cluster = fromBinary(ClusterSchema, resource.bytes);
  cluster.clusterDiscoveryType = { case: "type", value: Cluster_DiscoveryType.STATIC };
  if (cluster.loadAssignment) point(cluster.loadAssignment, cloud);
  return envoyResource(ClusterSchema, cluster.name, cluster, resource.owners);
}

function point({ endpoints }: ClusterLoadAssignment, port: number): void {
  for (const { lbEndpoints } of endpoints)
    for (const { hostIdentifier } of lbEndpoints)
      if (hostIdentifier.case === "endpoint") hostIdentifier.value.address = create(AddressSchema, socketAddress("127.0.0.1", port));
}

function rewriting(consumer: ResourceConsumer, rewrite: (resource: EnvoyResource) => EnvoyResource): ResourceConsumer {
  return {
    publish: (to, changes) => consumer.publish(to, { ...changes, upserts: changes.upserts.map(rewrite) }),
    retire: (from) => consumer.retire(from),
  };
}
