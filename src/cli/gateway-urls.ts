// Where a proxy takes requests, from its listeners.
import { fromBinary } from "@bufbuild/protobuf";
import { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { type EnvoyResource, typeUrls } from "../model/envoy-resource.ts";

/** `http://127.0.0.1:8080`, `https://10.0.0.1:8443`, `tcp://127.0.0.1:5432`; an address that means "all" is shown as loopback, where one can try it. */
export function gatewayUrls(resources: readonly EnvoyResource[]): string[] {
  return resources.filter((each) => each.typeUrl === typeUrls.listener).flatMap(urlOf);
}

/** 80 and 443 are not written in a URL. */
export function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  return Number(port) || (protocol === "https:" ? 443 : 80);
}

function urlOf(resource: EnvoyResource): string[] {
  const listener = fromBinary(ListenerSchema, resource.bytes);
  const address = listener.address?.address;
  if (address?.case !== "socketAddress" || address.value.portSpecifier.case !== "portValue") return [];
  const host = ["::", "0.0.0.0", ""].includes(address.value.address) ? "127.0.0.1" : address.value.address;
  const isTls = listener.filterChains.length > 0 && listener.filterChains.every((chain) => chain.transportSocket !== undefined);
  const isTcp = listener.filterChains.some((chain) => chain.filters.some(({ name }) => name === "envoy.filters.network.tcp_proxy"));
  return [`${isTcp ? "tcp" : isTls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${address.value.portSpecifier.value}`];
}
