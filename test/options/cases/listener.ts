// Options of HTTP listeners, and of listeners as a whole.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { gunzipSync } from "node:zlib";
import { type OptionCase, route, type Seen, shared } from "../option-case.ts";

const file = (folder: string) => (existsSync(`${folder}/log`) ? readFileSync(`${folder}/log`, "utf8") : "");
const log = (...accessLog: object[]) => ({ accessLoggingService: { accessLog } });
const grpcServer = { name: "grpc", namespace: shared };

/** Logs to one file, with a filter. */
function filtered(fact: string, filter: object, observe: OptionCase["observe"], more: object = {}): OptionCase {
  return {
    fact,
    options: ["listener.accessLoggingService"],
    given: ({ folder }) => ({
      listener: log(
        { fileSink: { path: `${folder}/log`, stringFormat: "%REQ(:PATH)% " }, filter },
        { fileSink: { path: `${folder}/all`, stringFormat: "%REQ(:PATH)% " } },
      ),
      ...more,
    }),
    observe,
  };
}

/** Asks for the paths, one after the other, and compares what the filtered log has when the other has all. */
const logged =
  (paths: readonly string[], wanted: string, headers: Readonly<Record<string, string>> = {}): OptionCase["observe"] =>
  async ({ ask, folder, eventually }) => {
    for (const path of paths) await ask(path, { headers });
    await eventually(
      "all was logged",
      () => existsSync(`${folder}/all`) && readFileSync(`${folder}/all`, "utf8").split(" ").length > paths.length,
    );
    await eventually(`"${wanted}" was logged`, () => file(folder).trim() === wanted);
  };

export const listeners: readonly OptionCase[] = [
  {
    fact: "a path is answered by Envoy itself",
    options: ["http.healthCheck"],
    given: { http: { healthCheck: { path: "/healthz" } } },
    async observe({ ask }) {
      const answer = await ask("/healthz");
      deepEqual([answer.status, answer.body], [200, ""]);
      equal((await ask("/other")).received.url, "/other");
    },
  },
  {
    fact: "responses are compressed for those who ask for it, from a size on, of types that are named",
    options: ["http.gzip"],
    given: {
      http: { gzip: { contentLength: 500, contentType: ["application/json"], memoryLevel: 9, windowBits: 15, compressionLevel: "BEST" } },
    },
    async observe({ ask }) {
      const headers = { "accept-encoding": "gzip" };
      const large = await ask("/size/5000", { headers });
      equal(large.headers["content-encoding"], "gzip");
      equal(gunzipSync(large.bytes).length, 5000);
      equal((await ask("/size/5000")).headers["content-encoding"], undefined);
      equal((await ask("/headers?content-type=text/odd&x-long=", { headers })).headers["content-encoding"], undefined);
    },
  },
  {
    fact: "a cookie keeps a client at an endpoint",
    options: ["http.statefulSession"],
    given: { to: "both", http: { statefulSession: { cookieBased: { cookie: { name: "at", path: "/", ttl: "60s" } } } } },
    async observe({ ask }) {
      const first = await ask();
      const [cookie = ""] = first.headers["set-cookie"] as string[];
      match(cookie, /^at=.*Max-Age=60; Path=\//);
      for (let i = 0; i < 6; i++)
        equal((await ask("/", { headers: { cookie: cookie.split(";")[0] as string } })).received.server, first.received.server);
      const others = await Promise.all(Array.from({ length: 20 }, () => ask()));
      equal(new Set(others.map(({ received }) => received.server)).size, 2);
    },
  },
  {
    fact: "a header keeps a client at an endpoint; where that is gone, others answer, or nobody where that is wanted",
    options: ["http.statefulSession"],
    given: { to: "both", http: { statefulSession: { headerBased: { headerName: "x-at" }, strict: true } } },
    async observe({ ask }) {
      const first = await ask();
      const at = String(first.headers["x-at"]);
      for (let i = 0; i < 6; i++) equal((await ask("/", { headers: { "x-at": at } })).received.server, first.received.server);
      equal((await ask("/", { headers: { "x-at": Buffer.from("127.0.0.1:1").toString("base64") } })).status, 503);
    },
  },
  {
    fact: "a session that nobody could remember is told",
    options: ["http.statefulSession"],
    says: /statefulSession: a session needs cookieBased or headerBased/,
    given: { http: { statefulSession: {} } },
  },
  {
    fact: "the header that chooses the cluster goes no further",
    options: ["http.sanitizeClusterHeader"],
    given: {
      http: { sanitizeClusterHeader: true },
      routes: [
        {
          matchers: [{ prefix: "/" }],
          routeAction: { clusterHeader: "x-to" },
          options: { headerManipulation: { requestHeadersToRemove: ["x-other"] } },
        },
      ],
    },
    async observe({ ask }) {
      const { received } = await ask("/", { headers: { "x-to": "other_shared", "x-other": "1" } });
      deepEqual([received.server, received.headers["x-to"], received.headers["x-other"]], ["other", undefined, undefined]);
    },
  },
  {
    fact: "headers of Envoy's own are left out",
    options: ["http.router"],
    given: { http: { router: { suppressEnvoyHeaders: true, dynamicStats: false } } },
    async observe({ ask }) {
      const answer = await ask();
      equal(answer.headers["x-envoy-upstream-service-time"], undefined);
      equal(answer.received.headers["x-envoy-expected-rq-timeout-ms"], undefined);
    },
  },
  {
    fact: "gRPC-Web becomes gRPC",
    options: ["http.grpcWeb"],
    given: { to: "grpc", http: { grpcWeb: {} } },
    observe: grpcWeb,
  },
  {
    fact: "gRPC-Web stays what it is",
    options: ["http.grpcWeb"],
    given: { http: { grpcWeb: { disable: true } } },
    observe: async ({ ask }) =>
      equal(
        (await ask("/", { method: "POST", headers: { "content-type": "application/grpc-web+proto" }, body: "a" })).received.headers[
          "content-type"
        ],
        "application/grpc-web+proto",
      ),
  },
  {
    fact: "methods that HTTP/1 does not know are passed on",
    options: ["http.headerValidationSettings"],
    given: { http: { headerValidationSettings: { disableHttp1MethodValidation: {} } } },
    async observe({ raw, host }) {
      // Node's server does not know the method either: its answer is that of the endpoint.
      const text = await raw(`FETCH / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
      match(text, /x-envoy-upstream-service-time/);
    },
  },
  {
    fact: "more connections than that are closed",
    options: ["http.connectionLimit"],
    given: { http: { connectionLimit: { maxActiveConnections: 1, delayBeforeClose: "0s" } } },
    async observe({ port, ask, stat, eventually }) {
      const held = connect(port, "127.0.0.1");
      await new Promise((resolve) => held.once("connect", resolve));
      await eventually("Envoy has it", async () => (await stat(`listener\\.127\\.0\\.0\\.1_${port}\\.downstream_cx_active`)) > 0);
      ok(
        await ask().then(
          () => false,
          () => true,
        ),
      );
      held.destroy();
    },
  },
  {
    fact: "requests go to the host that they name",
    options: ["http.dynamicForwardProxy"],
    given: {
      http: { dynamicForwardProxy: { dnsCacheConfig: { dnsLookupFamily: "V4_ONLY" }, saveUpstreamAddress: true } },
      domains: ["*"],
      routes: [{ matchers: [{ prefix: "/" }], routeAction: { dynamicForwardProxy: { autoHostRewriteHeader: "x-to" } } }],
    },
    observe: async ({ ask, servers }) =>
      equal((await ask("/", { headers: { "x-to": `127.0.0.1:${servers.other.port}` } })).received.server, "other"),
  },
  {
    fact: "the host that a request names is spoken to by TLS, and shows that it is that host",
    options: ["http.dynamicForwardProxy"],
    given: ({ name, servers }) => ({
      http: {
        dynamicForwardProxy: {
          dnsCacheConfig: { dnsLookupFamily: "V4_ONLY" },
          sslConfig: { secretRef: { name: "authority", namespace: name } },
          circuitBreakers: { maxConnections: 3 },
        },
      },
      domains: ["*"],
      routes: [{ matchers: [{ prefix: "/" }], routeAction: { dynamicForwardProxy: { autoHostRewriteHeader: "x-to" } } }],
      objects: [
        {
          apiVersion: "v1",
          kind: "Secret",
          type: "kubernetes.io/tls",
          metadata: { name: "authority", namespace: name },
          data: { "ca.crt": Buffer.from(servers.secure.authority).toString("base64") },
        },
      ],
    }),
    async observe({ ask, servers }) {
      equal((await ask("/", { headers: { "x-to": `127.0.0.1:${servers.secure.port}` } })).status, 200);
      equal((await ask("/", { headers: { "x-to": `localhost:${servers.secure.port}` } })).status, 503);
    },
  },
  {
    fact: "each request is logged to a file, as text and as JSON",
    options: ["listener.accessLoggingService"],
    given: ({ folder }) => ({
      listener: log(
        { fileSink: { path: `${folder}/log`, stringFormat: "%REQ(:METHOD)% %REQ_WITHOUT_QUERY(:PATH)% %RESPONSE_CODE%\n" } },
        { fileSink: { path: `${folder}/json`, jsonFormat: { code: "%RESPONSE_CODE%", host: "%REQ(:AUTHORITY)%" } } },
      ),
    }),
    async observe({ ask, folder, host, eventually }) {
      await ask("/a?secret=1");
      await eventually("the text is there", () => file(folder) === "GET /a 200\n");
      await eventually("the JSON is there", () => existsSync(`${folder}/json`) && readFileSync(`${folder}/json`, "utf8").length > 0);
      deepEqual(JSON.parse(readFileSync(`${folder}/json`, "utf8")), { code: 200, host });
    },
  },
  {
    fact: "each request is sent to a service of access logs, with the headers that are named",
    options: ["listener.accessLoggingService"],
    given: ({ name }) => ({
      listener: log({
        grpcService: {
          logName: name,
          staticClusterName: "grpc_shared",
          additionalRequestHeadersToLog: ["x-wanted"],
          additionalResponseHeadersToLog: ["x-got"],
        },
      }),
    }),
    async observe({ ask, servers, name, eventually }) {
      await ask("/headers?x-got=this-came", { headers: { "x-wanted": "this-went" } });
      const got = () =>
        servers.grpc.received
          .filter(({ method }) => method.endsWith("StreamAccessLogs"))
          .map(({ text }) => text)
          .join();
      await eventually("the log came", () => [name, "this-went", "this-came"].every((each) => got().includes(each)));
    },
  },
  {
    fact: "each request is sent to a collector of OpenTelemetry",
    options: ["listener.accessLoggingService"],
    given: ({ name, servers }) => ({
      listener: log({
        openTelemetryService: {
          logName: name,
          collector: { endpoint: `127.0.0.1:${servers.grpc.port}`, insecure: true, headers: { "x-token": name }, timeout: "5s" },
          body: { stringValue: "%REQ(:PATH)% was asked" },
          attributes: { values: [{ key: "team", value: { stringValue: "pets" } }] },
        },
      }),
    }),
    async observe({ ask, servers, name, eventually }) {
      await ask("/otlp");
      const got = () =>
        servers.grpc.received.find(({ method, metadata }) => method.endsWith("LogsService/Export") && metadata["x-token"] === name);
      await eventually("the log came", () => got() !== undefined);
      for (const each of ["/otlp was asked", "team", "pets", name]) ok(got()?.text.includes(each), each);
    },
  },
  filtered(
    "only failures are logged",
    { statusCodeFilter: { comparison: { op: "GE", value: { defaultValue: 500, runtimeKey: "none" } } } },
    logged(["/", "/status/503"], "/status/503"),
  ),
  filtered(
    "only what takes long is logged",
    { durationFilter: { comparison: { op: "GE", value: { defaultValue: 2000, runtimeKey: "none" } } } },
    logged(["/", "/delay/2500"], "/delay/2500"),
  ),
  filtered("health checks are not logged", { notHealthCheckFilter: {} }, logged(["/healthz", "/"], "/"), {
    http: { healthCheck: { path: "/healthz" } },
  }),
  filtered(
    "only what has a header is logged, by and and or",
    {
      andFilter: {
        filters: [
          {
            orFilter: {
              filters: [
                { headerFilter: { header: { name: ":path", exactMatch: "/a" } } },
                { headerFilter: { header: { name: ":path", exactMatch: "/b" } } },
              ],
            },
          },
          { headerFilter: { header: { name: "x-case", presentMatch: true } } },
        ],
      },
    },
    logged(["/", "/a", "/b"], "/a /b"),
  ),
  filtered(
    "only what ended in a certain way is logged",
    { responseFlagFilter: { flags: ["UT"] } },
    logged(["/", "/delay/5000"], "/delay/5000"),
    { route: { timeout: "1s" } },
  ),
  filtered("only what was traced is logged", { traceableFilter: {} }, logged(["/"], "")),
  filtered(
    "a share of the requests is logged: all",
    { runtimeFilter: { runtimeKey: "none", percentSampled: { numerator: 100 } } },
    logged(["/"], "/"),
  ),
  filtered(
    "a share of the requests is logged: none",
    { runtimeFilter: { runtimeKey: "none", percentSampled: { numerator: 0 } } },
    logged(["/"], ""),
  ),
  filtered(
    "only what failed as a gRPC call is logged",
    { grpcStatusFilter: { statuses: ["UNAVAILABLE"] } },
    logged(["/", "/status/503"], "/status/503", { "content-type": "application/grpc" }),
  ),
  {
    fact: "the listener logs its connections",
    options: ["listener.listenerAccessLoggingService"],
    given: ({ folder }) => ({
      listener: {
        listenerAccessLoggingService: {
          accessLog: [{ fileSink: { path: `${folder}/log`, stringFormat: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%\n" } }],
        },
      },
    }),
    async observe({ ask, folder, eventually }) {
      await ask();
      await eventually("it was logged", () => file(folder) === "127.0.0.1\n");
    },
  },
  {
    fact: "the client's address comes in front of its bytes, and more beside it; without, the connection is closed",
    options: ["listener.proxyProtocol", "listener.listenerAccessLoggingService"],
    given: ({ folder }) => ({
      listener: {
        proxyProtocol: { rules: [{ tlvType: 0xea, onTlvPresent: { metadataNamespace: "tlv", key: "team" } }] },
        listenerAccessLoggingService: {
          accessLog: [{ fileSink: { path: `${folder}/log`, stringFormat: "%DYNAMIC_METADATA(tlv:team)%\n" } }],
        },
      },
      hcm: { useRemoteAddress: true },
      route: {
        headerManipulation: { requestHeadersToAdd: [{ header: { key: "x-client", value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" } }] },
      },
    }),
    async observe({ raw, host, folder, eventually }) {
      const asked = `GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
      match(await raw(`PROXY TCP4 9.8.7.6 1.2.3.4 1000 80\r\n${asked}`), /"x-client":"9\.8\.7\.6"/);
      // The second version: signature, PROXY over TCP/IPv4, 12 bytes of addresses and 7 of one TLV.
      const second = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\x09\x08\x07\x06\x01\x02\x03\x04\x03\xe8\0\x50\xea\0\x04pets";
      match(await raw(second + asked), /"x-client":"9\.8\.7\.6"/);
      await eventually("the team was logged", () => file(folder).includes("pets"));
      equal(await raw(asked), "");
    },
  },
  {
    fact: "connections without an address in front of their bytes are served where that is wanted",
    options: ["listener.proxyProtocol"],
    given: { listener: { proxyProtocol: { allowRequestsWithoutProxyProtocol: true } }, hcm: { useRemoteAddress: true } },
    async observe({ raw, host }) {
      const asked = `GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
      match(await raw(asked), /^HTTP\/1\.1 200/);
      match(await raw(`PROXY TCP4 9.8.7.6 1.2.3.4 1000 80\r\n${asked}`), /"x-forwarded-for":"9\.8\.7\.6"/);
    },
  },
  {
    fact: "a request that is larger than the buffer is passed on, and cannot be tried again",
    options: ["listener.perConnectionBufferLimitBytes"],
    given: { listener: { perConnectionBufferLimitBytes: 2048 }, route: { retries: { retryOn: "5xx" } } },
    async observe({ ask, name }) {
      const statusOf = async (bytes: number) =>
        (await ask("/flaky/1", { method: "POST", body: "a".repeat(bytes), headers: { "x-case": `${name} ${bytes}` } })).status;
      deepEqual([await statusOf(100), await statusOf(9000)], [200, 503]);
    },
  },
  {
    fact: "the sockets of the listener have the options: they keep connections alive",
    options: ["listener.socketOptions"],
    given: {
      listener: {
        socketOptions: [
          { description: "SO_KEEPALIVE", level: 1, name: 9, intValue: 1, state: "STATE_PREBIND" },
          { description: "TCP_KEEPIDLE", level: 6, name: 4, intValue: 77, state: "STATE_PREBIND" },
        ],
      },
    },
    async observe({ port, stat, eventually }) {
      if (process.platform !== "linux") return;
      const held = connect(port, "127.0.0.1");
      await eventually("Envoy has it", async () => (await stat(`listener\\.127\\.0\\.0\\.1_${port}\\.downstream_cx_active`)) > 0);
      const from = held.localPort as number;
      const lines = readFileSync("/proc/net/tcp", "latin1")
        .split("\n")
        .map((line) => line.trim().split(/\s+/));
      const hex = (n: number) => n.toString(16).toUpperCase().padStart(4, "0");
      const accepted = lines.find(([, local = "", remote = ""]) => local.endsWith(`:${hex(port)}`) && remote.endsWith(`:${hex(from)}`));
      held.destroy();
      // The timer that runs on the socket that Envoy accepted is that of keepalive (2), and ends in less than the 77 s.
      const [kind, left = ""] = (accepted?.[5] ?? "").split(":");
      equal(kind, "02");
      ok(Number.parseInt(left, 16) / 100 <= 77);
    },
  },
  {
    fact: "connections are divided among the workers, and served",
    options: ["listener.connectionBalanceConfig"],
    given: { listener: { connectionBalanceConfig: { exactBalance: {} } } },
    observe: async ({ ask }) => equal((await ask()).status, 200),
  },
  {
    fact: "the operating system's statistics of connections are published",
    options: ["listener.tcpStats"],
    given: { listener: { tcpStats: true } },
    async observe({ ask, port, stat, eventually }) {
      await ask();
      await eventually(
        "segments were counted",
        async () => (await stat(`listener\\.127\\.0\\.0\\.1_${port}\\.tcp_stats\\.cx_tx_segments`)) > 0,
      );
    },
  },
  {
    fact: "spans go to Zipkin, with tags, under the name of the route",
    options: ["hcm.tracing", "route.tracing"],
    given: {
      hcm: {
        tracing: {
          zipkinConfig: { collectorUpstreamRef: { name: "other", namespace: shared }, collectorEndpoint: "/zipkin/route" },
          requestHeadersForTags: ["x-case"],
          literalsForTags: [{ tag: "team", value: "pets" }],
          environmentVariablesForTags: [{ tag: "nothing", name: "NOT_SET", defaultValue: "unset" }],
          metadataForTags: [{ tag: "from-route", kind: "REQUEST", value: { namespace: "a", key: "b" }, defaultValue: "no-metadata" }],
          verbose: true,
        },
      },
      route: { tracing: { routeDescriptor: "name-of-route", propagate: true } },
    },
    async observe({ ask, servers, name, eventually }) {
      for (let i = 0; i < 6; i++) await ask();
      const spans = () =>
        servers.other.received
          .filter(({ url }) => url === "/zipkin/route")
          .map(({ body }) => body)
          .join();
      await eventually("spans came", () => spans() !== "");
      for (const each of ["name-of-route", '"team":"pets"', '"nothing":"unset"', `"x-case":"${name}"`, '"from-route":"no-metadata"'])
        ok(spans().includes(each), `${each} in ${spans().slice(0, 2000)}`);
    },
  },
  {
    fact: "a share of the requests is traced: none, by the listener or by the route",
    options: ["hcm.tracing", "route.tracing"],
    given: {
      hcm: { tracing: { zipkinConfig: { collectorUpstreamRef: { name: "other", namespace: shared }, collectorEndpoint: "/zipkin/none" } } },
      routes: [
        { ...route({ options: { tracing: { tracePercentages: { overallSamplePercentage: 0 } } } }), matchers: [{ prefix: "/off" }] },
        route(),
      ],
    },
    async observe({ ask, servers, eventually }) {
      const sampled = async (path: string) => (await ask(path)).received.headers["x-b3-sampled"];
      deepEqual([await sampled("/off"), await sampled("/on")], ["0", "1"]);
      for (let i = 0; i < 6; i++) await ask("/on");
      await eventually("spans came", () => servers.other.received.some(({ url }) => url === "/zipkin/none"));
    },
  },
  {
    fact: "spans go to a collector of OpenTelemetry",
    options: ["hcm.tracing"],
    given: ({ name }) => ({
      hcm: { tracing: { openTelemetryConfig: { collectorUpstreamRef: grpcServer, serviceName: `service-${name}` } } },
    }),
    async observe({ ask, servers, name, eventually }) {
      for (let i = 0; i < 6; i++) ok((await ask()).received.headers.traceparent);
      await eventually("spans came", () =>
        servers.grpc.received.some(({ method, text }) => method.endsWith("TraceService/Export") && text.includes(`service-${name}`)),
      );
    },
  },
  {
    fact: "spans go to Datadog",
    options: ["hcm.tracing"],
    given: ({ name }) => ({
      hcm: {
        tracing: {
          datadogConfig: {
            collectorUpstreamRef: { name: "other", namespace: shared },
            serviceName: `service-${name}`,
            remoteConfig: { disabled: true },
          },
        },
      },
    }),
    async observe({ ask, servers, name, eventually }) {
      ok((await ask()).received.headers["x-datadog-trace-id"]);
      await eventually("spans came", () =>
        servers.other.received.some(({ url, body }) => url.includes("/traces") && body.includes(`service-${name}`)),
      );
    },
  },
  {
    fact: "OpenCensus, which Envoy no longer has, is told to have no effect",
    options: ["hcm.tracing"],
    says: /OpenCensus.*openTelemetryConfig/,
    given: { hcm: { tracing: { openCensusConfig: {} } } },
    observe: async ({ ask }) => equal((await ask()).status, 200),
  },
];

/** A message of five bytes in gRPC-Web's frames, base64 as browsers send it. */
async function grpcWeb({ ask }: Seen): Promise<void> {
  const message = Buffer.from([0, 0, 0, 0, 5, 10, 3, 97, 98, 99]).toString("base64");
  const headers = { "content-type": "application/grpc-web-text+proto", accept: "application/grpc-web-text+proto" };
  const answer = await ask("/till.v1.Till/Get", { method: "POST", headers, body: message });
  match(String(answer.headers["content-type"]), /^application\/grpc-web-text/);
  const text = Buffer.from(answer.body, "base64").toString("latin1");
  ok(text.includes("gotabc"), text);
}
