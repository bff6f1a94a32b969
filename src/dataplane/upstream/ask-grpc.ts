// A unary call of gRPC to a cluster.

import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { framed, unframed } from "../grpc-frame.ts";
import { type Headers, headerValue } from "../http1/headers.ts";
import { ask, type WholeAnswer } from "./ask.ts";
import type { ClusterRuntime } from "./cluster.ts";

export interface GrpcMethod<Request extends DescMessage, Response extends DescMessage> {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly request: Request;
  readonly response: Response;
}

/** Where a service is, as Envoy's `GrpcService` says. */
export interface GrpcTarget {
  readonly cluster: string;
  readonly authority: string;
  readonly metadata: Headers;
  readonly timeoutMs: number;
}

/** @param onAnswer undefined: there was no answer, or the status says that it is none */
export function askGrpc<Request extends DescMessage, Response extends DescMessage>(
  cluster: ClusterRuntime | undefined,
  target: GrpcTarget,
  method: GrpcMethod<Request, Response>,
  message: MessageShape<Request>,
  onAnswer: (answer: MessageShape<Response> | undefined) => void,
): { cancel(): void } {
  const headers: Headers = ["te", "trailers", "content-type", "application/grpc", ...target.metadata];
  headers.push("x-envoy-internal", "true");
  if (target.timeoutMs !== Number.POSITIVE_INFINITY) {
    const ms = Math.ceil(target.timeoutMs);
    headers.push("grpc-timeout", `${ms}m`, "x-envoy-expected-rq-timeout-ms", String(ms));
  }
  const question = {
    method: "POST",
    path: method.path,
    authority: target.authority || target.cluster,
    headers,
    body: framed(toBinary(method.request, message)),
    timeoutMs: target.timeoutMs,
    tellsLength: "never" as const,
  };
  return ask(cluster, question, (answer) => onAnswer(answer && messageOf(method.response, answer)));
}

/** Undefined: it says none. Without a message it is in the head. */
export function grpcStatusOf({ head, trailers }: WholeAnswer): string | undefined {
  return headerValue(trailers ?? head.headers, "grpc-status");
}

function messageOf<Response extends DescMessage>(schema: Response, answer: WholeAnswer): MessageShape<Response> | undefined {
  const message = unframed(answer.body);
  if (answer.head.status !== 200 || grpcStatusOf(answer) !== "0" || message === undefined) return undefined;
  try {
    return fromBinary(schema, message);
  } catch {
    return undefined; // what it sent is no such message, and so no answer
  }
}
