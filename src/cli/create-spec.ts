// The specs that `create` makes from its options. Pure.
import { CommandError } from "./exit.ts";

export interface UpstreamFlags {
  readonly staticHosts?: readonly string[];
  readonly staticOutboundTls?: boolean;
  readonly serviceSpecType?: "rest" | "grpc";
  readonly kubeService?: string;
  readonly kubeServiceNamespace: string;
  readonly kubeServicePort: number;
  readonly kubeServiceLabels?: readonly string[];
  readonly consulService?: string;
  readonly consulServiceTags?: readonly string[];
  readonly awsRegion: string;
  readonly awsSecretName?: string;
  readonly awsSecretNamespace: string;
  readonly awsRoleArn?: string;
  readonly ec2Port: number;
  readonly publicIp?: boolean;
  readonly tagKeyFilters?: readonly string[];
  readonly tagKeyValueFilters?: readonly string[];
  readonly azureAppName?: string;
  readonly azureSecretName?: string;
  readonly azureSecretNamespace: string;
}

export type UpstreamKind = "static" | "kube" | "consul" | "aws" | "ec2" | "azure";

export function upstreamSpec(kind: UpstreamKind, flags: UpstreamFlags): unknown {
  switch (kind) {
    case "static":
      return {
        static: {
          hosts: needed(flags.staticHosts, "--static-hosts", "10.0.0.1:8080,petstore.example:80").map(hostOf),
          ...(flags.staticOutboundTls && { useTls: true }),
          ...serviceSpec(flags),
        },
      };
    case "kube":
      return {
        kube: {
          serviceName: needed(flags.kubeService, "--kube-service", "petstore"),
          serviceNamespace: flags.kubeServiceNamespace,
          servicePort: flags.kubeServicePort,
          ...(flags.kubeServiceLabels && { selector: pairs(flags.kubeServiceLabels, "--kube-service-labels") }),
          ...serviceSpec(flags),
        },
      };
    case "consul":
      return {
        consul: {
          serviceName: needed(flags.consulService, "--consul-service", "petstore"),
          ...(flags.consulServiceTags && { serviceTags: flags.consulServiceTags }),
          ...serviceSpec(flags),
        },
      };
    case "aws":
      return { aws: { region: flags.awsRegion, ...awsAccess(flags) } };
    case "ec2":
      return {
        awsEc2: {
          region: flags.awsRegion,
          ...awsAccess(flags),
          ...(flags.publicIp && { publicIp: true }),
          port: flags.ec2Port,
          ...filters(flags),
        },
      };
    case "azure":
      return {
        azure: {
          functionAppName: needed(flags.azureAppName, "--azure-app-name", "petstore-functions"),
          ...(flags.azureSecretName && { secretRef: { name: flags.azureSecretName, namespace: flags.azureSecretNamespace } }),
        },
      };
  }
}

export function virtualServiceSpec(flags: { readonly domains?: readonly string[]; readonly displayName?: string }): unknown {
  return {
    ...(flags.displayName !== undefined && { displayName: flags.displayName }),
    virtualHost: { domains: flags.domains ?? ["*"] },
  };
}

/** `gloo-system.petstore-v1=90`: the first point ends the namespace, as names may hold points and namespaces may not. */
export function upstreamGroupSpec(weighted: readonly string[] | undefined): unknown {
  const entries = needed(weighted, "--weighted-upstreams", "gloo-system.petstore-v1=90,gloo-system.petstore-v2=10");
  return {
    destinations: entries.map((entry) => {
      const [, namespace, name, weight] = /^([^.=]+)\.([^=]+)=(\d+)$/.exec(entry) ?? [];
      if (name === undefined)
        throw new CommandError(`--weighted-upstreams takes namespace.name=weight, as in gloo-system.petstore=90; "${entry}" is none`);
      return { destination: { upstream: { name, namespace } }, weight: Number(weight) };
    }),
  };
}

/** `host:port`; glooctl's port where none is written is 80. */
function hostOf(text: string): { addr: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text) ?? [];
  const addr = bracketed ?? plain;
  if (addr === undefined || Number(port ?? 80) > 65535 || Number(port ?? 80) < 1)
    throw new CommandError(`--static-hosts takes host:port, as in 10.0.0.1:8080 or [::1]:8080; "${text}" is none`);
  return { addr, port: Number(port ?? 80) };
}

function serviceSpec({ serviceSpecType }: UpstreamFlags): object {
  return serviceSpecType === undefined ? {} : { serviceSpec: { [serviceSpecType]: {} } };
}

function awsAccess({ awsSecretName, awsSecretNamespace, awsRoleArn }: UpstreamFlags): object {
  return {
    ...(awsSecretName && { secretRef: { name: awsSecretName, namespace: awsSecretNamespace } }),
    ...(awsRoleArn && { roleArn: awsRoleArn }),
  };
}

function filters({ tagKeyFilters = [], tagKeyValueFilters = [] }: UpstreamFlags): object {
  const all = [
    ...tagKeyFilters.map((key) => ({ key })),
    ...Object.entries(pairs(tagKeyValueFilters, "--tag-key-value-filters")).map(([key, value]) => ({ kvPair: { key, value } })),
  ];
  return all.length > 0 ? { filters: all } : {};
}

function pairs(list: readonly string[], option: string): Record<string, string> {
  return Object.fromEntries(
    list.map((each) => {
      const at = each.indexOf("=");
      if (at < 1) throw new CommandError(`${option} takes key=value; "${each}" is none`);
      return [each.slice(0, at), each.slice(at + 1)];
    }),
  );
}

function needed<T extends string | readonly string[]>(value: T | undefined, option: string, example: string): T {
  if (value !== undefined && value.length > 0) return value;
  throw new CommandError(`${option} is missing, as in ${option} ${example}`);
}
