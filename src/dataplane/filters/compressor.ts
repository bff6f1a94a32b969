// Responses are compressed for clients that ask for it, as they pass.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  type Compressor as CompressorMessage,
  CompressorPerRouteSchema,
  CompressorSchema,
} from "../../gen/envoy/envoy/extensions/filters/http/compressor/v3/compressor_pb.js";
import type { Findings } from "../compile/findings.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { type HandledFields, unhandledFields } from "../fields.ts";
import { hasHeader, headerValue, removeHeader, setHeader } from "../http1/headers.ts";
import { chooseEncoding, type Offer } from "./acceptEncoding.ts";
import { type Coder, CompressedBody } from "./compressedBody.ts";
import { compileLibrary } from "./compressionLibrary.ts";
import type { BodyChange, FilteredResponse, FilterRun, HttpFilter } from "./http-filter.ts";

interface Compressor extends Offer {
  readonly isEnabled: boolean;
  readonly fewestBytes: number;
  /** In lower case. */
  readonly types: ReadonlySet<string>;
  readonly leavesTagged: boolean;
  readonly weakensTags: boolean;
  readonly hidesAccept: boolean;
  readonly leavesStatuses: readonly number[];
  readonly open: () => Coder;
}

interface RouteSettings {
  readonly isDisabled: boolean;
  readonly hidesAccept: boolean | undefined;
}

export const compressor: HttpFilter<Compressor, RouteSettings> = {
  configType: "envoy.extensions.filters.http.compressor.v3.Compressor",
  routeType: "envoy.extensions.filters.http.compressor.v3.CompressorPerRoute",
  compile: compileCompressor,
  compileRoute(any, findings) {
    const message = anyUnpack(any, CompressorPerRouteSchema);
    if (message === undefined) throw new Error("is no CompressorPerRoute");
    const { override } = message;
    if (override.case !== "overrides") return { isDisabled: override.case === "disabled" && override.value, hidesAccept: undefined };
    if (override.value.compressorLibrary !== undefined) findings.notExecuted("overrides.compressor_library");
    return { isDisabled: false, hidesAccept: override.value.responseDirectionConfig?.removeAcceptEncodingHeader };
  },
  begin(config, [route], exchange) {
    if (config === undefined) return undefined;
    // Overrides switch it on.
    const isOff = route === undefined ? !config.isEnabled : route.isDisabled;
    if (isOff) return undefined;
    const offers = exchange.hcm.filters.filter(({ filter }) => filter === compressor).map((each) => each.config as Compressor);
    return new CompressorRun(config, offers, route?.hidesAccept ?? config.hidesAccept);
  },
};

class CompressorRun implements FilterRun {
  readonly #config: Compressor;
  readonly #offers: readonly Compressor[];
  readonly #hidesAccept: boolean;
  #accepted: string | undefined;
  #body: CompressedBody | undefined;

  /** @param offers of all compressors of the connection manager, of which the client's best is taken */
  constructor(config: Compressor, offers: readonly Compressor[], hidesAccept: boolean) {
    this.#config = config;
    this.#offers = offers;
    this.#hidesAccept = hidesAccept;
  }

  onRequest(exchange: Exchange): "next" {
    this.#accepted = headerValue(exchange.headers, "accept-encoding");
    if (this.#hidesAccept) removeHeader(exchange.headers, "accept-encoding");
    return "next";
  }

  onResponse(exchange: Exchange, response: FilteredResponse): BodyChange | undefined {
    const { headers } = response;
    if (exchange.isTunnel || !mayCompress(this.#config, response)) return undefined;
    const type = typeOf(response);
    const isChosen = this.#accepted !== undefined && chooseEncoding(this.#accepted, this.#offersFor(type)) === this.#config.encoding;
    let change: BodyChange | undefined;
    if (isChosen && !response.hasNoBody) {
      this.#tag(headers);
      response.contentLength = -1;
      setHeader(headers, "content-encoding", this.#config.encoding);
      const into: Extract<BodyChange, { kind: "passing" }>["into"] = (next) => {
        this.#body = new CompressedBody(exchange, this.#config.open(), next);
        return this.#body;
      };
      change = { kind: "passing", into };
    }
    // Also where this client gets it plain: another may not.
    varyByEncoding(headers);
    return change;
  }

  #offersFor(type: string | undefined): readonly Offer[] {
    return type === undefined || type === "" ? this.#offers : this.#offers.filter(({ types }) => types.has(type));
  }

  /** A strong tag is of the bytes that were, not of those that are sent. */
  #tag(headers: string[]): void {
    const tag = headerValue(headers, "etag");
    if (tag === undefined || tag.length <= 2 || /^w\//i.test(tag)) return;
    if (this.#config.weakensTags) setHeader(headers, "etag", `W/${tag}`);
    else removeHeader(headers, "etag");
  }

  onEnd(): void {
    this.#body?.close();
  }
}

function mayCompress(config: Compressor, response: FilteredResponse): boolean {
  const { headers, contentLength, status } = response;
  if (contentLength >= 0 && contentLength < config.fewestBytes) return false;
  const type = typeOf(response);
  if (type !== undefined && !config.types.has(type)) return false;
  if (config.leavesStatuses.includes(status)) return false;
  if (config.leavesTagged && hasHeader(headers, "etag")) return false;
  return !hasHeader(headers, "content-encoding") && !forbidsTransforming(headers);
}

function typeOf({ headers }: FilteredResponse): string | undefined {
  return headerValue(headers, "content-type")?.split(";", 1)[0]?.trim().toLowerCase();
}

function forbidsTransforming(headers: string[]): boolean {
  const control = headerValue(headers, "cache-control");
  return control?.split(",").some((each) => each.trim().toLowerCase() === "no-transform") ?? false;
}

function varyByEncoding(headers: string[]): void {
  const vary = headerValue(headers, "vary");
  if (vary === undefined) headers.push("vary", "Accept-Encoding");
  else if (!vary.split(",").some((each) => each.trim() === "Accept-Encoding")) setHeader(headers, "vary", `${vary}, Accept-Encoding`);
}

const handled: HandledFields = {
  "envoy.extensions.filters.http.compressor.v3.Compressor": [
    "content_length",
    "content_type",
    "disable_on_etag_header",
    "remove_accept_encoding_header",
    "runtime_enabled",
    "compressor_library",
    "response_direction_config",
    "choose_first",
  ],
  "envoy.extensions.filters.http.compressor.v3.Compressor.ResponseDirectionConfig": [
    "common_config",
    "disable_on_etag_header",
    "weaken_etag_on_compress",
    "remove_accept_encoding_header",
    "uncompressible_response_codes",
  ],
  "envoy.extensions.filters.http.compressor.v3.Compressor.CommonDirectionConfig": ["enabled", "min_content_length", "content_type"],
};

const defaultTypes = [
  "application/ecmascript",
  "application/javascript",
  "application/json",
  "application/x-javascript",
  "application/x-json",
  "application/xhtml+xml",
  "application/xml",
  "image/svg+xml",
  "text/css",
  "text/ecmascript",
  "text/html",
  "text/javascript",
  "text/js",
  "text/jscript",
  "text/plain",
  "text/x-javascript",
  "text/x-js",
  "text/xml",
];

const defaultFewestBytes = 30;

/** Undefined: its library is not executed, and responses go on as they are. */
function compileCompressor(any: Any, findings: Findings): Compressor | undefined {
  const message = anyUnpack(any, CompressorSchema);
  if (message === undefined) throw new Error("is no Compressor");
  for (const path of unhandledFields(CompressorSchema, message, handled)) findings.notExecuted(path);
  const library = message.compressorLibrary?.typedConfig && compileLibrary(message.compressorLibrary.typedConfig);
  if (library === undefined) {
    findings.notExecuted("compressor_library", "; nothing is compressed");
    return undefined;
  }
  const { types, fewestBytes, ...settings } = settingsOf(message);
  return {
    ...library,
    ...settings,
    isFirst: message.chooseFirst,
    types: new Set((types.length > 0 ? types : defaultTypes).map((each) => each.toLowerCase())),
    fewestBytes: fewestBytes ?? defaultFewestBytes,
  };
}

/** Of the response, or in the fields that were before there were directions. */
function settingsOf(message: CompressorMessage) {
  const response = message.responseDirectionConfig;
  if (response === undefined) {
    return {
      isEnabled: message.runtimeEnabled?.defaultValue ?? true,
      types: message.contentType,
      fewestBytes: message.contentLength,
      leavesTagged: message.disableOnEtagHeader,
      weakensTags: false,
      hidesAccept: message.removeAcceptEncodingHeader,
      leavesStatuses: [],
    };
  }
  return {
    isEnabled: response.commonConfig?.enabled?.defaultValue ?? true,
    types: response.commonConfig?.contentType ?? [],
    fewestBytes: response.commonConfig?.minContentLength,
    leavesTagged: response.disableOnEtagHeader,
    weakensTags: response.weakenEtagOnCompress,
    hidesAccept: response.removeAcceptEncodingHeader,
    leavesStatuses: response.uncompressibleResponseCodes,
  };
}
