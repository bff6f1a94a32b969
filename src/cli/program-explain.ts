// The options of `explain`.
import { type Command, Option } from "commander";
import { watchNamespaces } from "./cluster-options.ts";
import { command, examples } from "./command.ts";
import { whereOf, withWhere } from "./where.ts";

export function addExplain(root: Command): void {
  const list = (value: string, before: readonly string[] = []) => [...before, value];
  root.addCommand(
    withWhere(
      command("explain", "say what becomes of a request, and why: virtual host, routes tried, options with their places, what is sent"),
    )
      .argument("<method>", "of the request")
      .argument("<url>", "http://shop.local:8080/api/pets; a path alone is asked of localhost")
      .argument("[folder...]", "folders, or - for stdin")
      .addOption(new Option("-H, --header <header>", "header of the request, `name: value`; may be repeated").argParser(list))
      .addOption(new Option("-a, --all", "every route: also those far off, and those that match too and come later"))
      .addOption(new Option("-o, --output <format>", "").choices(["text", "json"]).default("text"))
      .addOption(new Option("--proxy-name <name>", "which proxy: name, or namespace~name").env("HEADWORKS_PROXY_NAME"))
      .addOption(watchNamespaces())
      .addOption(
        new Option("--server <url>", "admin API of the running Headworks").default("http://127.0.0.1:9091").env("HEADWORKS_SERVER"),
      )
      .addOption(new Option("--token-file <file>", "token of that admin API").env("HEADWORKS_ADMIN_TOKEN_FILE"))
      .addOption(new Option("--config <file>", "settings in TypeScript: own Upstream types").env("HEADWORKS_CONFIG"))
      .addHelpText(
        "before",
        examples([
          ["headworks explain GET http://shop.local:8080/api/pets ./config", ""],
          ["headworks explain POST http://shop.local/pay ./config -H 'x-user: al' --all", "with the runners-up"],
          ["headworks explain GET http://shop.local:8080/api/pets", "as the Headworks that runs here has it"],
          ["headworks explain GET https://shop.local/ --source kubernetes", "what the cluster of your kubeconfig has"],
        ]),
      )
      .addHelpText(
        "after",
        "Without a folder or a cluster, a running Headworks is asked (--server). Nothing is sent. The exit code is 0 where somebody answers, 1 where nobody does.",
      )
      .action(async (method: string, url: string, folders: string[], options, self: Command) => {
        const { explainRequest } = await import("./explain.ts");
        process.exitCode = await explainRequest({ method, url }, whereOf(self, folders), options);
      }),
  );
}
