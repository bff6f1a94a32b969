// The options of `headworks proxy`: the embedded data plane as a process of its own.
import { type Command, InvalidArgumentError, Option } from "commander";
import { command, examples } from "./command.ts";
import { graceOption, logOptions } from "./program-serving.ts";

/** Has a command run a data plane, beside the commands that are below it. */
export function withDataPlane(target: Command): Command {
  target
    .addOption(new Option("--xds <address>", "where the xDS server is: host:port, port or unix:PATH").env("HEADWORKS_XDS"))
    .addOption(new Option("--role <namespace~name>", "which proxy this is").default("gloo-system~gateway-proxy").env("HEADWORKS_ROLE"))
    .addOption(new Option("--node-id <id>", "who this is to the server (default: name.namespace of the role)").env("HEADWORKS_NODE_ID"))
    .addOption(
      new Option("--workers <number>", "processes that share the ports; `auto`: one for each core")
        .default(1)
        .env("HEADWORKS_WORKERS")
        .argParser(workers),
    )
    .addOption(
      new Option("--admin <address>", "probes, metrics and state here, or `none`").default("127.0.0.1:9092").env("HEADWORKS_ADMIN"),
    )
    .addOption(
      new Option("--admin-token-file <file>", "token that the admin API asks for; needed off loopback").env("HEADWORKS_ADMIN_TOKEN_FILE"),
    )
    .addOption(new Option("--xds-ca <file>", "who signs the certificate of the xDS server; TLS is used").env("HEADWORKS_XDS_CA"))
    .addOption(new Option("--xds-cert <file>", "certificate that is shown to the xDS server").env("HEADWORKS_XDS_CERT"))
    .addOption(new Option("--xds-key <file>", "its key").env("HEADWORKS_XDS_KEY"))
    .addOption(
      new Option("--xds-server-name <name>", "what the server's certificate says, if not the host that is dialled").env(
        "HEADWORKS_XDS_SERVER_NAME",
      ),
    );
  for (const option of [...logOptions(), graceOption()]) target.addOption(option);
  return target
    .addHelpText(
      "before",
      examples([
        ["headworks run ./config --proxy none", "in one terminal: xDS on 127.0.0.1:9977"],
        ["headworks proxy --xds 127.0.0.1:9977", "in another: a data plane that serves what it is sent"],
        ["headworks proxy --xds 10.0.0.1:9977 --xds-ca ca.pem --xds-cert me.pem --xds-key me.key --workers auto", ""],
      ]),
    )
    .action(async (options) => {
      const { proxy } = await import("./proxy.ts");
      process.exitCode = await proxy(options);
    })
    .addCommand(
      command("worker", "one of the processes of `proxy --workers`; started by it").action(async () => {
        const { proxyWorker } = await import("./proxy-worker.ts");
        await proxyWorker();
      }),
      { hidden: true },
    );
}

/** 0 is `auto`. */
function workers(text: string): number {
  if (text === "auto") return 0;
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError("It is a number from 1 to 999, or auto.");
  return Number(text);
}
