// What the parts of external processing want of each other: sides (extProcSide.ts) of the messages that they stand for, and of whoever speaks with the
// processor for them (extProcDesk.ts).

import type { CommonResponse } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import type { Headers } from "../http1/headers.ts";
import type { HeaderView } from "./extProcHeaders.ts";
import type { Side } from "./extProcSide.ts";

/** Where a message comes from and goes to. */
export interface Port {
  readonly isRequest: boolean;
  readonly view: HeaderView;
  /** How much of a body may be kept. */
  readonly limit: number;
  passHead(): void;
  passData(data: Buffer): void;
  passEnd(trailers: Headers | undefined): void;
  /** There is one, although it may have come without. */
  gainBody(): void;
  /** Sends what was passed on. */
  flush(): void;
  pause(): void;
  resume(): void;
}

/** Whoever speaks with the processor. */
export interface Desk {
  readonly onlyObserves: boolean;
  readonly sendsBodyEarly: boolean;
  /** False: nobody can be told, and what follows from that has happened. */
  tellHeaders(side: Side, hasNoBody: boolean): boolean;
  tellBody(side: Side, data: Buffer, isEnd: boolean): boolean;
  tellTrailers(side: Side, trailers: Headers): boolean;
  /** Returns what is wrong. */
  mutate(view: HeaderView, response: Pick<CommonResponse, "headerMutation">, how: MutationManner): Fault;
  clearRoute(side: Side, response: CommonResponse): void;
  tooLarge(side: Side): void;
}

export interface MutationManner {
  /** The message becomes another, so that its method may change. */
  readonly isReplacing?: boolean;
  /** Its length is not known before its end. */
  readonly keepsNoLength?: boolean;
}

/** In Envoy's words. `isSpurious`: nobody asked for such an answer. */
export type Fault = { readonly details: string; readonly isSpurious: boolean } | undefined;

const spuriousOf = (details: string): Fault => ({ details, isSpurious: true });

export const faults = {
  spurious: spuriousOf("spurious_message"),
  unhandled: spuriousOf("unhandled_message"),
  noAnswers: spuriousOf("unhandled_immediate_response_due_to_config_disabled_it"),
  notExecuted: spuriousOf("mode_override_not_executed"),
  notDuplex: spuriousOf("spurious_message:_streamed_response_is_received_while_body_mode__is_not_FULL_DUPLEX_STREAMED"),
  notOfDuplex: spuriousOf("spurious_message:_Normal_body_mutation_response_is_received_while_body_mode__is_FULL_DUPLEX_STREAMED"),
  wrongLength: { details: "mismatch_between_content_length_and_the_length_of_the_mutated_body", isSpurious: false },
} as const;
