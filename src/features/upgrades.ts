// `upgrades` of a route: WebSocket and CONNECT switched on or off.
import { hasRouteAction, onRouteAction, type RouteActionDraft } from "../envoy/drafts.ts";
import type { ProtocolUpgradeConfig } from "../gen/gloo/gloo/projects/gloo/api/v1/options/protocol_upgrade/protocol_upgrade_pb.js";
import type { Feature } from "../plugin/feature.ts";

type UpgradeInit = NonNullable<RouteActionDraft["upgradeConfigs"]>[number];

export const upgrades: Feature = {
  name: "upgrades",
  glooName: "basicroute",
  fields: { route: ["upgrades"] },
  route(route, options, _inherited, { refuse }) {
    if (!hasRouteAction(route)) return route;
    const unknown = options.upgrades.findIndex(({ upgradeType }) => upgradeType.case === undefined);
    if (unknown >= 0) {
      refuse(`upgrades[${unknown}]`, "unimplemented upgrade type: <nil>", { hint: "write websocket: {} or connect: {}" });
      return route;
    }
    const configs = options.upgrades.map(upgradeOf);
    const i = configs.findIndex(({ upgradeType }, at) => configs.findIndex((other) => other.upgradeType === upgradeType) < at);
    if (i >= 0) {
      refuse(`upgrades[${i}]`, `upgrade config ${configs[i]?.upgradeType} is not unique`);
      return route;
    }
    return onRouteAction(route, (action) => ({ ...action, upgradeConfigs: configs }));
  },
};

function upgradeOf({ upgradeType: type }: ProtocolUpgradeConfig): UpgradeInit {
  const enabled = type.value?.enabled;
  const init = { ...(enabled !== undefined && { enabled }) };
  switch (type.case) {
    case "connect":
      return { upgradeType: "CONNECT", ...init };
    case "connectTerminate":
      return { upgradeType: "CONNECT", connectConfig: {}, ...init };
    default:
      return { upgradeType: "websocket", ...init };
  }
}
