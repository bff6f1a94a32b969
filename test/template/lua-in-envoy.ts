// The Lua half of templates in a real Envoy, many messages at a time: a request carries a list of changes and messages, the response what
// became of each. What the script does here is what it does on Envoy's own messages, but for where headers and body come from.

import { dumpJson } from "../../src/template/json.ts";
import { smaller } from "../../src/template/lua/smaller.ts";
import { luaTemplates } from "../../src/template/lua/source.ts";
import type { ChangeProgram } from "../../src/template/program.ts";
import { type Message, type Outcome, prepareChange } from "../../src/template/stage.ts";
import { type RunningEnvoy, startEnvoy } from "../servers/envoy.ts";
import { freePorts } from "../servers/ports.ts";

/** A message as it travels: all texts are bytes, written in base64. */
export interface Sample {
  readonly change: ChangeProgram;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly requestHeaders?: readonly (readonly [string, string])[];
}

/** What both back-ends are compared by. */
export type Result =
  | { readonly refused: string }
  | { readonly headers: readonly (readonly [string, string])[]; readonly body?: string; readonly metadata: readonly string[] };

const harness = `
local function headersOf(list)
  local headers = {list = {}}
  for i, pair in ipairs(list) do headers.list[i] = {pair[1], decode64(pair[2], standard)} end
  function headers:getAtIndex(name)
    for _, pair in ipairs(self.list) do if pair[1] == name then return pair[2] end end
    return nil
  end
  function headers:remove(name)
    local kept = {}
    for _, pair in ipairs(self.list) do if pair[1] ~= name then kept[#kept + 1] = pair end end
    self.list = kept
  end
  function headers:add(name, value) self.list[#self.list + 1] = {name, value} end
  function headers:replace(name, value)
    local kept, is = {}, false
    for _, pair in ipairs(self.list) do
      if pair[1] ~= name then kept[#kept + 1] = pair elseif not is then kept[#kept + 1] = {name, value} is = true end
    end
    if not is then kept[#kept + 1] = {name, value} end
    self.list = kept
  end
  return headers
end
local function run(sample)
  local change = M.changeReady(sample.change)
  local body = decode64(sample.body, standard)
  local headers = headersOf(sample.headers)
  local asked = sample.requestHeaders and headersOf(sample.requestHeaders) or headers
  local around = {
    header = function(name) return headers:getAtIndex(name) or "" end,
    requestHeader = function(name) return asked:getAtIndex(name) or "" end,
    env = function(name) return "env of " .. name end,
    dynamicMetadata = function(namespace, path) return object({namespace = namespace, path = array(path)}) end,
    random = function(pattern) return "random of " .. pattern end,
  }
  local result = object({metadata = array()})
  local written
  if change.envelope then
    written = M.envelope(change.envelope, headers.list, body)
    headers:replace("content-type", "application/json")
  else
    local done = M.render(change, body, around)
    written = done.body
    for i, each in ipairs(done.metadata) do
      local value = each.value
      if type(value) ~= "string" then value = "json " .. J.dump(value) end
      result.metadata[i] = encode64(each.namespace .. " " .. each.key .. " " .. value, standard, "=")
    end
    M.apply(change, done, headers)
    if written == "" then headers:remove("content-type") end
  end
  if written then result.body = encode64(written, standard, "=") end
  result.headers = array()
  for i, pair in ipairs(headers.list) do result.headers[i] = array({pair[1], encode64(pair[2], standard, "=")}) end
  return result
end
function envoy_on_request(handle)
  local body = handle:body()
  local samples = J.parse(body:getBytes(0, body:length()))
  local results = array()
  for i, sample in ipairs(samples) do
    local ok, result = pcall(run, sample)
    if not ok then result = object({refused = type(result) == "table" and "bad request: " .. result.why or "lua: " .. tostring(result)}) end
    results[i] = result
  end
  handle:respond({[":status"] = "200"}, J.dump(results))
end
`;

// base64 of the harness knows its padding.
const source = `${luaTemplates}\n${harness
  .replaceAll("decode64(", "unpadded(")
  .replace(
    "local function headersOf",
    'local function unpadded(text, alphabet) return decode64((gsub(text, "=", "")), alphabet) end\nlocal function headersOf',
  )}`;

export interface LuaInEnvoy extends AsyncDisposable {
  readonly envoy: RunningEnvoy;
  run(samples: readonly Sample[]): Promise<readonly Result[]>;
}

export async function luaInEnvoy(): Promise<LuaInEnvoy> {
  const [port = 0, adminPort = 0] = await freePorts(2);
  const envoy = await startEnvoy(bootstrap(port, adminPort), adminPort);
  return {
    envoy,
    async run(samples) {
      const sent = samples.map(({ change, headers, body, requestHeaders }) => ({
        change,
        headers: headers.map(encoded),
        body: base64(body),
        ...(requestHeaders && { requestHeaders: requestHeaders.map(encoded) }),
      }));
      const answer = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: JSON.stringify(sent) });
      const text = await answer.text();
      if (answer.status !== 200 || !text.startsWith("[")) throw new Error(`${answer.status} ${text}\n${envoy.log()}`);
      return JSON.parse(text) as Result[];
    },
    [Symbol.asyncDispose]: () => envoy.kill(),
  };
}

/** The same by closures. */
export function byClosures({ change, headers, body, requestHeaders }: Sample): Result {
  const message: Message = {
    headers,
    body,
    isResponse: requestHeaders !== undefined,
    ...(requestHeaders && { requestHeaders }),
    env: (name) => `env of ${name}`,
    dynamicMetadata: (namespace, path) =>
      new Map<string, string | readonly string[]>([
        ["namespace", namespace],
        ["path", path],
      ]),
    random: (pattern) => `random of ${pattern}`,
  };
  return resultOf(prepareChange(JSON.parse(JSON.stringify(change)) as ChangeProgram).apply(message));
}

function resultOf(outcome: Outcome): Result {
  if (outcome.kind === "refused") return { refused: outcome.why };
  return {
    ...(outcome.body !== undefined && { body: base64(outcome.body) }),
    headers: outcome.headers.map(encoded),
    metadata: outcome.metadata.map(({ namespace, key, value }) =>
      base64(`${namespace} ${key} ${typeof value === "string" ? value : `json ${dumpJson(value)}`}`),
    ),
  };
}

const base64 = (bytes: string) => Buffer.from(bytes, "latin1").toString("base64");
const encoded = ([name, value]: readonly [string, string]): readonly [string, string] => [name, base64(value)];

function bootstrap(port: number, adminPort: number): object {
  const typed = (name: string, type: string, config: object) => ({
    name,
    typedConfig: { "@type": `type.googleapis.com/envoy.extensions.filters.${type}`, ...config },
  });
  const manager = typed("hcm", "network.http_connection_manager.v3.HttpConnectionManager", {
    statPrefix: "http",
    routeConfig: { virtualHosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, directResponse: { status: 500 } }] }] },
    httpFilters: [
      typed("lua", "http.lua.v3.Lua", { defaultSourceCode: { inlineString: smaller(source) } }),
      typed("router", "http.router.v3.Router", {}),
    ],
  });
  const address = (portValue: number) => ({ socketAddress: { address: "127.0.0.1", portValue } });
  return {
    admin: { address: address(adminPort) },
    staticResources: {
      listeners: [{ name: "l", address: address(port), perConnectionBufferLimitBytes: 33_554_432, filterChains: [{ filters: [manager] }] }],
    },
  };
}
