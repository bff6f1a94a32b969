// The answer that a client gets in the place of what was to go on: one that the processor gives, or one for what went wrong.

import type { ImmediateResponse } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import { fail, reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Headers } from "../http1/headers.ts";
import type { Processing } from "./extProcConfig.ts";
import { mutateView, PlainHeaders } from "./extProcHeaders.ts";
import type { Side } from "./extProcSide.ts";

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly details: string;
  readonly options?: Parameters<typeof reply>[5];
}

/** @param onRejected for each header that may not be set */
export function immediateAnswer(
  { status, headers, body, grpcStatus: grpc, details }: ImmediateResponse,
  rules: Processing["rules"],
  onRejected: () => void,
): Answer {
  const code = status?.code ?? 0;
  const change = (list: Headers) => {
    if (headers !== undefined) mutateView(new PlainHeaders(list), headers, rules, {}, { rejected: onRejected });
  };
  return {
    status: code >= 200 && code <= 599 ? code : 200,
    body: Buffer.from(body).toString("latin1"),
    details: details.replaceAll(/\s/g, "_"),
    options: { change, ...(grpc && { grpcStatus: grpc.status }) },
  };
}

/** @param response undefined: there is none yet */
export function answerInstead(exchange: Exchange, response: Side | undefined, { status, body, details, options = {} }: Answer): void {
  if (response === undefined) {
    if (exchange.headSent) fail(exchange, status, body, "", details);
    else reply(exchange, status, body, "", details, options);
  } else if (response.headIsGone) {
    exchange.responseDetails = details;
    fail(exchange, status, body, exchange.responseFlags, details);
  } else {
    // Nothing of it was sent: this is the answer instead, and no filter's.
    exchange.headSent = false;
    reply(exchange, status, body, "", details, { ...options, isUnfiltered: true });
  }
}
