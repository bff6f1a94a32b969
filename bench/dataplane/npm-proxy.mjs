// One proxy library of npm, as its documentation uses it, on the three ports: `npm-proxy.mjs NAME FOLDER SETTINGS`; FOLDER is where it is installed.
// What none of them brings is written here as cheaply as it can be: statistics, and an access log whose lines are gathered.
import { createWriteStream, readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { createRequire } from "node:module";

const [name, folder, text] = process.argv.slice(2);
const { ports, backend, keys, folder: own } = JSON.parse(text);
const require = createRequire(`${folder}/`);
const target = `http://127.0.0.1:${backend}`;
const timeout = 15_000;
const agent = new http.Agent({ keepAlive: true, maxSockets: 512, maxFreeSockets: 512 });
const tls = { cert: readFileSync(keys.certificate), key: readFileSync(keys.key) };
const log = gatheredLog(createWriteStream(`${own}/access.log`, { flags: "a" }));
const counts = { requests: 0, classes: [0, 0, 0, 0, 0, 0], ms: new Uint32Array(1_024) };

const handlers = {
  "fast-proxy": () => fastProxy({}),
  "fast-proxy on undici": () => {
    const interceptors = { Client: [], Pool: [retriedDispatch()] };
    return fastProxy({ undici: { connections: 128, pipelining: 1, headersTimeout: timeout, bodyTimeout: timeout, interceptors } });
  },
  "http2-proxy": () => {
    const proxy = require("http2-proxy");
    return (request, response) =>
      proxy.web(request, response, {
        hostname: "127.0.0.1",
        port: backend,
        proxyTimeout: timeout,
        onReq: (_, options) => http.request({ ...options, agent }),
      });
  },
  "http-proxy": () => likeHttpProxy(require("http-proxy")),
  "http-proxy-3": () => likeHttpProxy(require("http-proxy-3")),
  httpxy: () => likeHttpProxy(require("httpxy")),
  "http-proxy-middleware": () => {
    const { createProxyMiddleware } = require("http-proxy-middleware");
    const middleware = createProxyMiddleware({ target, agent, xfwd: true, proxyTimeout: timeout, timeout });
    return (request, response) => middleware(request, response, () => response.end());
  },
  "express-http-proxy": () => {
    const proxy = require("express-http-proxy");
    return require("express")().use(
      proxy(target, {
        timeout,
        parseReqBody: false,
        proxyReqOptDecorator: (options) => ({ ...options, agent }),
      }),
    );
  },
};

if (name === "@fastify/http-proxy") await serveFastify();
else {
  const handle = observed(handlers[name]());
  await listen(http.createServer(handle), ports.plain);
  await listen(http2.createServer(handle), ports.h2c);
  const speaksHttp2 = ["fast-proxy", "fast-proxy on undici", "http2-proxy"].includes(name);
  await listen(speaksHttp2 ? http2.createSecureServer({ ...tls, allowHTTP1: true }, handle) : https.createServer(tls, handle), ports.tls);
}
console.log("ready");

function fastProxy(options) {
  const { proxy } = require("fast-proxy")({ base: target, ...options });
  return (request, response) => proxy(request, response, request.url, { request: { timeout } });
}

/** Retries as the undici that fast-proxy brings has them. */
function retriedDispatch() {
  const { RetryHandler } = createRequire(require.resolve("fast-proxy"))("undici");
  return (dispatch) => (options, handler) =>
    dispatch(options, new RetryHandler({ ...options, retryOptions: { maxRetries: 3 } }, { dispatch, handler }));
}

function likeHttpProxy(library) {
  const proxy = (library.createProxyServer ?? library.createProxy)({ target, agent, xfwd: true, proxyTimeout: timeout, timeout });
  proxy.on("error", (_error, _request, response) => void response?.destroy?.());
  return (request, response) => proxy.web(request, response);
}

async function serveFastify() {
  const variants = [
    [ports.plain, {}],
    [ports.h2c, { http2: true }],
    [ports.tls, { http2: true, https: { ...tls, allowHTTP1: true } }],
  ];
  for (const [port, options] of variants) {
    const server = require("fastify")(options);
    server.addHook("onRequest", (request, reply, done) => {
      observe(request.raw, reply.raw);
      done();
    });
    server.register(require("@fastify/http-proxy"), {
      upstream: target,
      undici: { connections: 128, pipelining: 1, headersTimeout: timeout, bodyTimeout: timeout },
      replyOptions: { retriesCount: 3 },
    });
    await server.listen({ port, host: "127.0.0.1" });
  }
}

function observed(handle) {
  return (request, response) => {
    observe(request, response);
    handle(request, response);
  };
}

function observe(request, response) {
  const began = performance.now();
  response.on("finish", () => {
    const ms = performance.now() - began;
    counts.requests++;
    counts.classes[(response.statusCode / 100) | 0]++;
    counts.ms[Math.min(ms | 0, 1_023)]++;
    const { method, url, headers, socket } = request;
    log(
      `[${new Date().toISOString()}] "${method} ${url} HTTP/${request.httpVersion}" ${response.statusCode} ${ms | 0} "${socket?.remoteAddress}" "${headers["user-agent"] ?? "-"}" "${headers.host ?? headers[":authority"]}"\n`,
    );
  });
}

function gatheredLog(stream) {
  let lines = "";
  const flush = () => {
    if (lines !== "") stream.write(lines);
    lines = "";
  };
  setInterval(flush, 100).unref();
  return (line) => {
    lines += line;
    if (lines.length > 65_536) flush();
  };
}

function listen(server, port) {
  return new Promise((resolve) => server.listen({ port, host: "127.0.0.1", backlog: 4_096 }, resolve));
}
