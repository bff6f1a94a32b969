import { expect, test } from "vitest";
import { problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import { withoutEchoes } from "./echoes.ts";

const table = "RouteTable shop/table" as ResourceKey;
const site = "VirtualService shop/site" as ResourceKey;
const gateway = "Gateway gloo-system/gateway-proxy" as ResourceKey;

test("what is repeated for the sake of a status is told where it is", () => {
  const own = { problem: problem("error", table, "ActionMissing", "no action") };
  const echo = { problem: problem("error", site, "SubTableProblem", "no action (in RouteTable shop.table)", { repeats: table }) };
  const conflict = { problem: problem("error", site, "DomainConflict", "two of a.test") };
  const gateways = { problem: problem("error", gateway, "GatewayDomainConflict", "somebody has two of a.test") };
  expect(withoutEchoes([own, echo, conflict, gateways])).toEqual([own, conflict]);
});

test("what nobody else tells is told", () => {
  const alone = { problem: problem("error", site, "SubTableProblem", "no action", { repeats: table }) };
  const gateways = { problem: problem("error", gateway, "GatewayDomainConflict", "somebody has two of a.test") };
  expect(withoutEchoes([alone, gateways])).toEqual([alone, gateways]);
});
