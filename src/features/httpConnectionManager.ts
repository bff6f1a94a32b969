// `httpConnectionManagerSettings` of a listener: limits, timeouts, addresses, paths, codecs, upgrades.
import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import type { Http1ProtocolOptionsSchema } from "../gen/envoy/envoy/config/core/v3/protocol_pb.js";
import type { HttpConnectionManager_UpgradeConfigSchema } from "../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { HeaderMutationSchema } from "../gen/envoy/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation_pb.js";
import { PreserveCaseFormatterConfigSchema } from "../gen/envoy/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js";
import { UuidRequestIdConfigSchema } from "../gen/envoy/envoy/extensions/request_id/uuid/v3/uuid_pb.js";
import {
  HttpConnectionManagerSettings_ForwardClientCertDetails as ForwardClientCert,
  type HttpConnectionManagerSettings,
} from "../gen/gloo/gloo/projects/gloo/api/v1/options/hcm/hcm_pb.js";
import type { EarlyHeaderManipulation } from "../gen/gloo/gloo/projects/gloo/api/v1/options/headers/headers_pb.js";
import { addedHeaders } from "../plugin/addedHeaders.ts";
import type { ConnectionManagerDraft, Feature, ListenerContext } from "../plugin/feature.ts";

export const httpConnectionManager: Feature = {
  name: "httpConnectionManagerSettings",
  glooName: "hcm",
  fields: { http: ["httpConnectionManagerSettings", "headerValidationSettings"] },
  connectionManager(manager, options, context) {
    const settings = options?.httpConnectionManagerSettings;
    const validation = options?.headerValidationSettings?.headerMethodValidation.case;
    const draft: ConnectionManagerDraft = {
      ...manager,
      // Gloo's defaults, where Envoy's are none.
      normalizePath: settings?.normalizePath ?? true,
      upgradeConfigs: upgrades(settings, context),
      ...(settings && settingsOf(settings, context)),
    };
    if (validation !== "disableHttp1MethodValidation") return draft;
    return {
      ...draft,
      httpProtocolOptions: { ...draft.httpProtocolOptions, allowCustomMethods: true } as ConnectionManagerDraft["httpProtocolOptions"],
    };
  },
};

function settingsOf(settings: HttpConnectionManagerSettings, context: ListenerContext): Partial<ConnectionManagerDraft> {
  const {
    skipXffAppend,
    via,
    xffNumTrustedHops,
    useRemoteAddress,
    generateRequestId,
    proxy100Continue,
    streamIdleTimeout,
    maxRequestHeadersKb,
    requestTimeout,
    requestHeadersTimeout,
    drainTimeout,
    delayedCloseTimeout,
    serverName,
    stripAnyHostPort,
    preserveExternalRequestId,
    mergeSlashes,
    appendXForwardedPort,
    uuidRequestIdConfig,
    internalAddressConfig,
    earlyHeaderManipulation,
  } = settings;
  return {
    codecType: settings.codecType as number,
    serverHeaderTransformation: settings.serverHeaderTransformation as number,
    pathWithEscapedSlashesAction: settings.pathWithEscapedSlashesAction as number,
    ...clientCertDetails(settings),
    ...(skipXffAppend && { skipXffAppend }),
    ...(via !== undefined && { via }),
    ...(xffNumTrustedHops !== undefined && { xffNumTrustedHops }),
    ...(useRemoteAddress !== undefined && { useRemoteAddress }),
    ...(generateRequestId !== undefined && { generateRequestId }),
    ...(proxy100Continue && { proxy100Continue }),
    ...(streamIdleTimeout && { streamIdleTimeout }),
    ...(maxRequestHeadersKb !== undefined && { maxRequestHeadersKb }),
    ...(requestTimeout && { requestTimeout }),
    ...(requestHeadersTimeout && { requestHeadersTimeout }),
    ...(drainTimeout && { drainTimeout }),
    ...(delayedCloseTimeout && { delayedCloseTimeout }),
    ...(serverName !== undefined && { serverName }),
    ...(stripAnyHostPort && { stripPortMode: { case: "stripAnyHostPort", value: true } }),
    ...(preserveExternalRequestId && { preserveExternalRequestId }),
    ...(mergeSlashes && { mergeSlashes }),
    ...(appendXForwardedPort && { appendXForwardedPort }),
    ...commonProtocolOptions(settings),
    ...http1Options(settings),
    ...http2Options(settings, context),
    ...(uuidRequestIdConfig && {
      requestIdExtension: {
        typedConfig: packAny(UuidRequestIdConfigSchema, {
          ...(uuidRequestIdConfig.packTraceReason !== undefined && { packTraceReason: uuidRequestIdConfig.packTraceReason }),
          ...(uuidRequestIdConfig.useRequestIdForTraceSampling !== undefined && {
            useRequestIdForTraceSampling: uuidRequestIdConfig.useRequestIdForTraceSampling,
          }),
        }),
      },
    }),
    ...(internalAddressConfig && {
      internalAddressConfig: {
        unixSockets: internalAddressConfig.unixSockets ?? false,
        cidrRanges: internalAddressConfig.cidrRanges.map(({ addressPrefix, prefixLen }) => ({
          addressPrefix,
          ...(prefixLen !== undefined && { prefixLen }),
        })),
      },
    }),
    ...(earlyHeaderManipulation && earlyMutations(earlyHeaderManipulation, context)),
  };
}

/** Headers that are changed before a route is chosen. */
function earlyMutations(
  { headersToAdd, headersToRemove }: EarlyHeaderManipulation,
  context: ListenerContext,
): Partial<ConnectionManagerDraft> {
  const field = "httpConnectionManagerSettings.earlyHeaderManipulation";
  const refuse: ListenerContext["refuse"] = (at, message, { reason: _, costs: __, ...details } = {}) =>
    context.refuse(at, message, details);
  const mutations = [
    ...headersToAdd.flatMap((each, i) =>
      addedHeaders(each, `${field}.headersToAdd[${i}]`, { world: context.world, refuse }).map((value) => ({
        action: { case: "append" as const, value },
      })),
    ),
    ...headersToRemove.map((value) => ({ action: { case: "remove" as const, value } })),
  ];
  // Envoy refuses an extension that changes nothing.
  if (mutations.length === 0) return {};
  return {
    earlyHeaderMutationExtensions: [
      { name: "http.early_header_mutation.header_mutation", typedConfig: packAny(HeaderMutationSchema, { mutations }) },
    ],
  };
}

function commonProtocolOptions(settings: HttpConnectionManagerSettings): Partial<ConnectionManagerDraft> {
  const { idleTimeout, maxConnectionDuration, maxStreamDuration, maxHeadersCount, maxRequestsPerConnection, headersWithUnderscoresAction } =
    settings;
  const common = {
    ...(idleTimeout && { idleTimeout }),
    ...(maxConnectionDuration && { maxConnectionDuration }),
    ...(maxStreamDuration && { maxStreamDuration }),
    ...(maxHeadersCount !== undefined && { maxHeadersCount }),
    ...(maxRequestsPerConnection !== undefined && { maxRequestsPerConnection }),
    ...((headersWithUnderscoresAction as number) !== 0 && { headersWithUnderscoresAction: headersWithUnderscoresAction as number }),
  };
  return Object.keys(common).length > 0 ? { commonHttpProtocolOptions: common } : {};
}

type Http1Init = Exclude<MessageInitShape<typeof Http1ProtocolOptionsSchema>, Message>;

function http1Options(settings: HttpConnectionManagerSettings): Partial<ConnectionManagerDraft> {
  const { acceptHttp10, defaultHostForHttp10, allowChunkedLength, enableTrailers, headerFormat } = settings;
  const options: Http1Init = {
    ...(acceptHttp10 && { acceptHttp10: true, defaultHostForHttp10: defaultHostForHttp10 ?? "" }),
    ...(allowChunkedLength && { allowChunkedLength }),
    ...(enableTrailers && { enableTrailers }),
    ...(headerFormat.case === "properCaseHeaderKeyFormat" &&
      headerFormat.value.value && { headerKeyFormat: { headerFormat: { case: "properCaseWords" as const, value: {} } } }),
    ...(headerFormat.case === "preserveCaseHeaderKeyFormat" &&
      headerFormat.value.value && {
        headerKeyFormat: {
          headerFormat: {
            case: "statefulFormatter" as const,
            value: {
              name: "envoy.http.stateful_header_formatters.preserve_case",
              typedConfig: packAny(PreserveCaseFormatterConfigSchema, {}),
            },
          },
        },
      }),
  };
  return Object.keys(options).length > 0 ? { httpProtocolOptions: options } : {};
}

const smallestWindow = 65_535;
const largestWindow = 2_147_483_647;

function http2Options(
  { http2ProtocolOptions }: HttpConnectionManagerSettings,
  { refuse }: ListenerContext,
): Partial<ConnectionManagerDraft> {
  if (http2ProtocolOptions === undefined) return {};
  const { initialStreamWindowSize: stream, initialConnectionWindowSize: connection, maxConcurrentStreams } = http2ProtocolOptions;
  const field = "httpConnectionManagerSettings.http2ProtocolOptions";
  const inRange = (value: number | undefined) => value === undefined || (value >= smallestWindow && value <= largestWindow);
  if (!inRange(stream)) refuse(`${field}.initialStreamWindowSize`, `Invalid Initial Stream Window Size: ${stream}`);
  if (!inRange(connection)) refuse(`${field}.initialConnectionWindowSize`, `Invalid Initial Connection Window Size: ${connection}`);
  if (maxConcurrentStreams !== undefined && (maxConcurrentStreams < 1 || maxConcurrentStreams > largestWindow))
    refuse(`${field}.maxConcurrentStreams`, `Invalid Max Concurrent Streams Size: ${maxConcurrentStreams}`);
  const overrides = http2ProtocolOptions.overrideStreamErrorOnInvalidHttpMessage;
  return {
    http2ProtocolOptions: {
      ...(maxConcurrentStreams !== undefined && { maxConcurrentStreams }),
      ...(stream !== undefined && { initialStreamWindowSize: stream }),
      ...(connection !== undefined && { initialConnectionWindowSize: connection }),
      ...(overrides !== undefined && { overrideStreamErrorOnInvalidHttpMessage: overrides }),
    },
  };
}

function clientCertDetails({ forwardClientCertDetails, setCurrentClientCertDetails: set }: HttpConnectionManagerSettings) {
  const isSet =
    forwardClientCertDetails === ForwardClientCert.APPEND_FORWARD || forwardClientCertDetails === ForwardClientCert.SANITIZE_SET;
  return {
    forwardClientCertDetails: forwardClientCertDetails as number,
    ...(isSet &&
      set && {
        setCurrentClientCertDetails: {
          ...(set.subject !== undefined && { subject: set.subject }),
          cert: set.cert ?? false,
          chain: set.chain ?? false,
          dns: set.dns ?? false,
          uri: set.uri ?? false,
        },
      }),
  };
}

type UpgradeInit = MessageInitShape<typeof HttpConnectionManager_UpgradeConfigSchema>;

/** WebSocket is on unless the user says otherwise. */
function upgrades(settings: HttpConnectionManagerSettings | undefined, { refuse }: ListenerContext): UpgradeInit[] {
  const field = "httpConnectionManagerSettings.upgrades";
  const configs = (settings?.upgrades ?? []).flatMap(({ upgradeType: type }, i): UpgradeInit[] => {
    const enabled = type.value?.enabled;
    const init = { ...(enabled !== undefined && { enabled }) };
    switch (type.case) {
      case "websocket":
        return [{ upgradeType: "websocket", ...init }];
      case "connect":
        return [{ upgradeType: "CONNECT", ...init }];
      case undefined:
        refuse(`${field}[${i}]`, "unimplemented upgrade type: <nil>", { hint: "write websocket: {} or connect: {}" });
        return [];
      default:
        refuse(
          `${field}[${i}]`,
          "connect_terminate is not supported at HCM level; use 'connect' at HCM level and 'connect_terminate' at route level",
        );
        return [];
    }
  });
  const twice = configs.find(({ upgradeType }, i) => configs.findIndex((other) => other.upgradeType === upgradeType) < i);
  if (twice) refuse(field, `upgrade config ${twice.upgradeType} is not unique`);
  return configs.some(({ upgradeType }) => upgradeType === "websocket") ? configs : [...configs, { upgradeType: "websocket" }];
}
