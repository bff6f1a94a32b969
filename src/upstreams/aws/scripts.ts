// What Envoy's aws_lambda filter does not do, as Lua for stock Envoy: the forms of requests and responses that Gloo's own filter
// knew, the 500 of a route without function, the 504 of a function that failed. Texts only; which one a route uses is its `name`.
//
// What `headers()` gave is no longer valid once `body()` has waited, so it is asked for again after it.
// Each script is whole: Envoy gives each its own interpreter. They run in the upstream filters of the cluster, once for each attempt;
// the request's head is kept in dynamic metadata, because a second attempt sees the one that the first has made.

import { base64Reader, jsonReader, jsonWriter, nodeWriter } from "./script-json.ts";
import { onRequest, queryReader } from "./script-request.ts";
import { answerHeaders, onResponse } from "./script-response.ts";

/** How the payload is made: the body as it is, or an event that holds the whole request. */
export type RequestForm = "body" | "event";
/** What becomes of the answer: it is passed on, or is a description of a response in the form of a load balancer or an API gateway. */
export type ResponseForm = "asIs" | "alb" | "apiGateway";

export const requestForms: readonly RequestForm[] = ["body", "event"];
export const responseForms: readonly ResponseForm[] = ["asIs", "alb", "apiGateway"];

export function scriptName(request: RequestForm, response: ResponseForm): string {
  return `${request}-${response}`;
}

/** Stands for the account where an Upstream names none: aws_lambda wants ARNs, AWS takes plain names. */
export const noAccount = "000000000000";

/** Answers for routes that name no function. */
export const noFunctionScript = `function envoy_on_request(handle)
  handle:respond({[":status"] = "500", ["content-type"] = "text/plain"}, "no function is named for this route")
end
`;

/** Runs after aws_lambda: its signature, made with a placeholder, goes; a function without an account is called by its name. */
export const callScript = `function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove("authorization")
  headers:remove("x-amz-security-token")
  headers:replace("x-amz-log-type", "None")
  local name, qualifier = string.match(headers:get(":path"), ":${noAccount}:function:([^:/]+):?([^:/]*)/invocations$")
  if name then
    local query = qualifier ~= "" and ("?Qualifier=" .. qualifier) or ""
    headers:replace(":path", "/2015-03-31/functions/" .. name .. "/invocations" .. query)
  end
end
`;

/** `tellsOrigin`: functions learn the original path and method from headers. */
export function formScript(request: RequestForm, response: ResponseForm, tellsOrigin: boolean): string {
  const needsWriter = request === "event" || response === "apiGateway";
  const needsReader = response !== "asIs";
  return [
    needsWriter ? jsonWriter : "",
    request === "event" ? queryReader : "",
    needsReader ? jsonReader + answerHeaders + base64Reader : "",
    response === "apiGateway" ? nodeWriter : "",
    onRequest(request, tellsOrigin),
    onResponse(response),
  ].join("");
}
