// What random routes and options have in common: their surroundings, and the values that many fields take.

import fc from "fast-check";
import { badDurations, type Flavour, flavoured } from "../flavours.ts";
import type { Surroundings } from "../randomUpstreams.ts";

/** What routes name, beside what Upstreams do. */
export interface RouteSurroundings extends Surroundings {
  /** Names of Upstreams in `shop`, by what they are good for. */
  readonly upstreams: {
    readonly plain: readonly string[];
    readonly subsets: string;
    readonly aws: string;
    readonly azure: string;
    readonly rest: string;
    readonly grpc: string;
    /** It is there, and cannot be sent. */
    readonly broken: string;
  };
  readonly groups: readonly string[];
  /** Base64 of the descriptors of the gRPC service `till.v1.Till`. */
  readonly descriptors: string;
}

export const shop = "shop";

/** `rarity`: one in so many of the wild values is a bad one. */
export function wordsOf(flavour: Flavour, around: RouteSurroundings, rarity: number) {
  const base = flavoured(flavour, rarity);
  const { isWild, any, or, whole, real, seconds, texts, parts } = base;
  const { upstreams } = around;
  const inShop = (...names: string[]) =>
    or(fc.constantFrom(...names), "missing", upstreams.broken).map((name) => ({ name, namespace: shop }));
  const toPlain = inShop(...upstreams.plain);
  const duration = seconds(1, 90, ...badDurations);
  const header = texts("x-a", "X-B", "x-c");
  const headerValue = texts("a", "b c", "%REQ(x-b)%", "%START_TIME%", "100%%", "%PROTOCOL% on %UPSTREAM_HOST%");
  const regex = or(
    any("a", "/[a-z]+", "(a|b)/.*", "^/v[0-9]+/(.*)$"),
    "",
    "(",
    "(?=a)",
    "\\1",
    "a{2000}",
    "(((((.{1,9}){1,9}){1,9}){1,9}){1,9})",
    "é",
    "\n",
  );
  const path = or(any("/", "/a", "/a/b", "/c.d", "/x~y"), "", "a", "/ ", "/\n", "//", "/a%2fb", "/%zz", "/#", "/../a");
  const host = texts("a.test", "b.test:8080", "10.0.0.1");
  const percent = real(0, 100, -1, 101, 1e9);
  const status = whole(200, 599, 0, 99, 199, 600, 1000, 4_294_967_295);
  const rewrite = fc.tuple(regex, texts("/x", "/\\1", "\\0")).map(([pattern, substitution]) => ({
    pattern: { regex: pattern },
    // A group that the expression does not have is a mistake.
    substitution: substitution === "/\\1" && !isWild && !String(pattern).includes("(") ? "/x" : substitution,
  }));
  const fraction = parts({ numerator: whole(0, 100, 101, 4_294_967_295), denominator: any("HUNDRED", "TEN_THOUSAND", "MILLION") });
  const cidr = parts(
    { addressPrefix: or(any("10.0.0.0", "192.168.0.0", "fd00::"), "", "a", "10.0.0"), prefixLen: whole(8, 32, 0, 33, 129) },
    ["addressPrefix", "prefixLen"],
  );
  const within = (base: number, max: number) =>
    fc.tuple(whole(1, base, 0), whole(base, max, 0)).map(([a, b]) => ({ baseInterval: `${a}s`, maxInterval: `${b}s` }));
  const upgrade = (...types: string[]) =>
    fc
      .subarray(types)
      .map((chosen) =>
        [...chosen, ...(isWild && chosen.length === 2 ? chosen : [])].map((type) => ({ [type]: { enabled: chosen.length === 1 } })),
      );
  return {
    ...base,
    ...around,
    inShop,
    toPlain,
    duration,
    header,
    headerValue,
    regex,
    path,
    host,
    percent,
    status,
    rewrite,
    fraction,
    cidr,
    within,
    upgrade,
  };
}

export type Words = ReturnType<typeof wordsOf>;
