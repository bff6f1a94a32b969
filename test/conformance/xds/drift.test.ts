// Our copy of Envoy's schema is that of the Envoy we are tested with: every extension it says it has, we can write.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { DeltaDiscoveryRequestSchema } from "../../../src/gen/envoy/envoy/service/discovery/v3/discovery_pb.js";
import { xdsMethods } from "../../../src/xds/services.ts";
import { envoyOn, withEnvoy } from "./envoy.ts";

interface Extension {
  readonly category: string;
  readonly typeUrls: readonly string[];
}

withEnvoy("Envoy's extensions", () => {
  test("are all in our copy of its schema, and HTTP filters in the generated types", async () => {
    const extensions = await extensionsOfEnvoy();
    const schema = envoySchema();
    const typeUrls = new Set(extensions.flatMap((extension) => extension.typeUrls));
    expect(typeUrls.size).toBeGreaterThan(300);
    expect([...typeUrls].filter((typeUrl) => schema.getMessage(nameOf(typeUrl)) === undefined)).toEqual([]);

    const filters = extensions.filter(({ category }) => category === "envoy.filters.http").flatMap((extension) => extension.typeUrls);
    const current = filters.map(nameOf).filter((name) => name.startsWith("envoy.extensions.filters.http."));
    expect(current.length).toBeGreaterThan(50);
    const generated = join(import.meta.dirname, "../../../src/gen/envoy");
    expect(current.filter((name) => !existsSync(join(generated, `${schema.getMessage(name)?.file.name}_pb.js`)))).toEqual([]);
  });
});

function nameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.indexOf("/") + 1);
}

function envoySchema(): FileRegistry {
  const file = join(import.meta.dirname, "../../../proto/envoy.binpb.gz");
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, gunzipSync(readFileSync(file))));
}

/** From the node that Envoy sends with its first request. */
async function extensionsOfEnvoy(): Promise<Extension[]> {
  const server = new Server();
  const path = xdsMethods.find(({ variant, typeUrl }) => variant === "delta" && typeUrl === undefined)?.path as string;
  const asIs = (bytes: Buffer) => bytes;
  const said = Promise.withResolvers<Extension[]>();
  server.addService(
    {
      ads: {
        path,
        requestStream: true,
        responseStream: true,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    {
      ads: (call: ServerDuplexStream<Buffer, Buffer>) =>
        call
          .on("error", () => {})
          .on("data", (bytes: Buffer) => {
            const { node } = fromBinary(DeltaDiscoveryRequestSchema, bytes);
            if (node !== undefined) said.resolve(node.extensions.map(({ category, typeUrls }) => ({ category, typeUrls })));
          }),
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  try {
    await using _envoy = await envoyOn({ host: "127.0.0.1", port });
    return await said.promise;
  } finally {
    server.forceShutdown();
  }
}
