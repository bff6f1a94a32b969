// What VirtualServices, RouteTables and Gateways come to: each file is a story, its input above the line, its outcome below.
import { join } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { envoyJson } from "../../src/admin/envoy-json.ts";
import { builtins } from "../../src/builtins.ts";
import { goldens } from "../../src/lib/testing/golden.ts";
import { resourcesOf, worldOf } from "../../src/lib/testing/world.ts";
import { typeUrls } from "../../src/model/envoy-resource.ts";
import { assemble } from "../corpus/assemble.ts";

goldens(join(import.meta.dirname, "testdata"), (input) => {
  const { problems, proxies } = assemble(worldOf(resourcesOf(input)), builtins);
  const served = [...proxies.values()].flat();
  const said = problems.map(
    ({ resource, severity, path, message, hint, costs }) =>
      `${resource} ${severity} at ${path ?? "the whole"}${costs ? ` (costs ${costs})` : ""}: ${message}${hint ? ` [${hint}]` : ""}`,
  );
  return {
    problems: [...new Set(said)],
    listeners: served.filter((each) => each.typeUrl === typeUrls.listener).map((each) => summary(envoyJson(each))),
    routes: served.filter((each) => each.typeUrl === typeUrls.route).map(envoyJson),
  };
});

/** A listener without its filters, of which the recorded cases have enough. */
function summary({ name, address, filterChains }: JsonObject): JsonObject {
  const chains = (filterChains as JsonObject[]).map(({ filterChainMatch = {}, filters, transportSocket }) => ({
    match: filterChainMatch,
    filters: (filters as JsonObject[]).map((each) => each.name ?? ""),
    tls: transportSocket !== undefined,
  }));
  return { name: name ?? "", address: address ?? {}, chains };
}
