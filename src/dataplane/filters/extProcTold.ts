// Messages to a processor, with what goes along: attributes once for each side, metadata each time, and with the first what it may expect.

import { create, type JsonObject, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ProcessingRequestSchema } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import type { Exchange } from "../exchange/exchange.ts";
import type { Processing } from "./extProcConfig.ts";
import type { Side } from "./extProcSide.ts";

type Init = MessageInitShape<typeof ProcessingRequestSchema>;
export type Part = Init["request"];

/** As Envoy calls it, whatever the filter is called. */
const namespace = "envoy.filters.http.ext_proc";

export class Messages {
  readonly #processing: Processing;
  readonly #exchange: Exchange;
  readonly #toldAttributes = new Set<Side>();
  #isFirst = true;

  constructor(processing: Processing, exchange: Exchange) {
    this.#processing = processing;
    this.#exchange = exchange;
  }

  about(side: Side, request: Part): Uint8Array {
    const { onlyObserves, forwardedMetadata } = this.#processing;
    const message = create(ProcessingRequestSchema, {
      request,
      observabilityMode: onlyObserves,
      metadataContext: { filterMetadata: this.#metadata(forwardedMetadata) },
      attributes: this.#attributes(side),
      ...(this.#isFirst && !onlyObserves && { protocolConfig: this.#protocol() }),
    } as Init);
    this.#isFirst = false;
    return toBinary(ProcessingRequestSchema, message);
  }

  #protocol() {
    const { modes, sendsBodyEarly } = this.#processing;
    return {
      requestBodyMode: modes.message?.requestBodyMode ?? 0,
      responseBodyMode: modes.message?.responseBodyMode ?? 0,
      sendBodyWithoutWaitingForHeaderResponse: sendsBodyEarly,
    };
  }

  #attributes(side: Side): { [key: string]: JsonObject } {
    const { requestAttributes, responseAttributes } = this.#processing;
    const attributes = side.port.isRequest ? requestAttributes : responseAttributes;
    if (attributes === undefined || this.#toldAttributes.has(side)) return {};
    this.#toldAttributes.add(side);
    return { [namespace]: attributes(this.#exchange) };
  }

  #metadata(namespaces: readonly string[]): { [key: string]: JsonObject } {
    const { dynamicMetadata } = this.#exchange;
    const found: { [key: string]: JsonObject } = {};
    for (const name of namespaces)
      if (dynamicMetadata !== undefined && Object.hasOwn(dynamicMetadata, name)) found[name] = dynamicMetadata[name] as JsonObject;
    return found;
  }
}
