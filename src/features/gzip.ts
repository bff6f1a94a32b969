// `gzip` of a listener: responses are compressed for clients that ask for it.
import { packAny } from "../envoy/encode.ts";
import { GzipSchema, Gzip_CompressionLevel as Level } from "../gen/envoy/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.js";
import { CompressorSchema } from "../gen/envoy/envoy/extensions/filters/http/compressor/v3/compressor_pb.js";
import { Gzip_CompressionLevel_Enum as GlooLevel } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/config/filter/http/gzip/v2/gzip_pb.js";
import type { Feature, ListenerContext } from "../plugin/feature.ts";

const levels: Readonly<Record<number, Level>> = {
  [GlooLevel.DEFAULT]: Level.DEFAULT_COMPRESSION,
  [GlooLevel.BEST]: Level.COMPRESSION_LEVEL_9,
  [GlooLevel.SPEED]: Level.COMPRESSION_LEVEL_1,
};

export const gzip: Feature = {
  name: "gzip",
  fields: { http: ["gzip"] },
  httpFilters(options, context) {
    const wanted = options?.gzip;
    if (wanted === undefined) return [];
    inRange("memoryLevel", "MemoryLevel", wanted.memoryLevel, 1, 9, context);
    inRange("windowBits", "WindowBits", wanted.windowBits, 9, 15, context);
    const level = levels[wanted.compressionLevel];
    if (level === undefined) context.refuse("gzip.compressionLevel", `invalid CompressionLevel ${wanted.compressionLevel}`);
    const library = packAny(GzipSchema, {
      ...(wanted.memoryLevel !== undefined && { memoryLevel: wanted.memoryLevel }),
      ...(wanted.windowBits !== undefined && { windowBits: wanted.windowBits }),
      compressionLevel: level ?? Level.DEFAULT_COMPRESSION,
      compressionStrategy: wanted.compressionStrategy as number,
    });
    const value = packAny(CompressorSchema, {
      ...(wanted.contentLength !== undefined && { contentLength: wanted.contentLength }),
      contentType: [...wanted.contentType],
      disableOnEtagHeader: wanted.disableOnEtagHeader,
      removeAcceptEncodingHeader: wanted.removeAcceptEncodingHeader,
      compressorLibrary: { name: "envoy.compression.gzip.compressor", typedConfig: library },
    });
    const filter = { name: "envoy.filters.http.compressor", configType: { case: "typedConfig" as const, value } };
    return [{ place: { stage: "fault" }, filter }];
  },
};

function inRange(field: string, name: string, value: number | undefined, least: number, most: number, { refuse }: ListenerContext): void {
  if (value === undefined || (value >= least && value <= most)) return;
  refuse(`gzip.${field}`, `converting gzip config: invalid Gzip.${name}: value must be inside range [${least}, ${most}]`);
}
