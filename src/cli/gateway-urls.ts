// Where a proxy takes requests, from its listeners.
import { fromBinary } from "@bufbuild/protobuf";
import { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { type EnvoyResource, typeUrls } from "../model/envoy-resource.ts";

/** Where requests can be sent, and where somebody listens for them. */
export interface GatewayUrl {
  /** `http://127.0.0.1:8080`, `https://10.0.0.1:8443`, `tcp://127.0.0.1:5432`; for all addresses loopback, where one can try it. */
  readonly url: string;
  /** `[::]:8080` */
  readonly listensOn: string;
  readonly isEverywhere: boolean;
  readonly port: number;
}

export function gatewayUrls(resources: readonly EnvoyResource[]): GatewayUrl[] {
  return resources.filter((each) => each.typeUrl === typeUrls.listener).flatMap(urlOf);
}

/** The same gateway on another address. */
export function movedTo({ url }: GatewayUrl, address: string, port: number): GatewayUrl {
  return at(url.slice(0, url.indexOf(":")), address, port);
}

export function samePlaces(one: readonly GatewayUrl[], other: readonly GatewayUrl[]): boolean {
  return one.length === other.length && one.every(({ url, listensOn }, i) => other[i]?.url === url && other[i].listensOn === listensOn);
}

function urlOf(resource: EnvoyResource): GatewayUrl[] {
  const listener = fromBinary(ListenerSchema, resource.bytes);
  const address = listener.address?.address;
  if (address?.case !== "socketAddress" || address.value.portSpecifier.case !== "portValue") return [];
  const isTls = listener.filterChains.length > 0 && listener.filterChains.every((chain) => chain.transportSocket !== undefined);
  const isTcp = listener.filterChains.some((chain) => chain.filters.some(({ name }) => name === "envoy.filters.network.tcp_proxy"));
  return [at(isTcp ? "tcp" : isTls ? "https" : "http", address.value.address, address.value.portSpecifier.value)];
}

function at(scheme: string, address: string, port: number): GatewayUrl {
  const isEverywhere = ["::", "0.0.0.0", ""].includes(address);
  const inUrl = (host: string) => (host.includes(":") ? `[${host}]` : host);
  return {
    url: `${scheme}://${isEverywhere ? "127.0.0.1" : inUrl(address)}:${port}`,
    listensOn: `${inUrl(address)}:${port}`,
    isEverywhere,
    port,
  };
}
