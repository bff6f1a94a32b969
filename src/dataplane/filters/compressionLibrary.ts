// Envoy's compression libraries, as Node has them. After each part of a response all of it is sent on: a stream of events must not wait.

import { constants, createBrotliCompress, createGzip, createZstdCompress, type ZstdOptions } from "node:zlib";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { BrotliSchema } from "../../gen/envoy/envoy/extensions/compression/brotli/compressor/v3/brotli_pb.js";
import { GzipSchema } from "../../gen/envoy/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.js";
import { ZstdSchema } from "../../gen/envoy/envoy/extensions/compression/zstd/compressor/v3/zstd_pb.js";
import type { Coder } from "./compressedBody.ts";

interface Library {
  readonly encoding: string;
  readonly open: () => Coder;
}

/** Undefined for one that is not executed. */
export function compileLibrary(any: Any): Library | undefined {
  const gzip = anyUnpack(any, GzipSchema);
  if (gzip !== undefined) {
    const options = {
      level: gzip.compressionLevel === 0 ? constants.Z_DEFAULT_COMPRESSION : gzip.compressionLevel,
      memLevel: gzip.memoryLevel ?? 5,
      windowBits: gzip.windowBits ?? 12,
      strategy: gzip.compressionStrategy,
      flush: constants.Z_SYNC_FLUSH,
    };
    return { encoding: "gzip", open: () => createGzip(options) };
  }
  const brotli = anyUnpack(any, BrotliSchema);
  if (brotli !== undefined) {
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: brotli.quality ?? 3,
      [constants.BROTLI_PARAM_LGWIN]: brotli.windowBits ?? 18,
      [constants.BROTLI_PARAM_LGBLOCK]: brotli.inputBlockBits ?? 24,
      [constants.BROTLI_PARAM_MODE]: [0, 0, 1, 2][brotli.encoderMode] ?? 0,
      [constants.BROTLI_PARAM_DISABLE_LITERAL_CONTEXT_MODELING]: brotli.disableLiteralContextModeling,
    };
    return { encoding: "br", open: () => createBrotliCompress({ params, flush: constants.BROTLI_OPERATION_FLUSH }) };
  }
  const zstd = anyUnpack(any, ZstdSchema);
  if (zstd !== undefined && zstd.dictionary === undefined) {
    const params = {
      [constants.ZSTD_c_compressionLevel]: zstd.compressionLevel ?? 3,
      [constants.ZSTD_c_checksumFlag]: zstd.enableChecksum,
      ...(zstd.strategy > 0 && { [constants.ZSTD_c_strategy]: zstd.strategy }),
    };
    const options: ZstdOptions = { params, flush: constants.ZSTD_e_flush };
    return { encoding: "zstd", open: () => createZstdCompress(options) };
  }
  return undefined;
}
