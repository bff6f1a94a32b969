// The route that `add route` makes from its options, which are glooctl's. Pure.
import { CommandError } from "./exit.ts";

export interface RouteFlags {
  readonly pathPrefix?: string;
  readonly pathExact?: string;
  readonly pathRegex?: string;
  readonly method?: readonly string[];
  readonly header?: readonly string[];
  readonly queryParameter?: readonly string[];
  readonly destName?: string;
  readonly destNamespace: string;
  readonly upstreamGroupName?: string;
  readonly upstreamGroupNamespace: string;
  readonly delegateName?: string;
  readonly delegateNamespace: string;
  readonly restFunctionName?: string;
  readonly restParameters?: readonly string[];
  readonly awsFunctionName?: string;
  readonly awsUnescape?: boolean;
  readonly awsAlbUnwrap?: boolean;
  readonly awsApiGwUnwrap?: boolean;
  readonly prefixRewrite?: string;
  readonly routeName?: string;
}

export function routeSpec(flags: RouteFlags): unknown {
  return {
    ...(flags.routeName !== undefined && { name: flags.routeName }),
    matchers: [matcher(flags)],
    ...action(flags),
    ...(flags.prefixRewrite !== undefined && { options: { prefixRewrite: flags.prefixRewrite } }),
  };
}

function matcher({ pathPrefix, pathExact, pathRegex, method, header, queryParameter }: RouteFlags): unknown {
  const paths = Object.entries({ prefix: pathPrefix, exact: pathExact, regex: pathRegex }).filter(([, path]) => path !== undefined);
  if (paths.length > 1) throw new CommandError("one path: --path-prefix, --path-exact or --path-regex");
  for (const path of [pathPrefix, pathExact])
    if (path !== undefined && !path.startsWith("/")) throw new CommandError(`a path begins with "/"; no request has "${path}"`);
  return {
    ...(paths.length === 0 ? { prefix: "/" } : Object.fromEntries(paths)),
    ...(method && { methods: method.map((each) => each.toUpperCase()) }),
    ...(header && { headers: header.map((each) => condition(each, "--header")) }),
    ...(queryParameter && { queryParameters: queryParameter.map((each) => condition(each, "--queryParameter")) }),
  };
}

/** `name`: it is there. `name=value` or `name:value`: it matches this regular expression. */
function condition(text: string, option: string): unknown {
  const [, name, value] = /^([^=:\s]+)\s*(?:[=:]\s*(.*))?$/.exec(text) ?? [];
  if (name === undefined) throw new CommandError(`${option} takes name or name=value; "${text}" is neither`);
  return value ? { name, value, regex: true } : { name };
}

function action(flags: RouteFlags): object {
  const { destName, upstreamGroupName, delegateName } = flags;
  const said = Object.entries({ "--dest-name": destName, "--upstream-group-name": upstreamGroupName, "--delegate-name": delegateName });
  const chosen = said.filter(([, name]) => name !== undefined).map(([option]) => option);
  if (chosen.length !== 1)
    throw new CommandError(
      chosen.length === 0
        ? "where does the route go? --dest-name UPSTREAM, --upstream-group-name GROUP or --delegate-name ROUTETABLE"
        : `${chosen.join(" and ")}: a route goes to one of them`,
    );
  const spec = destinationSpec(flags);
  if (spec && destName === undefined) throw new CommandError("functions belong to an Upstream: --dest-name names it");
  if (upstreamGroupName !== undefined)
    return { routeAction: { upstreamGroup: { name: upstreamGroupName, namespace: flags.upstreamGroupNamespace } } };
  if (delegateName !== undefined) return { delegateAction: { ref: { name: delegateName, namespace: flags.delegateNamespace } } };
  const upstream = { name: destName, namespace: flags.destNamespace };
  return { routeAction: { single: { upstream, ...(spec && { destinationSpec: spec }) } } };
}

function destinationSpec(flags: RouteFlags): object | undefined {
  const { restFunctionName, restParameters, awsFunctionName, awsUnescape, awsAlbUnwrap, awsApiGwUnwrap } = flags;
  if (restFunctionName !== undefined && awsFunctionName !== undefined)
    throw new CommandError("a route calls one function: --rest-function-name or --aws-function-name");
  if (awsFunctionName === undefined && (awsUnescape || awsAlbUnwrap || awsApiGwUnwrap))
    throw new CommandError("--aws-function-name names the function whose response that is about");
  if (restFunctionName === undefined && restParameters)
    throw new CommandError("--rest-function-name names the function of these parameters");
  if (restFunctionName !== undefined) return { rest: { functionName: restFunctionName, ...parameters(restParameters) } };
  if (awsFunctionName === undefined) return undefined;
  return {
    aws: {
      logicalName: awsFunctionName,
      ...(awsUnescape && { responseTransformation: true }),
      ...(awsAlbUnwrap && { unwrapAsAlb: true }),
      ...(awsApiGwUnwrap && { unwrapAsApiGateway: true }),
    },
  };
}

/** `:path=/users/{id}`, `x-user={id}` */
function parameters(list: readonly string[] = []): object {
  const entries = list.map((each) => {
    const at = each.indexOf("=");
    if (at < 1) throw new CommandError(`--rest-parameters takes header=pattern, as in :path=/users/{id}; "${each}" is none`);
    return [each.slice(0, at).replaceAll(/^'|'$/g, ""), each.slice(at + 1).replaceAll(/^'|'$/g, "")] as const;
  });
  const headers = Object.fromEntries(entries.filter(([name]) => name !== ":path"));
  const path = entries.find(([name]) => name === ":path")?.[1];
  if (entries.length === 0) return {};
  return { parameters: { ...(Object.keys(headers).length > 0 && { headers }), ...(path !== undefined && { path }) } };
}
