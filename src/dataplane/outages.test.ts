import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Outages } from "./outages.ts";

const server = { what: "authorization server", cluster: "auth_ns", meanwhile: "requests are refused with 403" };

test("a server that gives no answers is told once, and again when it has given none but answers for a while", async () => {
  const said: string[] = [];
  const outages = new Outages((level, message) => said.push(`${level} ${message}`), 30);
  outages.note(server, true);
  for (let i = 0; i < 100; i++) outages.note(server, i % 2 === 0);
  outages.note({ ...server, cluster: "other_ns" }, true);
  const begun = "warn the authorization server (cluster auth_ns) gives no answer, not in time, or an error: requests are refused with 403";
  expect(said).toEqual([begun]);
  for (const end = performance.now() + 30_000; said.length < 2 && performance.now() < end; await delay(5)) outages.note(server, true);
  expect(said).toEqual([begun, "info the authorization server (cluster auth_ns) answers again; 50 requests were without an answer"]);
  outages.note(server, false);
  expect(said).toHaveLength(3);
});
