// A Listener: the address, and its filter chains.

import { fromBinary } from "@bufbuild/protobuf";
import { ListenerSchema } from "../../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { unhandledFields } from "../fields.ts";
import type { AccessLogger } from "./access-log.ts";
import { type CompiledChain, compileFilterChains, type FilterChains, isProxyProtocol, isTlsInspector } from "./filter-chains.ts";
import { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import type { SecretSource } from "./secret-source.ts";

export interface CompiledListener {
  readonly name: string;
  readonly address: ListenAddress | undefined;
  readonly backlog: number | undefined;
  /** Undefined when there is none that we execute. */
  readonly chains: FilterChains | undefined;
  /** The secrets that it needs and that come from servers of the user's own. */
  readonly secretSources: readonly SecretSource[];
  /** Where its access logs are written: files and standard streams. */
  readonly logPaths: readonly string[];
  readonly findings: Findings["all"];
}

export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly ipv6Only: boolean }
  | { readonly kind: "pipe"; readonly path: string };

/** What two listeners on the same address have in common. */
export function addressKey(address: ListenAddress): string {
  return address.kind === "pipe" ? `unix:${address.path}` : `[${address.host}]:${address.port}${address.ipv6Only ? " v6only" : ""}`;
}

/** Throws when the bytes are not a Listener. TLS that did not change is taken from the version before. */
export function compileListener(bytes: Uint8Array, previous: CompiledListener | undefined): CompiledListener {
  const listener = fromBinary(ListenerSchema, bytes);
  const findings = new Findings();
  for (const path of unhandledFields(ListenerSchema, listener, handledFields)) findings.notExecuted(path);
  const kind = listener.address?.address;
  let address: ListenAddress | undefined;
  if (kind?.case === "socketAddress") {
    const { address: host, portSpecifier, ipv4Compat, protocol } = kind.value;
    if (protocol !== 0) findings.notExecuted("address.socket_address.protocol: UDP", "; the listener is not bound");
    else
      address = {
        kind: "tcp",
        host,
        port: portSpecifier.case === "portValue" ? portSpecifier.value : 0,
        ipv6Only: host.includes(":") && !ipv4Compat,
      };
  } else if (kind?.case === "pipe") address = { kind: "pipe", path: kind.value.path };
  else findings.refused("address", "there is no address to listen on");
  if (listener.bindToPort === false) address = undefined;
  listener.listenerFilters.forEach((filter, index) => {
    if (!isTlsInspector(filter) && !isProxyProtocol(filter)) findings.notExecuted(`listener_filters[${index}] (${filter.name})`);
  });
  const chains = compileFilterChains(listener, findings, previous?.chains);
  return {
    name: listener.name,
    address,
    backlog: listener.tcpBacklogSize,
    chains,
    secretSources: secretSourcesOf(chains),
    logPaths: logPathsOf(chains),
    findings: findings.all,
  };
}

function secretSourcesOf(chains: FilterChains | undefined): SecretSource[] {
  return allOf(chains).flatMap(({ tls }) => (tls === undefined || tls === "unusable" ? [] : tls.secretSources));
}

function logPathsOf(chains: FilterChains | undefined): string[] {
  const loggers = [...(chains?.accessLogs ?? []), ...allOf(chains).flatMap(loggersOf)];
  return [...new Set(loggers.flatMap((logger) => (logger.kind === "text" ? [logger.path] : [])))];
}

function loggersOf({ serves }: CompiledChain): readonly AccessLogger[] {
  switch (serves.kind) {
    case "http":
      return serves.hcm.accessLogs;
    case "tcp":
      return serves.proxy.accessLogs;
    case "closed":
      return [];
  }
}

function allOf(chains: FilterChains | undefined): CompiledChain[] {
  return [...(chains?.matched ?? []), ...(chains?.fallback ? [chains.fallback] : [])];
}
