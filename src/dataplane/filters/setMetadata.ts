// Metadata that filters which come after it find, as it is written.

import type { JsonObject } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ConfigSchema } from "../../gen/envoy/envoy/extensions/filters/http/set_metadata/v3/set_metadata_pb.js";
import { type HandledFields, unhandledFields } from "../fields.ts";
import type { HttpFilter, Verdict } from "./http-filter.ts";

const type = "envoy.extensions.filters.http.set_metadata.v3.Config";

interface Metadata {
  readonly namespace: string;
  readonly value: JsonObject;
  readonly overwrites: boolean;
}

const handled: HandledFields = {
  [type]: ["metadata"],
  "envoy.extensions.filters.http.set_metadata.v3.Metadata": ["metadata_namespace", "value", "allow_overwrite"],
};

export const setMetadata: HttpFilter<readonly Metadata[], undefined> = {
  configType: type,
  routeType: type,
  compile(any, findings) {
    const message = anyUnpack(any, ConfigSchema);
    if (message === undefined) throw new Error("is no configuration of set_metadata");
    for (const path of unhandledFields(ConfigSchema, message, handled)) findings.notExecuted(path);
    return message.metadata.flatMap(({ metadataNamespace, value, allowOverwrite }) =>
      value === undefined ? [] : [{ namespace: metadataNamespace, value, overwrites: allowOverwrite }],
    );
  },
  compileRoute(_, findings) {
    findings.notExecuted("");
    return undefined;
  },
  begin: (config) =>
    config && {
      onRequest(exchange): Verdict {
        for (const { namespace, value, overwrites } of config) {
          const known = exchange.dynamicMetadata?.[namespace];
          // Envoy puts both together, and so much is not needed here.
          if (known === undefined || overwrites)
            exchange.dynamicMetadata = { ...exchange.dynamicMetadata, [namespace]: { ...known, ...value } };
        }
        return "next";
      },
    },
};
