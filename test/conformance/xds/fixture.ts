// A server with its proxy `ns~proxy`, and what the tests say about resources.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { resourceOfBytes } from "../../../src/envoy/encode.ts";
import { type EnvoyResource, type Refusal, type TypeUrl, typeUrls } from "../../../src/model/envoy-resource.ts";
import type { BoundAddress } from "../../../src/xds/address.ts";
import { createXdsServer, type XdsServer, type XdsServerOptions } from "../../../src/xds/server.ts";
import { TestClient, type TestClientOptions } from "./client.ts";

export const { cluster: CDS, endpoint: EDS, listener: LDS, route: RDS, secret: SDS } = typeUrls;

export interface Fixture extends AsyncDisposable {
  readonly server: XdsServer;
  readonly address: BoundAddress;
  readonly refusals: Refusal[];
  readonly log: { readonly level: string; readonly fields: object; readonly message: string }[];
  publish(upserts: readonly EnvoyResource[], removals?: readonly (readonly [TypeUrl, string])[]): void;
  client(options?: TestClientOptions): TestClient;
}

/** A server that waits for every answer: no test is to depend on how fast it runs. */
export function serve(upserts: readonly EnvoyResource[] = [], options: XdsServerOptions = {}): Promise<Fixture> {
  return serveAsShipped(upserts, { patienceMs: 60_000, ...options });
}

/** One with the times that users have. */
export async function serveAsShipped(upserts: readonly EnvoyResource[] = [], options: XdsServerOptions = {}): Promise<Fixture> {
  const refusals: Refusal[] = [];
  const log: Fixture["log"] = [];
  const write = (level: string) => (fields: object, message: string) => {
    log.push({ level, fields, message });
  };
  const server = createXdsServer({
    log: { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") },
    onRefusal: (refusal) => refusals.push(refusal),
    ...options,
  });
  const address = await server.listen({ host: "127.0.0.1", port: 0 });
  server.publish("ns~proxy", { upserts, removals: [] });
  server.ready();
  const clients: TestClient[] = [];
  return {
    server,
    address,
    refusals,
    log,
    publish: (upserts, removals = []) =>
      server.publish("ns~proxy", { upserts, removals: removals.map(([typeUrl, name]) => ({ typeUrl, name })) }),
    client(clientOptions) {
      const client = new TestClient(address, clientOptions);
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A resource with a name and some content; enough for a client that does not look inside. */
export function resource(typeUrl: TypeUrl, name: string, content: string | number = 1): EnvoyResource {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(name);
  writer.tag(1000, WireType.LengthDelimited).string(`${content}`);
  return resourceOfBytes(typeUrl, name, writer.finish(), []);
}

export const cluster = (name: string, content?: string | number) => resource(CDS, name, content);
export const assignment = (name: string, content?: string | number) => resource(EDS, name, content);
export const listen = (name: string, content?: string | number) => resource(LDS, name, content);
export const route = (name: string, content?: string | number) => resource(RDS, name, content);
