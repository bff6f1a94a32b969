// A server of the user's own, by its address: Envoy itself asks it, as it asks the server of `customAuth`, with a filter and a cluster for each.
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { packAny, sortedMap } from "../../envoy/encode.ts";
import { headerValueFault } from "../../envoy/header-format.ts";
import { ApiVersion } from "../../gen/envoy/envoy/config/core/v3/config_source_pb.js";
import { ExtAuthzSchema } from "../../gen/envoy/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { ConfigSchema as SetMetadataSchema } from "../../gen/envoy/envoy/extensions/filters/http/set_metadata/v3/set_metadata_pb.js";
import type {
  PassThroughAuth,
  PassThroughGrpc,
  PassThroughHttp,
} from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import { formatRef } from "../../model/ref.ts";
import { isHeaderName } from "../../plugin/claimHeaders.ts";
import type { AuthConfigFault, OptionContext } from "../../plugin/feature.ts";
import { tokenNamespace } from "../../plugin/tokenChecks.ts";
import { type CheckKind, type Filter, faultAt, type Written } from "./check-kind.ts";
import { addressOf, serverName, urlOf } from "./servers.ts";

type AuthzInit = MessageInitShape<typeof ExtAuthzSchema>;
type Names = NonNullable<AuthzInit["allowedHeaders"]>;

/** Where a server of Gloo's users finds `config`. */
const configNamespace = "solo.auth.passthrough";

export const passThrough: CheckKind<PassThroughAuth> = {
  fault({ protocol, config }) {
    switch (protocol.case) {
      case "grpc":
        if (addressOf(protocol.value.address)) return undefined;
        return faultAt("grpc.address", `${JSON.stringify(protocol.value.address)} is no address`, "write host:port");
      case "http":
        return httpFault(protocol.value, config);
      default:
        return faultAt("", "no server is named", "add grpc: {address: host:port} or http: {url: …}");
    }
  },
  count: ({ protocol, config }) => (protocol.case === "grpc" && config ? 2 : 1),
  filters(spec, written, context) {
    const { protocol, failureModeAllow, config } = spec;
    const cluster = serverName(written.ref, written.at);
    const services = protocol.case === "http" ? askHttp(protocol.value, cluster) : askGrpc(protocol.value as PassThroughGrpc, cluster);
    if (protocol.case === "grpc" && protocol.value.retryPolicy)
      told("grpc.retryPolicy has no effect: the server is asked once", written, context);
    const authz: AuthzInit = {
      ...services,
      failureModeAllow,
      transportApiVersion: ApiVersion.V3,
      ...(protocol.case === "grpc" && { metadataContextNamespaces: [tokenNamespace, ...(config ? [configNamespace] : [])] }),
    };
    const asked = packAny(ExtAuthzSchema, authz);
    return protocol.case === "grpc" && config ? [withConfig(config), asked] : [asked];
  },
  server({ protocol }) {
    if (protocol.case === "grpc") {
      const address = addressOf(protocol.value.address);
      const { tlsConfig } = protocol.value;
      return address && { ...address, speaks: "grpc", ...(tlsConfig && { tls: tlsConfig }) };
    }
    if (protocol.case !== "http") return undefined;
    const { url, tlsConfig, connectionPool } = protocol.value;
    const found = urlOf(url);
    if (found === undefined) return undefined;
    const { host, port, isTls } = found;
    return {
      host,
      port,
      speaks: "http",
      ...(isTls && { tls: tlsConfig ?? {} }),
      ...(connectionPool && { mostConnections: connectionPool.maxConns, idleTimeout: connectionPool.idleTimeout }),
    };
  },
  // Which headers tell Upstreams something is the server's to say, and whoever asks it: as with customAuth, clients may send them too.
  tells: () => [],
};

function httpFault({ url, tlsConfig, request, response }: PassThroughHttp, config: JsonObject | undefined): AuthConfigFault | undefined {
  const found = urlOf(url);
  if (found === undefined) return faultAt("http.url", `${JSON.stringify(url)} is no URL`, "write http://host:port/path or https://…");
  if (tlsConfig && !found.isTls) return faultAt("http.tlsConfig", "the url is one of http", "write https");
  if (config) return faultAt("config", "it is told to servers of grpc only", "put it into http.request.headersToAdd");
  const unknown = (field: string) => faultAt(field, "it is not known to Envoy", "name the server in extauthzServerRef, and use customAuth");
  if (request?.passThroughState) return unknown("http.request.passThroughState");
  if (request?.passThroughFilterMetadata)
    return faultAt(
      "http.request.passThroughFilterMetadata",
      "servers of http are told headers",
      "ask by grpc, or add claims as headers with claimsToHeaders",
    );
  if (request?.passThroughBody)
    return faultAt(
      "http.request.passThroughBody",
      "bodies are told to the one server of a listener",
      "name it in extauthzServerRef with requestBody, and use customAuth",
    );
  if (response?.readStateFromResponse) return unknown("http.response.readStateFromResponse");
  return headerFault(request, response);
}

function headerFault(request: PassThroughHttp["request"], response: PassThroughHttp["response"]): AuthConfigFault | undefined {
  const lists: Readonly<Record<string, readonly string[]>> = {
    "request.allowedHeaders": request?.allowedHeaders ?? [],
    "request.headersToAdd": Object.keys(request?.headersToAdd ?? {}),
    "response.allowedUpstreamHeaders": response?.allowedUpstreamHeaders ?? [],
    "response.allowedUpstreamHeadersToOverwrite": response?.allowedUpstreamHeadersToOverwrite ?? [],
    "response.allowedClientHeadersOnDenied": response?.allowedClientHeadersOnDenied ?? [],
    "response.allowedClientHeadersOnSuccess": response?.allowedClientHeadersOnSuccess ?? [],
  };
  for (const [field, names] of Object.entries(lists)) {
    const wrong = names.find((name) => !isHeaderName(name));
    if (wrong !== undefined) return faultAt(`http.${field}`, `${JSON.stringify(wrong)} is no name of a header`, "write one as in x-user");
  }
  const added = Object.entries(request?.headersToAdd ?? {});
  const [broken] = added.find(([, value]) => headerValueFault(value.replaceAll("%", "%%"))) ?? [];
  if (broken !== undefined)
    return faultAt("http.request.headersToAdd", `the value of ${broken} has a line break or NUL`, "write it on one line");
  if (added.some(([name]) => name.toLowerCase() === "host"))
    return faultAt("http.request.headersToAdd", "the server gets the host of the request", "leave host out");
  return undefined;
}

type Services = Pick<AuthzInit, "services" | "allowedHeaders" | "disallowedHeaders">;

const usualTimeout = { seconds: 5n, nanos: 0 };

function askGrpc({ address, connectionTimeout }: PassThroughGrpc, clusterName: string): Services {
  const timeout = connectionTimeout ?? usualTimeout;
  // Otherwise it would be the name of the cluster, which servers take for no host.
  const target = { clusterName, authority: address };
  return { services: { case: "grpcService", value: { timeout, targetSpecifier: { case: "envoyGrpc", value: target } } } };
}

function askHttp({ url, request, response, connectionTimeout, responseHeaderTimeout }: PassThroughHttp, cluster: string): Services {
  const whole = connectionTimeout ?? usualTimeout;
  // Envoy knows the time of the whole answer: one that is late with its head is late.
  const timeout = responseHeaderTimeout && isShorter(responseHeaderTimeout, whole) ? responseHeaderTimeout : whole;
  const { allowedHeaders = [], headersToAdd = {} } = request ?? {};
  const asksForToken = allowedHeaders.some((name) => name.toLowerCase() === "authorization");
  const { allowedUpstreamHeaders = [], allowedUpstreamHeadersToOverwrite = [], allowedClientHeadersOnSuccess = [] } = response ?? {};
  const { allowedClientHeadersOnDenied = [] } = response ?? {};
  return {
    // Envoy sends the token in any case, but for this; where it is not asked for it is nobody else's.
    ...(!asksForToken && { disallowedHeaders: namesOf(["authorization"]) }),
    services: {
      case: "httpService",
      value: {
        serverUri: { uri: url, httpUpstreamType: { case: "cluster", value: cluster }, timeout },
        pathOverride: urlOf(url)?.path ?? "/",
        authorizationRequest: {
          ...(allowedHeaders.length > 0 && { allowedHeaders: namesOf(allowedHeaders) }),
          headersToAdd: Object.entries(sortedMap(headersToAdd)).map(([key, value]) => ({
            key,
            // A percent sign would begin a command of Envoy.
            value: value.replaceAll("%", "%%"),
          })),
        },
        authorizationResponse: {
          ...(allowedUpstreamHeaders.length > 0 && { allowedUpstreamHeadersToAppend: namesOf(allowedUpstreamHeaders) }),
          ...(allowedUpstreamHeadersToOverwrite.length > 0 && { allowedUpstreamHeaders: namesOf(allowedUpstreamHeadersToOverwrite) }),
          // Without a list, Envoy shows clients all of them; no header has this name.
          allowedClientHeaders: namesOf(allowedClientHeadersOnDenied.length > 0 ? allowedClientHeadersOnDenied : [" "]),
          ...(allowedClientHeadersOnSuccess.length > 0 && { allowedClientHeadersOnSuccess: namesOf(allowedClientHeadersOnSuccess) }),
        },
      },
    },
  };
}

function namesOf(names: readonly string[]): Names {
  return { patterns: names.map((value) => ({ matchPattern: { case: "exact", value }, ignoreCase: true })) };
}

type Time = { readonly seconds: bigint; readonly nanos: number };

function isShorter(a: Time, b: Time): boolean {
  return a.seconds === b.seconds ? a.nanos < b.nanos : a.seconds < b.seconds;
}

/** Servers read it from the metadata that they are told with the request. */
function withConfig(config: JsonObject): Filter {
  // Objects are merged with what an earlier server was told; another type takes its place.
  const set = (value: JsonObject) => ({ metadataNamespace: configNamespace, value, allowOverwrite: true });
  return packAny(SetMetadataSchema, { metadata: [set({ config: null }), set({ config })] });
}

function told(what: string, { ref, at }: Written, { warn }: Pick<OptionContext, "warn">): void {
  warn("extauth.configRef", `AuthConfig ${formatRef(ref)} configs[${at}].passThroughAuth: ${what}`, {
    reason: "OptionNotSupported",
    elsewhere: true,
  });
}
