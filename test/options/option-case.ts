// What a case says: options at their levels, and what a request through Envoy shows of them.
import type { KeyPair } from "../../src/dataplane/testing/certificates.ts";
import type { Echo, Received } from "./echo.ts";
import type { GrpcEcho } from "./grpc.ts";

/** Where options are written. An option is `level.field`, and `http.httpConnectionManagerSettings.via` is `hcm.via` for short. */
export type Level = "listener" | "http" | "hcm" | "tcp" | "virtualHost" | "route" | "weighted" | "routeConfiguration" | "gateway";

export interface OptionCase {
  /** The name of the test: what is so. */
  readonly fact: string;
  /** `route.timeout`: the options whose effect is observed, or about which the user is told that they have none. */
  readonly options: readonly string[];
  /** The options are told to have no effect here, by these words of a finding on an object of the case. */
  readonly says?: RegExp;
  readonly given: Given | ((place: Place) => Given);
  readonly observe?: (seen: Seen) => Promise<void>;
}

/** A VirtualService of one route to the echo, unless more is said. What is written at a listener gives the case one of its own. */
export interface Given {
  readonly listener?: object;
  readonly http?: object;
  readonly hcm?: object;
  /** Of a TCP listener, which leads to the echo. */
  readonly tcp?: object;
  readonly virtualHost?: object;
  readonly route?: object;
  /** Of the only destination of a route with weights. */
  readonly weighted?: object;
  /** More of the Gateway, and more of the VirtualService: `sslConfig`. */
  readonly gateway?: object;
  readonly virtualService?: object;
  readonly routeConfiguration?: object;
  /** In place of the one route. */
  readonly routes?: readonly object[];
  /** Where the one route leads, when that is not the echo. */
  readonly to?: string;
  readonly domains?: readonly string[];
  /** Further objects. */
  readonly objects?: readonly object[];
}

export interface Place {
  /** Of the case: its namespace, and the name of its objects. */
  readonly name: string;
  /** A free port, that of its listener where it has one. */
  readonly port: number;
  readonly host: string;
  /** For files. */
  readonly folder: string;
  readonly servers: Servers;
}

export interface Servers {
  readonly echo: Echo;
  readonly other: Echo;
  readonly grpc: GrpcEcho;
  /** An echo that speaks HTTPS as 127.0.0.1, and who signed its certificate. */
  readonly secure: { readonly port: number; readonly authority: string };
  /** A certificate for `leaf.test`, and who signed it. */
  readonly tls: { readonly leaf: KeyPair; readonly authority: KeyPair };
}

export interface Asked {
  readonly method?: string;
  /** A list is a header that comes more than once. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Buffer;
  readonly host?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Names as they were written, and values. */
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly bytes: Buffer;
  /** What the echo received, when it was the echo that answered. */
  readonly received: Received;
}

export interface Seen extends Place {
  ask(path?: string, asked?: Asked): Promise<Answer>;
  /** What is written to a connection, and all that comes back until `until` fits or the other side closes. */
  raw(text: string, until?: RegExp): Promise<string>;
  /** A counter or gauge of Envoy. */
  stat(name: string): Promise<number>;
  /** Waits until it is so. */
  eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void>;
}

/** Objects, for further ones. */
export function object(kind: string, name: string, namespace: string, spec: object, labels: object = {}): object {
  const group = ["Gateway", "VirtualService", "RouteTable", "RouteOption", "VirtualHostOption"].includes(kind) ? "gateway" : "gloo";
  return { apiVersion: `${group}.solo.io/v1`, kind, metadata: { name, namespace, labels }, spec };
}

export const shared = "shared";

/** A destination in the namespace that all cases share. */
export function to(name: string, more: object = {}): object {
  return { single: { upstream: { name, namespace: shared }, ...more } };
}

export function route(more: object = {}, action: object = { routeAction: to("echo") }): object {
  return { matchers: [{ prefix: "/" }], ...action, ...more };
}
