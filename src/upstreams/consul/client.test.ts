// What peers do to a client that Consul itself would not.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SettingsSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { ConsulClient } from "./client.ts";
import { connectionOf } from "./connection.ts";

const { signal } = new AbortController();

async function serve(listener: RequestListener, path?: string) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => (path ? server.listen(path, resolve) : server.listen(0, "127.0.0.1", resolve)));
  return {
    address: path ? `unix://${path}` : `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const clientOf = (httpAddress: string) =>
  new ConsulClient(connectionOf(fromJson(SettingsSchema, { consul: { httpAddress, token: "canary" } }).consul, {}));

test("a Unix socket is dialled", async () => {
  const folder = mkdtempSync(join(tmpdir(), "consul-socket-"));
  try {
    await using server = await serve(
      (request, response) => response.setHeader("x-consul-index", "7").end(JSON.stringify([request.url])),
      join(folder, "s"),
    );
    using client = clientOf(server.address);
    expect(await client.get("v1/x", { dc: "west", cached: "", index: undefined }, { signal, deadlineMs: 1000 })).toEqual({
      json: ["/v1/x?dc=west&cached="],
      index: 7n,
      isFiltered: false,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("one byte at a time is not an answer in time", async () => {
  let timer: NodeJS.Timeout | undefined;
  await using server = await serve((_, response) => {
    timer = setInterval(() => response.write(" "), 20);
  });
  using client = clientOf(server.address);
  await expect(client.get("v1/x", {}, { signal, deadlineMs: 300 })).rejects.toMatchObject({ fault: "unreachable" });
  clearInterval(timer);
});

test("an answer without an end is given up", async () => {
  await using server = await serve((_, response) => {
    const chunk = Buffer.alloc(1024 * 1024, " ");
    const write = () => {
      while (!response.destroyed && response.write(chunk));
      response.once("drain", write);
    };
    write();
  });
  using client = clientOf(server.address);
  await expect(client.get("v1/x", {}, { signal, deadlineMs: 20_000 })).rejects.toMatchObject({ fault: "unusable" });
});

test("an answer that is cut short is not taken for a whole one", async () => {
  await using server = await serve((_, response) => {
    response.writeHead(200, { "content-length": "100" }).write("[]");
    setTimeout(() => response.destroy(), 50);
  });
  using client = clientOf(server.address);
  await expect(client.get("v1/x", {}, { signal, deadlineMs: 1000 })).rejects.toMatchObject({ fault: "unreachable" });
});

test("the token does not follow a redirect", async () => {
  const seen: unknown[] = [];
  await using other = await serve((request, response) => response.end(String(seen.push(request.headers))));
  await using server = await serve((_, response) => response.writeHead(301, { location: `http://${other.address}/v1/x` }).end());
  using client = clientOf(server.address);
  await expect(client.get("v1/x", {}, { signal, deadlineMs: 1000 })).rejects.toMatchObject({ fault: "unusable" });
  expect(seen).toEqual([]);
});

test.each(["-1", "abc", "1e9", "999999999999999999999999", ""])("an index that is none counts as none: %s", async (index) => {
  await using server = await serve((_, response) => response.setHeader("x-consul-index", index).end("[]"));
  using client = clientOf(server.address);
  expect((await client.get("v1/x", {}, { signal, deadlineMs: 1000 })).index).toBe(0n);
});

test("who has been told to stop stops, also in the middle of an answer", async () => {
  await using server = await serve((_, response) => void response.write("["));
  using client = clientOf(server.address);
  const ended = new AbortController();
  const asked = client.get("v1/x", {}, { signal: ended.signal, deadlineMs: 10_000 });
  setTimeout(() => ended.abort(), 50);
  await expect(asked).rejects.toMatchObject({ name: "AbortError" });
});
