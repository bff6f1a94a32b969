// The addresses of all awsEc2 Upstreams, live: DescribeInstances once for each region and set of credentials, again every 30 seconds. Yields
// whole sets when they change. While AWS is away, or refuses, it yields nothing: what was known stays in service; so it does at first where
// AWS says that nothing is running any more, which may be the answer of another account, or of an AWS that is not well.
import { setTimeout as delay } from "node:timers/promises";
import { type Account, runAccounts } from "../../lib/aws/accounts.ts";
import { AwsError, queryAws } from "../../lib/aws/client.ts";
import type { AwsEndpoints } from "../../lib/aws/endpoints.ts";
import { Signer } from "../../lib/aws/signer.ts";
import type { AwsCredentials } from "../../lib/aws/sigv4.ts";
import { all, text } from "../../lib/aws/xml.ts";
import type { Latest } from "../../lib/latest.ts";
import { MassDeleteGuard } from "../../lib/mass-delete-guard.ts";
import { Report } from "../../model/problem.ts";
import { formatRef, type ResourceKey } from "../../model/ref.ts";
import { awsKeys } from "../../plugin/awsAccount.ts";
import type { EdgeContext, EndpointUpdate, TypedUpstream, UpstreamWatch } from "../../plugin/upstream-type.ts";
import { endpointsOf, type Instance, instancesOf } from "./instances.ts";

export interface Ec2World {
  readonly endpoints: AwsEndpoints;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For tests. */
  readonly pace?: {
    readonly everyMs?: number;
    /** How long an answer must stand that lacks most instances after a failure, or all of them. */
    readonly holdMs?: number;
  };
}

type Ec2Upstream = TypedUpstream<"awsEc2">;

const leastMs = 30_000;
const mostMs = 300_000;
const holdMs = 60_000;
const mostPages = 1_000;

export function ec2Endpoints(upstreams: UpstreamWatch<Ec2Upstream>, context: EdgeContext, world: Ec2World): AsyncGenerator<EndpointUpdate> {
  return runAccounts<Ec2Upstream, ResourceKey, EndpointUpdate>(upstreams, {
    keyOf: accountKey,
    begin: (users, updates, signal) => new Ec2Account(users, { ...context, signal }, world, updates),
    onFault: (error) => context.log.error({ error: String(error) }, "EC2: a fault of ours; endpoints stay as they are"),
    signal: context.signal,
  });
}

/** Upstreams with the same key are answered by the same question. */
function accountKey({ spec: { region, secretRef, roleArn } }: Ec2Upstream): string {
  return JSON.stringify([region, secretRef?.namespace, secretRef?.name, roleArn]);
}

/** One region as one set of credentials sees it. */
class Ec2Account implements Account<Ec2Upstream> {
  readonly #context: EdgeContext;
  readonly #world: Ec2World;
  readonly #signer: Signer;
  readonly #guard: MassDeleteGuard;
  readonly #updates: Latest<ResourceKey, EndpointUpdate>;
  readonly #stopped = new AbortController();
  readonly #signal: AbortSignal;
  readonly #said = new Map<ResourceKey, string>();
  readonly #reported = new Set<ResourceKey>();
  #users: readonly Ec2Upstream[];
  #instances: readonly Instance[] | undefined;
  #failures = 0;

  constructor(users: readonly Ec2Upstream[], context: EdgeContext, world: Ec2World, updates: Latest<ResourceKey, EndpointUpdate>) {
    this.#users = users;
    this.#context = context;
    this.#world = world;
    this.#signer = new Signer(world.env, world.endpoints);
    this.#guard = new MassDeleteGuard({ holdMs: world.pace?.holdMs ?? holdMs, atLeast: 1, isReplaceable: true });
    this.#updates = updates;
    this.#signal = AbortSignal.any([context.signal, this.#stopped.signal]);
    void this.#run();
  }

  use(users: readonly Ec2Upstream[]): void {
    this.#users = users;
    const keys = new Set(users.map(({ key }) => key));
    for (const key of this.#said.keys()) if (!keys.has(key)) this.#said.delete(key);
    this.#tell();
  }

  stop(): void {
    this.#stopped.abort();
  }

  async #run(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        this.#take(await this.#read());
        this.#failures = 0;
        this.#reportFault(undefined);
      } catch (error) {
        if (this.#signal.aborted) return;
        // What is only not believed yet is asked for again as usual.
        if (!(error instanceof AwsError && error.code === "Suspect")) this.#failures++;
        this.#signer.forget();
        this.#reportFault(error as Error);
      }
      await delay(this.#pauseMs(), undefined, { signal: this.#signal }).catch(() => undefined);
    }
  }

  /** Throws what is said of an answer that is not believed yet. */
  #take(instances: readonly Instance[]): void {
    const isSuspect = this.#failures > 0 || instances.length === 0;
    if (!this.#guard.believes(this.#before(), idsOf(instances), isSuspect))
      throw new AwsError("Suspect", 200, "most instances are gone at once; if that stays so for a minute, it is believed");
    this.#instances = instances;
    this.#tell();
  }

  /** Before the first answer: what proxies have. */
  #before(): ReadonlySet<string> {
    if (this.#instances) return idsOf(this.#instances);
    const { endpointsInService } = this.#context;
    return new Set(this.#users.flatMap(({ key }) => endpointsInService?.(key) ?? []).map(({ address }) => address));
  }

  /** Longer after each failure, and never in step with other processes. */
  #pauseMs(): number {
    const { refreshRate } = this.#context.settings();
    const wanted = refreshRate ? Number(refreshRate.seconds) * 1000 + refreshRate.nanos / 1e6 : 0;
    const every = this.#world.pace?.everyMs ?? Math.max(leastMs, wanted);
    return Math.min(Math.max(mostMs, every), every * 2 ** Math.min(this.#failures, 10)) * (0.9 + Math.random() * 0.2);
  }

  async #read(): Promise<readonly Instance[]> {
    const [first] = this.#users;
    if (first === undefined) return [];
    const { region } = first.spec;
    const credentials = await this.#credentials(first);
    const found: Instance[] = [];
    const tokens = new Set<string>();
    for (let next = ""; tokens.size < mostPages; ) {
      const answer = await queryAws(
        { service: "ec2", region, endpoints: this.#world.endpoints, credentials, signal: this.#signal },
        {
          Action: "DescribeInstances",
          Version: "2016-11-15",
          MaxResults: "1000",
          "Filter.1.Name": "instance-state-name",
          "Filter.1.Value.1": "running",
          ...(next !== "" && { NextToken: next }),
        },
      );
      // An answer of another shape is not an account without instances.
      if (answer.name !== "DescribeInstancesResponse" || all(answer, "reservationSet").length === 0)
        throw new AwsError("Unreadable", 200, "EC2 answered something else");
      found.push(...instancesOf(answer));
      next = text(answer, "nextToken");
      if (next === "") return found;
      if (tokens.has(next)) throw new AwsError("PagingLoop", 200, "EC2 answers the same page again and again");
      tokens.add(next);
    }
    throw new AwsError("TooMany", 200, `EC2 has more than ${mostPages} pages of instances`);
  }

  /** Of the Secret as it is now: a new one counts at once. */
  #credentials({ spec: { region, secretRef, roleArn } }: Ec2Upstream): Promise<AwsCredentials> {
    const wish = { region, roleArn, ...(secretRef && { keys: this.#secretKeys(secretRef) }) };
    return this.#signer.credentials(wish, this.#signal);
  }

  #secretKeys(ref: NonNullable<Ec2Upstream["spec"]["secretRef"]>): AwsCredentials {
    const keys = awsKeys(this.#context.secret(ref));
    if (keys === undefined) throw new AwsError("NoCredentials", 0, `the AWS secret ${formatRef(ref)} is not there`);
    return keys;
  }

  /** Each Upstream its set, when it differs from the one before. */
  #tell(): void {
    if (this.#instances === undefined) return;
    for (const { key, spec } of this.#users) {
      const endpoints = endpointsOf(spec, this.#instances);
      const said = JSON.stringify(endpoints.map(({ address, port }) => `${address}:${port}`).sort());
      if (this.#said.get(key) === said) continue;
      this.#said.set(key, said);
      this.#updates.put(key, { key, endpoints });
    }
  }

  #reportFault(fault: Error | undefined): void {
    for (const { key, spec } of this.#users) {
      if (fault === undefined && !this.#reported.has(key)) continue;
      const report = new Report(key);
      if (fault)
        report.warn("CloudUnreachable", `EC2 in ${spec.region} was not read, endpoints stay as they are: ${fault.message}`, {
          path: "awsEc2",
        });
      this.#context.report(report);
      if (fault) this.#reported.add(key);
      else this.#reported.delete(key);
    }
    if (fault)
      this.#context.log.warn(
        { error: fault.message, failures: this.#failures },
        "EC2: instances were not read, endpoints stay as they are",
      );
  }
}

function idsOf(instances: readonly Instance[]): ReadonlySet<string> {
  return new Set(instances.map(({ id }) => id));
}
