// TCP hosts and their proxy.
import type { Values } from "../flavours.ts";
import type { Words } from "./words.ts";

export function tcp({ any, or, whole, texts, groups, inShop, header, headerValue }: Words): Record<string, Values> {
  return {
    "gloo.solo.io.TcpHost.TcpAction.upstream_group": inShop(...groups),
    "gloo.solo.io.TcpHost.name": texts("one", "two"),
    "tcp.options.gloo.solo.io.TcpProxySettings.max_connect_attempts": whole(1, 9, 0),
    "tcp.options.gloo.solo.io.TcpProxySettings.TunnelingConfig.hostname": or(
      any("a.test:443", "%REQUESTED_SERVER_NAME%:443"),
      "",
      "%NOPE%",
    ),
    "tcp.options.gloo.solo.io.HeaderValue.key": header,
    "tcp.options.gloo.solo.io.HeaderValue.value": headerValue,
  };
}
