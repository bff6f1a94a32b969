// `tcpProxySettings` of a TCP listener are fields of the TCP proxy itself: src/translate/tcp-chain.ts reads them.
import type { Feature } from "../plugin/feature.ts";

export const tcpProxySettings: Feature = {
  name: "tcpProxySettings",
  glooName: "tcp",
  fields: { tcp: ["tcpProxySettings"] },
};
