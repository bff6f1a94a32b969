// Node's HTTP/2, loaded when the first connection needs it: a gateway that speaks only HTTP/1.1 starts without it.

import type * as Http2 from "node:http2";

let loaded: typeof Http2 | undefined;

export function nodeHttp2(): typeof Http2 {
  loaded ??= process.getBuiltinModule("node:http2");
  return loaded;
}

/** Error codes (RFC 9113 §7), those that are used here. */
export const errorCodes = { noError: 0, protocolError: 1, internalError: 2, refusedStream: 7, cancel: 8, enhanceYourCalm: 11 } as const;

/** Set in the flags of a HEADERS frame that nothing follows. */
export const endStreamFlag = 1;
