// What is wrong in a plan, and in which of its fields. Going on after a fault tells a user of all of them at once.
import { TemplateFault } from "./ast.ts";

/** A {@link TemplateFault} in a field of a plan. */
export class PlanFault extends TemplateFault {
  /** Below the plan: `entries[0].request.headers.x-user`. */
  readonly field: string;
  /** Faults of other fields. */
  readonly more: readonly PlanFault[];

  constructor(field: string, { message, at }: TemplateFault, more: readonly PlanFault[] = []) {
    super(message);
    this.field = field;
    this.more = more;
    Object.defineProperty(this, "at", { value: at });
  }
}

export function within<T>(field: string, run: () => T): T {
  try {
    return run();
  } catch (fault) {
    if (fault instanceof PlanFault) throw prefixed(field, fault);
    throw fault instanceof TemplateFault ? new PlanFault(field, fault) : fault;
  }
}

function prefixed(prefix: string, fault: PlanFault): PlanFault {
  const field = fault.field.startsWith("[") ? prefix + fault.field : `${prefix}.${fault.field}`;
  return new PlanFault(
    field,
    fault,
    fault.more.map((each) => prefixed(prefix, each)),
  );
}

export class Faults {
  readonly #found: PlanFault[] = [];

  try<T>(field: string, run: () => T): T | undefined {
    try {
      return within(field, run);
    } catch (fault) {
      if (!(fault instanceof PlanFault)) throw fault;
      this.#found.push(fault, ...fault.more);
      return undefined;
    }
  }

  each<T, R>(field: string, list: readonly T[], run: (each: T) => R, nameOf?: (each: T) => string): R[] {
    return list.flatMap((each, i) => this.try(nameOf ? `${field}.${nameOf(each)}` : `${field}[${i}]`, () => run(each)) ?? []) as R[];
  }

  end(): void {
    const [first, ...more] = this.#found;
    if (first) throw new PlanFault(first.field, first, more);
  }
}
