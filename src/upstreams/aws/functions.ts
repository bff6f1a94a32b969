// Discovery of Lambda functions: lists them once for each region and set of credentials, again every minute, and yields them for the
// Upstreams that are to have them. While AWS is away, refuses or throttles it yields nothing: what was known stays.
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { LambdaFunctionSpec } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/aws/aws_pb.js";
import { type Upstream, UpstreamSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { type Account, runAccounts } from "../../lib/aws/accounts.ts";
import { AwsError } from "../../lib/aws/client.ts";
import { type AwsEndpoints, isAwsRegion } from "../../lib/aws/endpoints.ts";
import { Signer, type SignerWish } from "../../lib/aws/signer.ts";
import type { Latest } from "../../lib/latest.ts";
import { MassDeleteGuard } from "../../lib/mass-delete-guard.ts";
import { Semaphore } from "../../lib/semaphore.ts";
import { Report } from "../../model/problem.ts";
import { formatRef, type ResourceKey } from "../../model/ref.ts";
import { awsKeys } from "../../plugin/awsAccount.ts";
import type { EdgeContext, TypedUpstream, UpstreamWatch } from "../../plugin/upstream-type.ts";
import { type ListedFunctions, listFunctions } from "./list-functions.ts";

export interface LambdaPace {
  /** The first list is asked for within so many milliseconds. */
  readonly firstMs: number;
  readonly everyMs: number;
  /** After a failure, doubled each time. */
  readonly retryMs: number;
  readonly mostMs: number;
  /** How long a list must stand that lacks most functions after a failure, or all of them. */
  readonly holdMs: number;
  /** Lists that are read at once. */
  readonly parallel: number;
}

export const lambdaPace: LambdaPace = {
  firstMs: 1_000,
  everyMs: 60_000,
  retryMs: 2_000,
  mostMs: 300_000,
  holdMs: 60_000,
  parallel: 4,
};

export interface LambdaWorld {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly endpoints: AwsEndpoints;
  /** For tests. */
  readonly pace?: Partial<LambdaPace>;
}

type AwsUpstream = TypedUpstream<"aws">;

interface Found {
  readonly key: ResourceKey;
  readonly spec: Upstream;
}

export function lambdaFunctions(upstreams: UpstreamWatch<AwsUpstream>, context: EdgeContext, world: LambdaWorld): AsyncGenerator<Found> {
  const pace = { ...lambdaPace, ...world.pace };
  const semaphore = new Semaphore(pace.parallel);
  return runAccounts<AwsUpstream, ResourceKey, Found>(upstreams, {
    keyOf: accountKey,
    begin: (users, found, signal) => new LambdaAccount(users, { ...context, signal }, { world, pace, semaphore, found }),
    onFault: (error) => context.log.error({ error: String(error) }, "Lambda: a fault of ours; functions stay as they are"),
    signal: context.signal,
  });
}

/** Upstreams with the same key are answered by the same list. */
function accountKey({ spec: { region, secretRef, roleArn, disableRoleChaining } }: AwsUpstream): string {
  return JSON.stringify([region, secretRef?.namespace, secretRef?.name, roleArn, disableRoleChaining]);
}

interface Shared {
  readonly world: LambdaWorld;
  readonly pace: LambdaPace;
  readonly semaphore: Semaphore;
  readonly found: Latest<ResourceKey, Found>;
}

/** One region as one set of credentials sees it. */
class LambdaAccount implements Account<AwsUpstream> {
  readonly #context: EdgeContext;
  readonly #shared: Shared;
  readonly #signer: Signer;
  readonly #guard: MassDeleteGuard;
  readonly #stopped = new AbortController();
  readonly #signal: AbortSignal;
  /** What each user was told last. */
  readonly #told = new Map<ResourceKey, readonly LambdaFunctionSpec[]>();
  #users: readonly AwsUpstream[];
  #listed: ListedFunctions | undefined;
  #failures = 0;
  #canAsk = true;

  constructor(users: readonly AwsUpstream[], context: EdgeContext, shared: Shared) {
    this.#users = users;
    this.#context = context;
    this.#shared = shared;
    this.#signer = new Signer(shared.world.env, shared.world.endpoints);
    this.#guard = new MassDeleteGuard({ holdMs: shared.pace.holdMs, atLeast: 1 });
    this.#signal = AbortSignal.any([context.signal, this.#stopped.signal]);
    void this.#run();
  }

  use(users: readonly AwsUpstream[]): void {
    this.#users = users;
    const keys = new Set(users.map(({ key }) => key));
    for (const key of this.#told.keys()) if (!keys.has(key)) this.#told.delete(key);
    this.#tell();
  }

  stop(): void {
    this.#stopped.abort();
  }

  async #run(): Promise<void> {
    const { pace, semaphore } = this.#shared;
    await this.#pause(pace.firstMs * Math.random());
    while (!this.#signal.aborted) {
      try {
        const listed = await semaphore.run(() => this.#list());
        this.#canAsk = listed !== undefined;
        if (listed !== undefined) this.#take(listed);
        this.#failures = 0;
      } catch (error) {
        if (this.#signal.aborted) return;
        this.#canAsk = true;
        this.#failures++;
        this.#signer.forget();
        this.#reportFault(error as Error);
      }
      await this.#pause(this.#waitMs());
    }
  }

  /** Longer after each failure and for long lists, and never in step with other processes. */
  #waitMs(): number {
    const { everyMs, retryMs, mostMs } = this.#shared.pace;
    // Nobody was asked: a Secret that comes is seen soon.
    if (!this.#canAsk) return retryMs;
    const wait =
      this.#failures === 0
        ? everyMs * Math.max(1, (this.#listed?.pages ?? 1) / 20)
        : Math.min(mostMs, retryMs * 2 ** Math.min(this.#failures - 1, 10));
    return wait * (0.9 + Math.random() * 0.2);
  }

  async #pause(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.#signal }).catch(() => undefined);
  }

  /** Undefined where there is nothing to sign with: the Upstream's own findings say so. */
  async #list(): Promise<ListedFunctions | undefined> {
    const [first] = this.#users;
    const wish = first && this.#wish(first);
    if (wish === undefined || this.#signal.aborted) return undefined;
    const { endpoints } = this.#shared.world;
    const credentials = await this.#signer.credentials(wish, this.#signal);
    return listFunctions({ region: wish.region, endpoints, credentials, signal: this.#signal });
  }

  #wish({ spec: { region, secretRef, roleArn, disableRoleChaining } }: AwsUpstream): SignerWish | undefined {
    if (!isAwsRegion(region)) return undefined;
    if (secretRef) {
      const keys = awsKeys(this.#context.secret(secretRef));
      return keys && { region, keys, roleArn };
    }
    // As the proxy's own credentials, the environment's are used where the Settings say so.
    const fetcher = this.#context.settings().gloo?.awsOptions?.credentialsFetcher;
    if (fetcher?.case === "serviceAccountCredentials") return { region, roleArn, isDirect: disableRoleChaining && roleArn !== "" };
    return fetcher?.case === "enableCredentialsDiscovey" && fetcher.value ? { region, roleArn } : undefined;
  }

  #take(listed: ListedFunctions): void {
    const names = namesOf(listed);
    const before = this.#listed && namesOf(this.#listed);
    if (before !== undefined) {
      const isSuspect = this.#failures > 0 || names.size === 0;
      if (!this.#guard.believes(before, names, isSuspect))
        throw new AwsError("Suspect", 200, "most functions are gone at once; if that stays so for a minute, it is believed");
    }
    // There may have been functions before a restart, and credentials of another account list none.
    if (before !== undefined || names.size > 0 || this.#guard.believes(someFunction, names, true)) {
      this.#listed = listed;
      this.#tell();
    }
    this.#reportFine(listed);
  }

  #reportFine({ leftOut }: ListedFunctions): void {
    for (const { key } of this.#users) {
      const report = new Report(key);
      if (leftOut.length > 0) report.warn("FunctionsLeftOut", `left out: ${leftOut.join(", ")}`, { path: "aws" });
      this.#context.report(report);
    }
  }

  /** Each Upstream its functions, when they differ from those before. */
  #tell(): void {
    if (this.#listed === undefined) return;
    const { functions } = this.#listed;
    for (const { key, ref, spec } of this.#users) {
      const before = this.#told.get(key);
      if (before !== undefined && sameFunctions(before, functions)) continue;
      this.#told.set(key, functions);
      const upstream = create(UpstreamSchema, {
        upstreamType: { case: "aws", value: { region: spec.region, lambdaFunctions: [...functions] } },
      });
      this.#shared.found.put(key, { key, spec: upstream });
      this.#context.log.info({ upstream: formatRef(ref), kind: "lambda", functions: functions.length }, "functions found");
    }
  }

  #reportFault(fault: Error): void {
    for (const { key, spec } of this.#users) {
      const report = new Report(key);
      const kept = this.#listed === undefined ? "" : ", functions stay as they are";
      report.warn("CloudUnreachable", `the functions of Lambda in ${spec.region} were not listed${kept}: ${fault.message}`, {
        path: "aws",
        ...(isDenied(fault) && {
          hint: "the credentials need the permission lambda:ListFunctions, or list the functions in aws.lambdaFunctions",
        }),
      });
      this.#context.report(report);
    }
    this.#context.log.warn(
      { error: fault.message, failures: this.#failures },
      "Lambda: functions were not listed, those that are known stay",
    );
  }
}

function isDenied(fault: Error): boolean {
  return fault instanceof AwsError && fault.code.startsWith("AccessDenied");
}

const someFunction: ReadonlySet<string> = new Set(["some"]);

function namesOf({ functions }: ListedFunctions): ReadonlySet<string> {
  return new Set(functions.map(({ logicalName }) => logicalName));
}

/** A logical name says which function and which version. */
function sameFunctions(a: readonly LambdaFunctionSpec[], b: readonly LambdaFunctionSpec[]): boolean {
  return a.length === b.length && a.every(({ logicalName }, i) => logicalName === b[i]?.logicalName);
}
