// The options of commands that write: named as glooctl's, for folders and clusters alike.
import { type Command, InvalidArgumentError, Option } from "commander";
import { watchNamespaces } from "./cluster-options.ts";
import { commaList, command, examples, group } from "./command.ts";
import { whereOf, withWhere } from "./where.ts";

export function addWriting(root: Command): void {
  addCreate(root);
  addDelete(root);
  addRoutes(root);
}

const kindsOfUpstream = {
  static: "hosts and ports that you name",
  kube: "a Service of Kubernetes",
  consul: "a service of Consul",
  aws: "functions of AWS Lambda",
  ec2: "machines of AWS EC2, by their tags",
  azure: "functions of Azure",
} as const;

/** Has to be here: create-secret.ts is loaded when a secret is made. */
const kindsOfSecret = {
  tls: "a certificate and its key",
  aws: "keys of AWS",
  azure: "keys of Azure Functions",
  header: "headers with values that nobody may read",
  apikey: "an API key, for auth servers",
  oauth: "the client secret of an OAuth client",
  authcredentials: "a user name and a password",
  encryptionkey: "a key to encrypt sessions with",
} as const;

function withWriting(target: Command, folderFlags = "-f, --folder <folder>"): Command {
  return withWhere(target)
    .addOption(new Option("--name <name>", "the name, where it is no argument"))
    .addOption(new Option("-n, --namespace <namespace>", "in this namespace").default("gloo-system").env("HEADWORKS_NAMESPACE"))
    .addOption(new Option(folderFlags, "write into this folder, or this file"))
    .addOption(new Option("--dry-run", "print it, and write nothing"))
    .addOption(new Option("-o, --output <format>", "print the object as it is then").choices(["yaml", "kube-yaml", "json", "name"]))
    .addOption(watchNamespaces().hideHelp())
    .addOption(new Option("--config <file>", "settings in TypeScript: own Upstream types").env("HEADWORKS_CONFIG"))
    .addHelpText("after", "What was written is judged at once; exit code 1: it is there, and there are errors.");
}

function withFile(target: Command): Command {
  return target.addOption(new Option("--file <file>", "this file of the folder (default: KIND/NAMESPACE/NAME.yaml)"));
}

const placeOf = (self: Command) => {
  const folder = self.opts<{ folder?: string }>().folder;
  return whereOf(self, folder === undefined ? [] : [folder]);
};

function addCreate(root: Command): void {
  const upstreams = (Object.keys(kindsOfUpstream) as (keyof typeof kindsOfUpstream)[]).map((kind) => {
    const target = withFile(withWriting(withUpstream(kind, command(kind, kindsOfUpstream[kind]))));
    return target.argument("[name]").action(async (name: string | undefined, options, self: Command) => {
      const [{ create, objectOf }, { upstreamSpec }, { refOf }] = await creating();
      const ref = refOf(name, options, "an Upstream");
      process.exitCode = await create(objectOf("Upstream", ref, upstreamSpec(kind, options)), placeOf(self), options);
    });
  });
  const virtualService = command("virtualservice", "domains, to which routes can be added")
    .alias("vs")
    .argument("[name]")
    .addOption(new Option("--domains <names>", "separated by commas (default: *)").argParser(commaList))
    .addOption(new Option("--display-name <text>", "a name for people"))
    .action(async (name: string | undefined, options, self: Command) => {
      const [{ create, objectOf }, { virtualServiceSpec }, { refOf }] = await creating();
      const ref = refOf(name, options, "a VirtualService");
      process.exitCode = await create(objectOf("VirtualService", ref, virtualServiceSpec(options)), placeOf(self), options);
    });
  const upstreamGroup = command("upstreamgroup", "Upstreams with weights, for canaries")
    .alias("ug")
    .argument("[name]")
    .addOption(new Option("--weighted-upstreams <list>", "namespace.name=weight, separated by commas").argParser(commaList))
    .action(async (name: string | undefined, options, self: Command) => {
      const [{ create, objectOf }, { upstreamGroupSpec }, { refOf }] = await creating();
      const ref = refOf(name, options, "an UpstreamGroup");
      process.exitCode = await create(objectOf("UpstreamGroup", ref, upstreamGroupSpec(options.weightedUpstreams)), placeOf(self), options);
    });
  root.addCommand(
    group(
      "create",
      "make an Upstream, a VirtualService, an UpstreamGroup or a Secret",
      group("upstream", "a destination for requests", ...upstreams).alias("us"),
      withFile(withWriting(virtualService)),
      withFile(withWriting(upstreamGroup)),
      group("secret", "values from files, from stdin or from the environment", ...secrets()),
    ).addHelpText(
      "before",
      examples([
        ["headworks create upstream static petstore --static-hosts 10.0.0.1:8080 -f ./config", "a file in a folder"],
        ["headworks create vs shop --domains shop.example --source kubernetes", "an object in a cluster"],
        ["headworks create upstream kube petstore --kube-service petstore --dry-run | kubectl apply -f -", "YAML on stdout"],
        ["headworks create secret aws keys --from-env --source kubernetes", "AWS_ACCESS_KEY_ID and so on"],
      ]),
    ),
  );
}

const creating = () => Promise.all([import("./create.ts"), import("./create-spec.ts"), import("./write.ts")]);

function withUpstream(kind: keyof typeof kindsOfUpstream, target: Command): Command {
  const serviceSpec = new Option("--service-spec-type <type>", "its functions are discovered: Swagger or OpenAPI, gRPC").choices([
    "rest",
    "grpc",
  ]);
  const region = new Option("--aws-region <region>", "where it is").default("us-east-1");
  const secret = (name: "aws" | "azure") => [
    new Option(`--${name}-secret-name <name>`, `the secret with its keys (headworks create secret ${name})`),
    new Option(`--${name}-secret-namespace <namespace>`, "its namespace").default("gloo-system"),
  ];
  const options: Record<keyof typeof kindsOfUpstream, readonly Option[]> = {
    static: [
      new Option("--static-hosts <hosts>", "host:port, separated by commas; port 80 where none is written").argParser(commaList),
      new Option("--static-outbound-tls", "TLS to these hosts (port 443 has it anyway)"),
      serviceSpec,
    ],
    kube: [
      new Option("--kube-service <name>", "the Service"),
      new Option("--kube-service-namespace <namespace>", "its namespace").default("default"),
      new Option("--kube-service-port <port>", "its port").default(80).argParser(port),
      new Option("--kube-service-labels <labels>", "only Pods with these labels: a=b, separated by commas").argParser(commaList),
      serviceSpec,
    ],
    consul: [
      new Option("--consul-service <name>", "the service"),
      new Option("--consul-service-tags <tags>", "only instances with these tags, separated by commas").argParser(commaList),
      serviceSpec,
    ],
    aws: [region, ...secret("aws"), new Option("--aws-role-arn <arn>", "a role to assume")],
    ec2: [
      region,
      ...secret("aws"),
      new Option("--aws-role-arn <arn>", "a role to assume"),
      new Option("--ec2-port <port>", "of the machines").default(80).argParser(port),
      new Option("--public-ip", "their public addresses"),
      new Option("--tag-key-filters <keys>", "tags they must have, separated by commas").argParser(commaList),
      new Option("--tag-key-value-filters <tags>", "tags with values: key=value, separated by commas").argParser(commaList),
    ],
    azure: [new Option("--azure-app-name <name>", "the Function App"), ...secret("azure")],
  };
  for (const option of options[kind]) target.addOption(option);
  return target;
}

function secrets(): Command[] {
  return (Object.keys(kindsOfSecret) as (keyof typeof kindsOfSecret)[]).map((kind) => {
    const target = command(kind, kindsOfSecret[kind]).argument("[name]");
    if (kind === "tls")
      target
        .addOption(new Option("--certchain <file>", "the certificate, and those above it"))
        .addOption(new Option("--privatekey <file>", "its key"))
        .addOption(new Option("--rootca <file>", "the authority that others' certificates are checked with"));
    else {
      target
        .addOption(new Option("--from-file <file>", "lines of key=value; - for stdin"))
        .addOption(new Option("--from-env", "from the usual variables of the environment"));
      for (const name of valueOptionsOf[kind]) target.addOption(new Option(`--${name} [value]`).hideHelp());
    }
    return withFile(withWriting(target)).action(async (name: string | undefined, options, self: Command) => {
      const [{ create }, { secretObject, refuseValue }, { refOf }] = await Promise.all([
        import("./create.ts"),
        import("./create-secret.ts"),
        import("./write.ts"),
      ]);
      for (const each of kind === "tls" ? [] : valueOptionsOf[kind]) {
        const camel = each.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
        if (options[camel] !== undefined) refuseValue(each);
      }
      process.exitCode = await create(secretObject(kind, refOf(name, options, "a Secret"), options), placeOf(self), options);
    });
  });
}

/** What glooctl takes as an argument; here it is explained. */
const valueOptionsOf: Record<Exclude<keyof typeof kindsOfSecret, "tls">, readonly string[]> = {
  aws: ["access-key", "secret-key", "session-token"],
  azure: ["api-keys"],
  header: ["headers"],
  apikey: ["apikey"],
  oauth: ["client-secret"],
  authcredentials: ["username", "password"],
  encryptionkey: ["key"],
};

function addDelete(root: Command): void {
  root.addCommand(
    withWriting(command("delete", "delete an object"))
      .argument("<kind>", "upstream, virtualservice, routetable … or a short name: us, vs, rt")
      .argument("[name]")
      .addHelpText("before", examples([["headworks delete vs petstore -f ./config", ""]]))
      .action(async (kind: string, name: string | undefined, options, self: Command) => {
        const { remove } = await import("./delete.ts");
        process.exitCode = await remove(kind, name, placeOf(self), options);
      }),
  );
}

function addRoutes(root: Command): void {
  // -f is glooctl's short form of --rest-function-name here, so the folder has none.
  const add = command("route", "add a route to a VirtualService or a RouteTable")
    .argument("[name]", "of the VirtualService (default: the one for the domain *; made, where there is none)")
    .addOption(new Option("-p, --path-prefix <prefix>", "paths that begin so (default: /)"))
    .addOption(new Option("-e, --path-exact <path>", "this path"))
    .addOption(new Option("-r, --path-regex <regex>", "paths that match"))
    .addOption(new Option("-m, --method <methods>", "GET, POST …, separated by commas (default: all)").argParser(commaList))
    .addOption(new Option("-d, --header <conditions>", "name, or name=regex; may be repeated").argParser(commaList))
    .addOption(new Option("-q, --queryParameter <conditions>", "name, or name=regex; may be repeated").argParser(commaList))
    .addOption(new Option("-u, --dest-name <upstream>", "the Upstream to send to"))
    .addOption(new Option("-s, --dest-namespace <namespace>", "its namespace").default("gloo-system"))
    .addOption(new Option("--upstream-group-name <group>", "an UpstreamGroup to send to"))
    .addOption(new Option("--upstream-group-namespace <namespace>", "its namespace").default("gloo-system"))
    .addOption(new Option("--delegate-name <routetable>", "a RouteTable to delegate to"))
    .addOption(new Option("--delegate-namespace <namespace>", "its namespace").default("gloo-system"))
    .addOption(new Option("-f, --rest-function-name <function>", "function of the Upstream to call"))
    .addOption(new Option("--rest-parameters <list>", "its parameters: header=pattern, as in :path=/users/{id}").argParser(commaList))
    .addOption(new Option("-a, --aws-function-name <function>", "logical name of the Lambda function to call"))
    .addOption(new Option("--aws-unescape", "its answer is a text in JSON, to be sent as that text"))
    .addOption(new Option("--aws-alb-unwrap", "its answer is in the form of a load balancer"))
    .addOption(new Option("--aws-api-gw-unwrap", "its answer is in the form of an API Gateway"))
    .addOption(new Option("--prefix-rewrite <prefix>", "in the place of the part of the path that matched"))
    .addOption(new Option("--route-name <name>", "a name of its own"))
    .addOption(new Option("-x, --index <number>", "before the route with this number; see `get vs route`").default(0).argParser(index))
    .addOption(new Option("--to-route-table", "the name is of a RouteTable"))
    .addHelpText(
      "before",
      examples([
        ["headworks add route --path-prefix /api --dest-name petstore --folder ./config", "to the VirtualService for all domains"],
        ["headworks add route shop -m GET -e /pets -u petstore -x 2 --source kubernetes", "as its third route"],
      ]),
    )
    .action(async (name: string | undefined, options, self: Command) => {
      const { addRoute } = await import("./routes.ts");
      process.exitCode = await addRoute(name, placeOf(self), options);
    });
  const remove = command("route", "remove a route from a VirtualService or a RouteTable")
    .argument("[name]", "of the VirtualService (default: the one for the domain *)")
    .addOption(new Option("-x, --index <number>", "its number; see `get vs route`").default(0).argParser(index))
    .addOption(new Option("--from-route-table", "the name is of a RouteTable"))
    .action(async (name: string | undefined, options, self: Command) => {
      const { removeRoute } = await import("./routes.ts");
      process.exitCode = await removeRoute(name, placeOf(self), options);
    });
  root.addCommand(group("add", "add a route", withFile(withWriting(add, "--folder <folder>"))));
  root.addCommand(group("remove", "remove a route", withWriting(remove)).alias("rm"));
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 65535) throw new InvalidArgumentError("It is a port, 1 to 65535.");
  return value;
}

function index(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("It is a number, from 0.");
  return Number(text);
}
