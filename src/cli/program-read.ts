// The options of commands that only read.
import { type Command, Option } from "commander";
import { watchNamespaces } from "./cluster-options.ts";
import { command, examples, group } from "./command.ts";
import { withDataPlane } from "./program-proxy.ts";
import { whereOf, withWhere } from "./where.ts";

export function addReading(root: Command): void {
  addCheck(root);
  addTranslate(root);
  addGet(root);
  addProxy(root);
  addMigrate(root);
}

const folderText = "folders, or - for stdin";
const configOption = () => new Option("--config <file>", "settings in TypeScript: own Upstream types").env("HEADWORKS_CONFIG");
const serverOption = () =>
  new Option("--server <url>", "admin API of the running Headworks").default("http://127.0.0.1:9091").env("HEADWORKS_SERVER");
const tokenOption = () => new Option("--token-file <file>", "token of that admin API").env("HEADWORKS_ADMIN_TOKEN_FILE");
export const namespaceOption = () =>
  new Option("-n, --namespace <namespace>", "in this namespace").default("gloo-system").env("HEADWORKS_NAMESPACE");

function addCheck(root: Command): void {
  root.addCommand(
    withWhere(command("check", "find what is wrong in configuration, without running it"))
      .argument("[folder...]", folderText)
      .addOption(
        new Option("-o, --output <format>", "how to print findings").choices(["pretty", "json", "github", "sarif"]).default("pretty"),
      )
      .addOption(new Option("--fail-on <severity>", "what makes the exit code 1").choices(["error", "warning"]).default("error"))
      .addOption(new Option("-q, --quiet", "no summary"))
      .addOption(watchNamespaces("of a cluster, read only these"))
      .addOption(configOption())
      .addHelpText(
        "before",
        examples([
          ["headworks check ./config", ""],
          ["helm template . | headworks check -", "what a chart makes"],
          ["headworks check --source kubernetes", "what the cluster of your kubeconfig has"],
          ["headworks check ./config -o github", "as annotations in a pull request"],
        ]),
      )
      .action(async (folders: string[], options, self: Command) => {
        const { check } = await import("./check.ts");
        process.exitCode = await check(whereOf(self, folders), options);
      }),
  );
}

function addTranslate(root: Command): void {
  root.addCommand(
    withWhere(command("translate", "print the Envoy configuration that a folder or a cluster comes to"))
      .argument("[folder...]", folderText)
      .addOption(new Option("-o, --output <format>", "").choices(["json", "yaml"]).default("yaml"))
      .addOption(new Option("--proxy-name <name>", "which proxy: name, or namespace~name").env("HEADWORKS_PROXY_NAME"))
      .addOption(watchNamespaces("of a cluster, read only these"))
      .addOption(configOption())
      .addHelpText("before", examples([["headworks translate ./config -o json | jq .clusters", ""]]))
      .action(async (folders: string[], options, self: Command) => {
        const { translate } = await import("./translate.ts");
        process.exitCode = await translate(whereOf(self, folders), options);
      }),
  );
}

function addGet(root: Command): void {
  root.addCommand(
    withWhere(command("get", "list resources with their statuses"))
      .argument("<kind>", "upstreams, virtualservices, routetables, gateways, proxies … or a short name: us, vs, rt, gw")
      .argument("[name]", "only this one; or the word `route`")
      .argument("[of]", "the VirtualService or RouteTable whose routes are listed")
      .addOption(new Option("-o, --output <format>", "").choices(["table", "wide", "json", "yaml", "name", "kube-yaml"]).default("table"))
      .addOption(namespaceOption())
      .addOption(new Option("-A, --all-namespaces", "in all of them"))
      .addOption(new Option("-l, --selector <labels>", "only those with these labels: a=b,c!=d,e in (f,g),h,!i"))
      .addOption(new Option("-f, --folder <folder...>", "read these folders instead of asking a running Headworks"))
      .addOption(new Option("--name <name>", "glooctl's way to name it").hideHelp())
      .addOption(serverOption())
      .addOption(tokenOption())
      .addOption(configOption())
      .addHelpText(
        "before",
        examples([
          ["headworks get upstreams", "of the Headworks that runs here"],
          ["headworks get vs -A -f ./config", "of a folder"],
          ["headworks get us petstore -o yaml --source kubernetes", "of a cluster, with the statuses that are stored there"],
          ["headworks get vs route petstore", "its routes, with their numbers"],
        ]),
      )
      .addHelpText("after", "With neither, a running Headworks is asked (--server).")
      .action(async (kind: string, name: string | undefined, of: string | undefined, options, self: Command) => {
        const { get } = await import("./get.ts");
        process.exitCode = await get({ kind, name, of }, whereOf(self, options.folder), options);
      }),
  );
}

function addProxy(root: Command): void {
  const ask = (name: "url" | "address", what: string) =>
    withWhere(command(name, what))
      .addOption(namespaceOption())
      .addOption(new Option("--name <name>", "the proxy; in a cluster, its Service").default("gateway-proxy"))
      .addOption(new Option("--port <port>", "which port: its name in the Service, http or https, or its number").default("http"))
      .addOption(new Option("-f, --folder <folder...>", "of these folders instead of a running Headworks"))
      .addOption(serverOption())
      .addOption(tokenOption())
      .addOption(configOption())
      .addHelpText("before", examples([[`curl $(headworks proxy url)/api/pets`, ""]]))
      .addHelpText("after", "With neither, a running Headworks is asked (--server).")
      .action(async (options, self: Command) => {
        const { proxyUrl } = await import("./proxy-url.ts");
        process.exitCode = await proxyUrl(name, whereOf(self, options.folder), options);
      });
  root.addCommand(
    withDataPlane(
      group(
        "proxy",
        "run a data plane that is served over xDS; or say where one takes requests",
        ask("url", "print its URL and nothing else"),
        ask("address", "print its host and port and nothing else"),
      ),
    ),
  );
}

function addMigrate(root: Command): void {
  root.addCommand(
    group(
      "migrate",
      "coming from Gloo Edge",
      withWhere(command("assess", "what of a Gloo installation runs as it is, what with a warning, what not"))
        .argument("[folder...]", folderText)
        .addOption(new Option("-o, --output <format>", "").choices(["pretty", "json"]).default("pretty"))
        .addOption(new Option("-n, --namespace <namespace>", "where Gloo is installed").default("gloo-system").env("HEADWORKS_NAMESPACE"))
        .addOption(watchNamespaces("of a cluster, read only these"))
        .addOption(configOption())
        .addHelpText(
          "before",
          examples([
            ["headworks migrate assess --source kubernetes", "the cluster of your kubeconfig; nothing is written"],
            ["headworks migrate assess ./config", "a folder, or a dump of a cluster"],
          ]),
        )
        .action(async (folders: string[], options, self: Command) => {
          const { assess } = await import("./assess.ts");
          process.exitCode = await assess(whereOf(self, folders), options);
        }),
    ),
  );
}
