// Objects in the shape of Gloo before 1.0 to today's: a rewrite of the tree before it is decoded, so that every value keeps its
// place in the text. One warning for each object lists what was read as what; what has no equal today gets a warning of its own.
import type { ApiKind } from "../model/resource.ts";
import { camelCase } from "./field-names.ts";
import type { Reader } from "./reader.ts";
import type { ListNode, MapEntry, MapNode, YamlNode } from "./yaml-node.ts";

/** The node in today's shape; the node itself when it has it already. Without a reader, nothing is reported. */
export function convertOldShape(node: YamlNode, kind: ApiKind, reader?: Reader): YamlNode {
  const convert = converters[kind];
  if (node.kind !== "map" || !convert) return node;
  const rewrite = new Rewrite(reader);
  const converted = convert(node, rewrite);
  rewrite.report(node);
  return converted;
}

type Converter = (node: MapNode, rewrite: Rewrite) => MapNode;

const converters: Partial<Record<ApiKind, Converter>> = {
  Upstream: convertUpstream,
  UpstreamGroup: (node, rewrite) => each(node, "destinations", (item) => convertWeighted(item, rewrite)),
  VirtualService: (node, rewrite) => within(node, "virtualHost", (host) => convertVirtualHost(host, rewrite)),
  RouteTable: (node, rewrite) => each(node, "routes", (route) => convertRoute(route, rewrite)),
  Gateway: convertGateway,
  Proxy: (node, rewrite) => each(node, "listeners", (listener) => convertListener(listener, rewrite)),
  Settings: convertSettings,
  Secret: (node, rewrite) => rewrite.drop(node, "extension", "its content belongs into a kind of secret of its own"),
  AuthConfig: (node, rewrite) =>
    each(node, "configs", (config) => rewrite.drop(config, "customAuth", "pass the request to a server of your own by passThroughAuth")),
};

function convertUpstream(node: MapNode, rewrite: Rewrite): MapNode {
  let upstream = rewrite.hoist(node, "upstreamSpec");
  upstream = within(upstream, "static", (spec) =>
    rewrite.drop(spec, "autoHostRewrite", "set options.autoHostRewrite on the routes to this Upstream"),
  );
  return within(upstream, "awsEc2", (spec) => {
    const roles = find(spec, "roleArns");
    const first = roles?.value.kind === "list" ? roles.value.items[0] : undefined;
    if (!roles || !first) return spec;
    rewrite.note("roleArns", "roleArn");
    return replace(spec, roles, { ...roles, key: "roleArn", value: first });
  });
}

function convertVirtualHost(host: MapNode, rewrite: Rewrite): MapNode {
  let converted = rewrite.rename(host, "virtualHostPlugins", "options");
  converted = rewrite.moveInto(converted, "corsPolicy", "options", "cors");
  converted = rewrite.dropQuietly(converted, "name");
  converted = within(converted, "options", (options) => convertOptions(options, rewrite));
  return each(converted, "routes", (route) => convertRoute(route, rewrite));
}

function convertRoute(route: MapNode, rewrite: Rewrite): MapNode {
  let converted = rewrite.rename(route, "routePlugins", "options");
  converted = rewrite.wrap(converted, "matcher", "matchers");
  converted = within(converted, "options", (options) => convertOptions(options, rewrite));
  return within(converted, "routeAction", (action) =>
    within(action, "multi", (multi) => each(multi, "destinations", (item) => convertWeighted(item, rewrite))),
  );
}

function convertWeighted(item: MapNode, rewrite: Rewrite): MapNode {
  let converted = rewrite.rename(item, "weightedDestinationPlugins", "options");
  converted = rewrite.rename(converted, "weighedDestinationPlugins", "options"); // once spelled so
  return within(converted, "options", (options) => convertOptions(options, rewrite));
}

/** What was called plugins, of any level. */
function convertOptions(options: MapNode, rewrite: Rewrite): MapNode {
  let converted = rewrite.unwrap(options, "prefixRewrite", "prefixRewrite");
  converted = rewrite.unwrap(converted, "hostRewrite", "hostRewrite");
  converted = within(converted, "jwt", (jwt) => convertJwt(jwt, rewrite));
  rewrite.reportExtensions(converted);
  return converted;
}

function convertJwt(jwt: MapNode, rewrite: Rewrite): MapNode {
  const old = jwt.entries.filter((entry) => ["jwks", "audiences", "issuer"].includes(entry.key));
  if (old.length === 0 || find(jwt, "providers")) return jwt;
  rewrite.note(old.map((entry) => `jwt.${entry.key}`).join(", "), "jwt.providers.default");
  const first = old[0]!;
  const provider: MapNode = { ...jwt, entries: old };
  const providers: MapNode = { ...jwt, entries: [{ ...first, key: "default", value: provider }] };
  const rest = jwt.entries.filter((entry) => !old.includes(entry));
  return { ...jwt, entries: [...rest, { ...first, key: "providers", value: providers }] };
}

function convertGateway(node: MapNode, rewrite: Rewrite): MapNode {
  let gateway = rewrite.wrap(node, "gatewayProxyName", "proxyNames");
  const plugins = find(gateway, "plugins")?.value;
  const hasType = find(gateway, "httpGateway") !== undefined || find(gateway, "tcpGateway") !== undefined;
  const isListener = plugins?.kind === "map" && find(plugins, "accessLoggingService") !== undefined;
  if (hasType || isListener) gateway = rewrite.rename(gateway, "plugins", "options");
  else gateway = rewrite.moveInto(gateway, "plugins", "httpGateway", "options");
  gateway = rewrite.moveInto(gateway, "virtualServices", "httpGateway", "virtualServices");
  gateway = within(gateway, "options", (options) => convertOptions(options, rewrite));
  gateway = within(gateway, "httpGateway", (http) =>
    within(rewrite.rename(http, "plugins", "options"), "options", (options) => convertOptions(options, rewrite)),
  );
  return within(gateway, "tcpGateway", (tcp) => rewrite.rename(rewrite.rename(tcp, "plugins", "options"), "destinations", "tcpHosts"));
}

function convertListener(listener: MapNode, rewrite: Rewrite): MapNode {
  const converted = within(rewrite.rename(listener, "plugins", "options"), "tcpListener", (tcp) =>
    rewrite.rename(tcp, "plugins", "options"),
  );
  return within(converted, "httpListener", (http) =>
    each(rewrite.rename(http, "listenerPlugins", "options"), "virtualHosts", (host) => {
      let virtualHost = rewrite.rename(host, "virtualHostPlugins", "options");
      virtualHost = rewrite.moveInto(virtualHost, "corsPolicy", "options", "cors");
      return each(virtualHost, "routes", (route) => rewrite.dropQuietly(convertRoute(route, rewrite), "routeMetadata"));
    }),
  );
}

function convertSettings(node: MapNode, rewrite: Rewrite): MapNode {
  let settings = rewrite.moveInto(node, "bindAddr", "gloo", "xdsBindAddr");
  settings = rewrite.moveInto(settings, "circuitBreakers", "gloo", "circuitBreakers");
  rewrite.reportExtensions(settings);
  return within(settings, "gateway", (gateway) => rewrite.drop(gateway, "disableAutoGenGateways", "write the Gateways that you want"));
}

/** Moves and renames of entries; remembers what to tell the user. Old names are found in both spellings. */
class Rewrite {
  readonly #reader: Reader | undefined;
  readonly #notes = new Set<string>();

  constructor(reader: Reader | undefined) {
    this.#reader = reader;
  }

  note(from: string, to: string): void {
    this.#notes.add(`${from} as ${to}`);
  }

  report(node: MapNode): void {
    if (this.#notes.size === 0) return;
    const span = { start: node.start, end: node.start + 1 };
    this.#reader?.warn("OldShape", `this is the shape of 2019; read: ${[...this.#notes].join(", ")}`, span);
  }

  rename(node: MapNode, from: string, to: string): MapNode {
    const entry = find(node, from);
    if (!entry) return node;
    this.note(from, to);
    return place(replace(node, entry), { ...entry, key: to });
  }

  /** One value where a list is today. */
  wrap(node: MapNode, from: string, to: string): MapNode {
    const entry = find(node, from);
    if (!entry) return node;
    this.note(from, to);
    const { start, end } = entry.value;
    const list: ListNode = { kind: "list", items: [entry.value], start, end };
    return place(replace(node, entry), { ...entry, key: to, value: list });
  }

  /** `{prefixRewrite: {prefixRewrite: /x}}` to `{prefixRewrite: /x}`. */
  unwrap(node: MapNode, key: string, inner: string): MapNode {
    const entry = find(node, key);
    if (entry?.value.kind !== "map") return node;
    const value = find(entry.value, inner)?.value;
    if (!value) return node;
    this.note(`${key}.${inner}`, key);
    return replace(node, entry, { ...entry, value });
  }

  /** The entries of a map to the level of the map. */
  hoist(node: MapNode, key: string): MapNode {
    const entry = find(node, key);
    if (entry?.value.kind !== "map") return node;
    this.note(`${key}.*`, "the same fields without it");
    return entry.value.entries.reduce(place, replace(node, entry));
  }

  moveInto(node: MapNode, from: string, into: string, to: string): MapNode {
    const entry = find(node, from);
    if (!entry) return node;
    this.note(from, `${into}.${to}`);
    const { start, end } = entry.value;
    const holder: MapNode = { kind: "map", entries: [{ ...entry, key: to }], start, end };
    return place(replace(node, entry), { ...entry, key: into, value: holder });
  }

  drop(node: MapNode, key: string, hint: string): MapNode {
    const entry = find(node, key);
    if (!entry) return node;
    const span = { start: entry.keyStart, end: entry.keyEnd };
    this.#reader?.warn("OldFieldNotConverted", `"${entry.key}" of 2019 has no equal today and is left out`, span, hint);
    return replace(node, entry);
  }

  /** For what never had an effect of its own. */
  dropQuietly(node: MapNode, key: string): MapNode {
    const entry = find(node, key);
    if (!entry) return node;
    this.note(key, "nothing (it has no meaning)");
    return replace(node, entry);
  }

  /** `extensions.configs` held the options of the enterprise edition as free JSON; today they are fields. */
  reportExtensions(options: MapNode): void {
    const extensions = find(options, "extensions")?.value;
    const configs = extensions?.kind === "map" ? find(extensions, "configs")?.value : undefined;
    if (configs?.kind !== "map") return;
    for (const entry of configs.entries) {
      const message = `extensions.configs "${entry.key}" of 2019 is not converted, and does nothing`;
      const hint = `today this is a field of its own${knownExtensions[entry.key] ? `: ${knownExtensions[entry.key]}` : ""}`;
      this.#reader?.warn("OldFieldNotConverted", message, { start: entry.keyStart, end: entry.keyEnd }, hint);
    }
  }
}

const knownExtensions: Readonly<Record<string, string>> = {
  "rate-limit": "ratelimitBasic, ratelimit",
  ratelimit: "ratelimitBasic, ratelimit",
  "envoy-rate-limit": "ratelimit",
  extauth: "extauth",
  jwt: "jwt",
  rbac: "rbac",
  sanitize: "extauth",
  transformation: "transformations",
};

function find(node: MapNode, name: string): MapEntry | undefined {
  return node.entries.find((entry) => entry.key === name || camelCase(entry.key) === name);
}

/** The map without an entry, or with another in its stead. */
function replace(node: MapNode, old: MapEntry, by?: MapEntry): MapNode {
  return { ...node, entries: node.entries.flatMap((entry) => (entry === old ? (by ?? []) : entry)) };
}

/** Adds an entry. Where it is already there, two maps are joined and what is in today's shape wins. */
function place(node: MapNode, entry: MapEntry): MapNode {
  const present = find(node, camelCase(entry.key));
  if (!present) return { ...node, entries: [...node.entries, entry] };
  if (present.value.kind !== "map" || entry.value.kind !== "map") return node;
  return replace(node, present, { ...present, value: entry.value.entries.reduce(place, present.value) });
}

function within(node: MapNode, key: string, convert: (node: MapNode) => MapNode): MapNode {
  const entry = find(node, key);
  if (entry?.value.kind !== "map") return node;
  const converted = convert(entry.value);
  return converted === entry.value ? node : replace(node, entry, { ...entry, value: converted });
}

function each(node: MapNode, key: string, convert: (node: MapNode) => MapNode): MapNode {
  const entry = find(node, key);
  if (entry?.value.kind !== "list") return node;
  const list = entry.value;
  const items = list.items.map((item) => (item.kind === "map" ? convert(item) : item));
  if (items.every((item, index) => item === list.items[index])) return node;
  return replace(node, entry, { ...entry, value: { ...list, items } });
}
