// Names of the route configurations of one listener, as Gloo has them: `<listener>-routes`, and in a hybrid or isolated one a hash of
// what the filter chain matches behind it. Dashboards and alerts know them.
import { create, toBinary } from "@bufbuild/protobuf";
import { versionOf } from "../envoy/encode.ts";
import { glooHash } from "../envoy/gloo-hash.ts";
import type { Matcher } from "../gen/gloo/gloo/projects/gateway/api/v1/gateway_pb.js";
import { MatcherSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import { type SslConfig, SslConfigSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import type { SslGroup } from "./filter-chains.ts";

export class RouteConfigurationNames {
  readonly #plain: string;
  /** What each name was given for. */
  readonly #given = new Map<string, string>();

  constructor(listener: string) {
    this.#plain = `${listener}-routes`;
  }

  /** `matcher` is that of a part of a hybrid Gateway, `ssl` what a chain of its own has in place of the TLS of that. */
  of(matcher: Matcher | undefined, ssl: SslConfig | undefined = matcher?.sslConfig): string {
    if (matcher === undefined && ssl === undefined) return this.#plain;
    const hashed = create(MatcherSchema, {
      ...(ssl && { sslConfig: ssl }),
      sourcePrefixRanges: matcher?.sourcePrefixRanges ?? [],
    });
    const bytes = toBinary(MatcherSchema, hashed);
    const name = `${this.#plain}-${glooHash(MatcherSchema, hashed)}`;
    const version = versionOf(bytes);
    const given = this.#given.get(name);
    // Gloo's hash cannot tell all matchers apart, and one must not get the routes of another.
    if (given !== undefined && given !== version) return `${name}-${version}`;
    this.#given.set(name, version);
    return name;
  }
}

/** The settings that the chain of a group has. */
export function sslOfGroup({ members, serverNames }: SslGroup): SslConfig {
  return create(SslConfigSchema, { ...(members[0]?.ssl as SslConfig), sniDomains: [...serverNames] });
}

/** Among the isolated chains of a part: Gloo's order, which is that of the hashes of their settings, as text. */
export function rankOfGroup({ members }: SslGroup): string {
  return String(glooHash(SslConfigSchema, create(SslConfigSchema, { ...(members[0]?.ssl as SslConfig), sniDomains: [] })));
}
