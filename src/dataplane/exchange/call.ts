// A request that becomes the call of a Lambda function: it waits until it is whole, and its answer may be another than what AWS sent.

import type { AwsCredentials } from "../../lib/aws/sigv4.ts";
import { type LambdaRoute, lambdaRequest } from "../filters/awsLambda.ts";
import { type Answer, albAnswer, apiGatewayAnswer } from "../filters/lambdaAnswer.ts";
import { headerValue } from "../http1/headers.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { GatheredBody } from "../upstream/gathered-body.ts";
import type { OutgoingRequest } from "../upstream/stream.ts";
import { fail, reply } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import { holdBody } from "./request-body.ts";
import { onResponseData, onResponseEnd, onResponseHead } from "./response.ts";

/** Of the request that is sent in the place of the client's. */
export interface Call {
  readonly request: OutgoingRequest;
  readonly payload: Buffer;
  readonly response: LambdaRoute["response"];
  /** The answer, while it is gathered. */
  held: { readonly head: ResponseHead; readonly body: GatheredBody } | undefined;
}

/** Lambda's own limit is 6 MB. */
const mostAnswerBytes = 16 * 1_024 * 1_024;

/**
 * False while it has to wait, and then `again` is called, or when it was answered already.
 *
 * @param fetched credentials that `again` was called with: they serve this try, however soon they end
 */
export function prepareCall(exchange: Exchange, again: (fetched?: AwsCredentials) => void, fetched?: AwsCredentials): boolean {
  const lambda = exchange.cluster?.config.filters.lambda;
  if (lambda === undefined) return true;
  const route = exchange.choice === undefined ? exchange.route?.lambda : (exchange.choice.lambda ?? exchange.route?.lambda);
  if (route === undefined) {
    reply(exchange, 500, "no function is named for this route", "", "lua_response");
    return false;
  }
  if (!holdBody(exchange, () => again())) return false;
  const credentials = fetched ?? lambda.credentials.now;
  if (credentials === undefined) {
    lambda.credentials.ask().then(
      (asked) => exchange.isDone || again(asked),
      (error: unknown) => fail(exchange, 500, "", "", `aws_credentials: ${(error as Error).message}`),
    );
    return false;
  }
  const { request, payload } = lambdaRequest(exchange, Buffer.concat(exchange.bodyParts), lambda, route, credentials, new Date());
  exchange.call = { request, payload, response: route.isAsync ? "asIs" : route.response, held: undefined };
  return true;
}

export function onCallHead(exchange: Exchange, call: Call, head: ResponseHead): void {
  if (headerValue(head.headers, "x-amz-function-error") !== undefined) onResponseHead(exchange, { ...head, status: 504 });
  else if (call.response === "asIs") onResponseHead(exchange, head);
  else call.held = { head, body: new GatheredBody(mostAnswerBytes) };
}

export function onCallData(exchange: Exchange, call: Call, data: Buffer): void {
  if (call.held === undefined) {
    if (!exchange.isHead) onResponseData(exchange, data);
    return;
  }
  if (!call.held.body.add(data)) fail(exchange, 500, "", "", "response_payload_too_large");
}

export function onCallEnd(exchange: Exchange, { held, response }: Call): void {
  if (held !== undefined) {
    const { head } = held;
    const own: Answer = { status: head.status, headers: head.headers, body: held.body.whole() };
    const { status, headers, body } = response === "alb" ? albAnswer(own) : apiGatewayAnswer(own);
    onResponseHead(exchange, { ...head, status, headers: [...headers], contentLength: body.length, isChunked: false });
    if (!exchange.headSent || exchange.isDone) return; // it is tried again
    if (body.length > 0 && !exchange.isHead) onResponseData(exchange, body);
  }
  onResponseEnd(exchange, undefined);
}
