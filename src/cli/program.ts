// The commands and their options: what `--help` shows. Each command's work is in its own file, loaded when it is called, so that
// `check` does not wait for what only `run` needs.
import { Argument, type Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { packageVersion } from "../lib/package-root.ts";
import { withWatch, withWebhook } from "./cluster-options.ts";
import { command, describeFully, examples } from "./command.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { addDefinitions } from "./program-crds.ts";
import { addExplain } from "./program-explain.ts";
import { addReading } from "./program-read.ts";
import { graceOption, logOptions } from "./program-serving.ts";
import { addWriting } from "./program-write.ts";
import { endQuietlyOnClosedPipe, painter, print, say, setColor } from "./terminal.ts";

/** Runs one command line. Sets the exit code and lets the process end by itself, so that output is never cut off. */
export async function main(argv: readonly string[]): Promise<void> {
  endQuietlyOnClosedPipe();
  try {
    const root = program(argv);
    if (argv.length <= 2) root.outputHelp();
    else await root.parseAsync([...argv]);
  } catch (error) {
    process.exitCode = explain(error);
  }
}

function explain(error: unknown): number {
  // Commander has already said it, or it is --help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const paint = painter(process.stderr);
  if (error instanceof CommandError) {
    say(`${paint("red", "error:")} ${error.message}`);
    if (error.hint) say(error.hint);
    return error.exitCode;
  }
  say(`${paint("red", "error:")} a fault of Headworks itself, not of your configuration; please report it`);
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return exitCodes.fault;
}

export function program(argv: readonly string[] = []): Command {
  const root = command("headworks", "API gateway control plane that runs gloo.solo.io configuration")
    .version(packageVersion, "-V, --version", "print the version")
    .addOption(
      new Option("--color <when>", "colour the output")
        .choices(["auto", "always", "never"])
        .default("auto")
        .env("HEADWORKS_COLOR")
        .argParser((value: string) => {
          if (value !== "auto" && value !== "always" && value !== "never")
            throw new InvalidArgumentError("Allowed choices are auto, always, never.");
          setColor(value);
          return value;
        }),
    )
    .addHelpText(
      "before",
      examples([
        ["headworks demo", "a gateway and something behind it, in a second"],
        ["headworks run ./config", "serve a folder, follow its changes"],
        ["headworks check ./config", "all findings, with their places"],
      ]),
    );

  addRun(root);
  addDemo(root);
  addReading(root);
  addExplain(root);
  addWriting(root);
  addTemplate(root);
  addSmall(root);
  if (argv.includes("--help")) {
    root.addHelpText("after", longHelp);
    describeFully(root);
  }
  return root;
}

const longHelp = `
Exit codes: 0 ok · 1 findings · 2 wrong usage or unreadable input · 3 server not reached · 4 refused · 70 fault of Headworks · 130 interrupted
Data is printed on stdout, everything else on stderr. Options can be set in the environment: --proxy is HEADWORKS_PROXY.
Documentation: docs/ in the repository; \`headworks help HW1003\` explains a finding.`;

function addRun(root: Command): void {
  const run = withWebhook(withWatch(withServing(command("run", "serve a folder or a cluster, and follow its changes"))))
    .argument("[folder]", "a folder with YAML or JSON, as Kubernetes objects or in Gloo's file layout")
    .addOption(
      new Option("--source <which>", "where the configuration is")
        .choices(["files", "kubernetes"])
        .default("files")
        .env("HEADWORKS_SOURCE"),
    )
    .addOption(new Option("--read-only", "of a cluster: write nothing to it, no statuses and no Lease").env("HEADWORKS_READ_ONLY"))
    .addHelpText(
      "before",
      examples([
        ["headworks run ./config", "on the embedded data plane"],
        ["headworks run ./config --proxy envoy", "the same on Envoy, started and watched over"],
        ["headworks run ./config --proxy none", "for Envoys that come by themselves: xDS on 127.0.0.1:9977"],
        ["headworks run --source kubernetes", "what is in the cluster of the current context"],
      ]),
    )
    .action(async (folder: string | undefined, options) => {
      // Before anything is loaded, which makes it grow as well.
      if (options.source === "kubernetes") (await import("../lib/young-generation.ts")).keepYoungGenerationSmall();
      const { run } = await import("./run.ts");
      process.exitCode = await run(folder, options);
    });
  root.addCommand(run);
}

function addDemo(root: Command): void {
  root.addCommand(
    withServing(command("demo", "a petstore with a gateway in front, to try things on"))
      .addHelpText("before", examples([["headworks demo", "then: curl localhost:8080/api/pets"]]))
      .action(async (options) => {
        const { demo } = await import("./demo.ts");
        process.exitCode = await demo(options);
      }),
  );
  root.addCommand(
    command("petstore", "only the backend of the demo, for `run examples/petstore`")
      .addOption(new Option("--listen <address>", "where it listens").default("127.0.0.1:9090"))
      .action(async (options) => {
        const { petstore } = await import("./petstore-command.ts");
        process.exitCode = await petstore(options);
      }),
  );
}

function withServing(target: Command): Command {
  target
    .addOption(
      new Option("--proxy <which>", "what carries the traffic")
        .choices(["embedded", "envoy", "none"])
        .default("embedded")
        .env("HEADWORKS_PROXY"),
    )
    .addOption(
      new Option(
        "--xds <address>",
        "serve xDS here: host:port, port or unix:PATH (default: 127.0.0.1:9977 with --proxy none, a private socket with envoy)",
      ).env("HEADWORKS_XDS"),
    )
    .addOption(
      new Option("--xds-tls-cert <file>", "certificate of the xDS server; off loopback it needs TLS and a client CA").env(
        "HEADWORKS_XDS_TLS_CERT",
      ),
    )
    .addOption(new Option("--xds-tls-key <file>", "its key").env("HEADWORKS_XDS_TLS_KEY"))
    .addOption(new Option("--xds-client-ca <file>", "who signs the certificates that xDS clients must show").env("HEADWORKS_XDS_CLIENT_CA"))
    .addOption(
      new Option(
        "--xds-insecure",
        "serve xDS off loopback without that: whoever reaches it can read everything, private keys included",
      ).env("HEADWORKS_XDS_INSECURE"),
    )
    .addOption(new Option("--proxy-name <name>", "the proxy that is run here").default("gateway-proxy").env("HEADWORKS_PROXY_NAME"))
    .addOption(new Option("--admin <address>", "admin API here, or `none`").default("127.0.0.1:9091").env("HEADWORKS_ADMIN"))
    .addOption(
      new Option("--admin-token-file <file>", "token that the admin API asks for; needed off loopback").env("HEADWORKS_ADMIN_TOKEN_FILE"),
    )
    .addOption(new Option("--state-dir <folder>", "remember good versions here across restarts").env("HEADWORKS_STATE_DIR"))
    .addOption(new Option("--envoy <path>", "the Envoy to start with --proxy envoy").env("HEADWORKS_ENVOY"))
    .addOption(
      new Option("--config <file>", "settings in TypeScript: own Upstream types (default: headworks.config.ts)").env("HEADWORKS_CONFIG"),
    );
  for (const option of [...logOptions(), graceOption()]) target.addOption(option);
  return target;
}

function addTemplate(root: Command): void {
  const list = (value: string, before: readonly string[] = []) => [...before, value];
  const template = command("template", "templates of transformations").helpCommand(false);
  template.addCommand(
    command("test", "run a template, or the transformations of a route, on a sample")
      .argument("[template]", "text, @file, or - for stdin")
      .addOption(new Option("-d, --data <body>", "body of the request: text, @file, or - for stdin"))
      .addOption(new Option("-H, --header <header>", "header of the request, `name: value`; may be repeated").argParser(list))
      .addOption(new Option("-X, --method <method>", "method of the request").default("GET"))
      .addOption(new Option("--path <path>", "path of the request").default("/"))
      .addOption(new Option("--advanced", "variables are JSON pointers, as with advancedTemplates"))
      .addOption(new Option("--escape", "escape texts, as with escapeCharacters"))
      .addOption(new Option("-f, --folder <folder...>", "run the transformations of a route of this configuration instead"))
      .addOption(new Option("--virtual-service <name>", "of this VirtualService: name, or namespace.name"))
      .addOption(new Option("--route <number>", "which of its routes, from 0 (default: the first that is transformed)").argParser(Number))
      .addOption(new Option("--status <code>", "show a response, too: its status"))
      .addOption(new Option("--response-header <header>", "header of the response; may be repeated").argParser(list))
      .addOption(new Option("--response-data <body>", "body of the response: text, @file, or -"))
      .addOption(new Option("-o, --output <format>", "").choices(["text", "json"]).default("text"))
      .addOption(new Option("--config <file>", "settings in TypeScript: own Upstream types").env("HEADWORKS_CONFIG"))
      .addHelpText(
        "before",
        examples([
          ["headworks template test '{{ upper(name) }}' -d '{\"name\": \"Rex\"}'", "a template"],
          ["headworks template test -f ./config --virtual-service store -X POST -d @body.json", "what a route sends on"],
        ]),
      )
      .action(async (text: string | undefined, options) => {
        const { templateTest } = await import("./template.ts");
        process.exitCode = await templateTest(text, options);
      }),
  );
  root.addCommand(template);
}

function addSmall(root: Command): void {
  root.addCommand(
    command("version", "print the versions of what runs here")
      .addOption(new Option("-o, --output <format>", "").choices(["text", "json"]).default("text"))
      .action(async (options) => {
        const { version } = await import("./version.ts");
        version(options);
      }),
  );
  addDefinitions(root);
  root.addCommand(
    command("completion", "print a script that completes commands in a shell")
      .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
      .addHelpText(
        "before",
        examples([
          ["source <(headworks completion bash)", "in ~/.bashrc; with zsh alike"],
          ["headworks completion fish > ~/.config/fish/completions/headworks.fish", ""],
        ]),
      )
      .action(async (shell: "bash" | "zsh" | "fish") => {
        const { completionScript } = await import("./completion.ts");
        print(completionScript(shell));
      }),
  );
  root.addCommand(
    command("complete", "what may come next; asked by those scripts")
      .argument("[words...]")
      .action(async (words: string[]) => {
        const { completions } = await import("./completion.ts");
        print(completions(root, words).join("\n"));
      }),
    { hidden: true },
  );
  root.helpCommand(false);
  root.addCommand(
    command("help", "explain a command, or the code of a finding")
      .argument("[topic...]", "a command, as in crds diff, or a code such as HW1003")
      .action(async (topics: readonly string[]) => {
        const found = commandNamed(root, topics);
        if (found) return found.outputHelp();
        const { helpCode } = await import("./help-code.ts");
        return helpCode(topics.join(" "));
      }),
  );
}

/** `crds diff`: the command at the end of the names; undefined when one of them is none. */
function commandNamed(root: Command, names: readonly string[]): Command | undefined {
  return names.reduce<Command | undefined>((parent, name) => parent?.commands.find((each) => each.name() === name), root);
}
