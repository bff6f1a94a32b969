// The proxies that are measured, and how each comes up. All have what a gateway has turned on, as far as they know it: retries, time-outs, statistics
// and an access log.

import type { ChildProcess } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findEnvoy, startEnvoy } from "../../test/servers/envoy.ts";
import { freePort } from "../../test/servers/ports.ts";
import { installNpmProxies, type NpmProxy, npmProxies } from "./npm-proxies.ts";
import { isOnPath, listening, proxyCore, run, spawnPinned, startNode } from "./processes.ts";
import { type Served, staticResources } from "./resources.ts";
import { type ProxySettings, retries, type Shape, shapes, timeoutMs } from "./shapes.ts";

export interface MeasuredProxy {
  readonly name: string;
  /** Its CPU time for a request is at least this many times ours. */
  readonly goal?: number;
  readonly shapes: readonly Shape[];
  /** What it does not have of what the others do. */
  readonly lacks?: string;
  /** Why it cannot be measured here; undefined: it can. */
  readonly missing: () => string | undefined;
  readonly start: (settings: ProxySettings) => Promise<ChildProcess>;
}

export const embedded: MeasuredProxy = {
  name: "embedded",
  shapes,
  missing: () => undefined,
  start: (settings) => startNode([join(import.meta.dirname, "embedded.ts"), JSON.stringify(served(settings))], proxyCore),
};

export const envoy: MeasuredProxy = {
  name: "Envoy",
  goal: 0.75,
  shapes,
  missing: () => (findEnvoy() === undefined ? "not there: set ENVOY_BIN" : undefined),
  async start(settings) {
    const adminPort = await freePort();
    const admin = { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } };
    const { process: child } = await startEnvoy({ admin, static_resources: staticResources(served(settings)) }, adminPort);
    run("taskset", ["-acp", String(proxyCore), String(child.pid)]);
    return child;
  },
};

export const nginx: MeasuredProxy = {
  name: "nginx",
  shapes,
  missing: () => onPath("nginx"),
  start: (settings) => {
    const file = written(settings, "nginx.conf", nginxConfiguration(settings));
    return serving(spawnPinned("nginx", ["-c", file, "-p", settings.folder], proxyCore, "ignore"), settings);
  },
};

export const haproxy: MeasuredProxy = {
  name: "HAProxy",
  shapes,
  missing: () => onPath("haproxy"),
  start: (settings) => {
    writeFileSync(
      join(settings.folder, "both.pem"),
      readFileSync(settings.keys.certificate, "utf8") + readFileSync(settings.keys.key, "utf8"),
    );
    const file = written(settings, "haproxy.cfg", haproxyConfiguration(settings));
    const log = openSync(join(settings.folder, "access.log"), "a");
    return serving(spawnPinned("haproxy", ["-db", "-f", file], proxyCore, log), settings);
  },
};

export function allPeers(isShort: boolean): MeasuredProxy[] {
  const folder = installNpmProxies();
  return [envoy, nginx, haproxy, ...npmProxies.filter(({ isUsual }) => isUsual || !isShort).map((each) => ofNpm(each, folder))];
}

function ofNpm({ name, isUsual, speaksHttp2, lacks }: NpmProxy, folder: string | undefined): MeasuredProxy {
  return {
    name: `${name} (npm)`,
    goal: 0.5,
    lacks,
    shapes: shapes.filter(({ isTls, isHttp2 }) => (isHttp2 ? isTls && speaksHttp2 : !isTls || isUsual)),
    missing: () => (folder === undefined ? "could not be installed" : undefined),
    start: (settings) =>
      startNode(["--no-warnings", join(import.meta.dirname, "npm-proxy.mjs"), name, folder as string, JSON.stringify(settings)], proxyCore),
  };
}

function onPath(program: string): string | undefined {
  return isOnPath(program) ? undefined : "not found on PATH";
}

function served({ folder, ports, backend, keys }: ProxySettings): Served {
  const read = (file: string) => readFileSync(file, "utf8");
  return { ports, backend, accessLog: join(folder, "access.log"), certificate: read(keys.certificate), key: read(keys.key) };
}

function written({ folder }: ProxySettings, name: string, text: string): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

async function serving(child: ChildProcess, { ports }: ProxySettings): Promise<ChildProcess> {
  await listening(Object.values(ports), child);
  return child;
}

function nginxConfiguration({ folder, ports, backend, keys }: ProxySettings): string {
  return `daemon off; master_process off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log ${folder}/access.log combined buffer=64k flush=1s;
  keepalive_requests 100000000; client_max_body_size 0; proxy_request_buffering off; proxy_max_temp_file_size 0;
  client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream backend { server 127.0.0.1:${backend}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${ports.plain} backlog=4096;
    listen 127.0.0.1:${ports.h2c} http2 backlog=4096;
    listen 127.0.0.1:${ports.tls} ssl http2 backlog=4096;
    ssl_certificate ${keys.certificate}; ssl_certificate_key ${keys.key}; ssl_protocols TLSv1.2 TLSv1.3;
    location = /status { stub_status; }
    location / {
      proxy_pass http://backend; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Request-Id $request_id;
      proxy_next_upstream error timeout http_502 http_503 http_504; proxy_next_upstream_tries ${retries + 1};
      proxy_connect_timeout 1s; proxy_read_timeout ${timeoutMs}ms; proxy_send_timeout ${timeoutMs}ms;
    }
  }
}
`;
}

function haproxyConfiguration({ folder, ports, backend }: ProxySettings): string {
  return `global
  nbthread 1
  maxconn 8192
  tune.h2.max-concurrent-streams 128
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  unique-id-format %{+X}o%ci%cp%Ts%rt
  unique-id-header X-Request-Id
  retries ${retries}
  retry-on all-retryable-errors
  option redispatch
  timeout connect 1s
  timeout client ${timeoutMs}ms
  timeout server ${timeoutMs}ms
  timeout http-request 10s
  timeout http-keep-alive 60s
frontend clients
  bind 127.0.0.1:${ports.plain} backlog 4096
  bind 127.0.0.1:${ports.h2c} proto h2 backlog 4096
  bind 127.0.0.1:${ports.tls} ssl crt ${folder}/both.pem alpn h2,http/1.1 backlog 4096
  default_backend servers
backend servers
  http-reuse always
  server one 127.0.0.1:${backend} pool-max-conn 512
`;
}
