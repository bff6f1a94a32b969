// Transformations without Lua: the program of a route, which in Envoy a script reads from its filter context, is run by the closures of
// template/stage.ts. What template/lua/envoy.ts does around a message is done here; tests hold both to the same.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { LuaPerRouteSchema, LuaSchema } from "../../gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import type { PreparedChange, PreparedStage, Selection } from "../../template/stage.ts";
import { reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { findRouteAgain } from "../exchange/receive.ts";
import { holdBody, replaceBody } from "../exchange/request-body.ts";
import type { BodyChange, FilteredResponse, FilterRun, HttpFilter, Verdict } from "./http-filter.ts";
import { type Program, programOf } from "./transformationProgram.ts";
import { keepMetadata, messageOf, requestList, responseList, writeRequest, writeResponse } from "./transformedMessage.ts";

/** Undefined: the route says that nothing is to be done. */
interface RouteProgram {
  readonly program: Program | undefined;
}

/** In the place of Gloo's filter stand three that begin with its name. */
const names = "io.solo.transformation";

export const transformation: HttpFilter<never, RouteProgram> = {
  configType: "envoy.extensions.filters.http.lua.v3.Lua",
  routeType: "envoy.extensions.filters.http.lua.v3.LuaPerRoute",
  compile(any, findings, { name, disabled }) {
    const script = anyUnpack(any, LuaSchema);
    const hasScript = script?.defaultSourceCode !== undefined || script?.inlineCode !== "";
    if (!name.startsWith(names) && !disabled && hasScript) findings.notExecuted("", ` (${name})`);
    return undefined;
  },
  compileRoute(any: Any, findings) {
    const message = anyUnpack(any, LuaPerRouteSchema);
    if (message?.override.case === "disabled" && message.override.value) return { program: undefined };
    const program = message?.filterContext?.program;
    if (typeof program === "string") return { program: programOf(program) };
    findings.notExecuted("", ": scripts are not run");
    return { program: undefined };
  },
  begin: (_, [first]) => first?.program && new TransformationRun(first.program),
};

class TransformationRun implements FilterRun {
  readonly #program: Program;
  readonly #stage: PreparedStage;
  #chosen: Selection | undefined;
  /** Answers of filters before this one, and its own, are left alone. */
  #sawRequest = false;

  constructor(program: Program) {
    this.#program = program;
    this.#stage = program.stage;
  }

  onRequest(exchange: Exchange, resume: () => void): Verdict {
    this.#sawRequest = true;
    this.#chosen = this.#stage.onRequest(requestList(exchange));
    const change = this.#chosen?.request;
    if (change === undefined) return this.#goOn(exchange);
    const hasBody = change.needsBody && !exchange.isWebSocket;
    const whenWhole = () => {
      if (this.#change(exchange, change) === "next") resume();
    };
    if (hasBody && !holdBody(exchange, whenWhole)) return "wait";
    return this.#change(exchange, change);
  }

  #change(exchange: Exchange, change: PreparedChange): Verdict {
    const before = change.needsBody && !exchange.isWebSocket ? Buffer.concat(exchange.bodyParts) : Buffer.alloc(0);
    const outcome = change.apply(messageOf(this.#program, exchange, requestList(exchange), before, undefined));
    if (outcome.kind === "refused") {
      this.#sawRequest = false;
      keepMetadata(exchange, [{ namespace: names, key: "error", value: outcome.why }]);
      reply(exchange, outcome.status, outcome.why, "", "lua_response");
      return "answered";
    }
    keepMetadata(exchange, outcome.metadata);
    writeRequest(exchange, outcome.headers);
    const { body } = outcome;
    const hadBody = before.length > 0 || exchange.isChunked || exchange.contentLength >= 0;
    if (body !== undefined && !exchange.isWebSocket && (hadBody || body !== "")) replaceBody(exchange, Buffer.from(body, "latin1"));
    return this.#goOn(exchange);
  }

  #goOn(exchange: Exchange): Verdict {
    if (this.#chosen?.clearsRoute) findRouteAgain(exchange);
    return "next";
  }

  onResponse(exchange: Exchange, response: FilteredResponse): BodyChange | undefined {
    if (!this.#sawRequest) return undefined;
    const change = this.#chosen?.response ?? this.#stage.onResponse(responseList(response));
    if (change === undefined) return undefined;
    if (change.needsBody && !response.isBare) {
      return {
        kind: "whole",
        change: (body, trailers) => ({ body: this.#changeResponse(exchange, response, change, body) ?? body, trailers }),
      };
    }
    const written = this.#changeResponse(exchange, response, change, Buffer.alloc(0));
    // Only what is refused has a body here.
    if (written === undefined || response.isBare) return undefined;
    return { kind: "whole", change: () => ({ body: written, trailers: undefined }) };
  }

  /** Undefined: the body stays. */
  #changeResponse(exchange: Exchange, response: FilteredResponse, change: PreparedChange, body: Buffer): Buffer | undefined {
    const list = responseList(response);
    const outcome = change.apply(messageOf(this.#program, exchange, list, body, requestList(exchange)));
    if (outcome.kind === "refused") {
      keepMetadata(exchange, [{ namespace: names, key: "error", value: outcome.why }]);
      const kept = list.filter(([name]) => name !== "content-type" && name !== "content-encoding" && name !== ":status");
      writeResponse(response, [[":status", String(outcome.status)], ...kept]);
      response.contentLength = outcome.why.length;
      // In the place of a 204 or 304 it has a body.
      response.isBare = exchange.isHead || exchange.isTunnel;
      return Buffer.from(outcome.why, "latin1");
    }
    keepMetadata(exchange, outcome.metadata);
    writeResponse(response, outcome.headers);
    if (outcome.body === undefined || (outcome.body === "" && body.length === 0)) return undefined;
    return Buffer.from(outcome.body, "latin1");
  }
}
