// Labels that pick resources, with the rules of Kubernetes: `{key, operator, values}`.

/** The operators of the API, by their number: RouteTable, VirtualService and generic selectors count alike. */
const operators = ["=", "==", "!=", "in", "notin", "exists", "!", "gt", "lt"] as const;

export interface Expression {
  readonly key: string;
  readonly operator: number;
  readonly values: readonly string[];
}

export type Labels = Readonly<Record<string, string>>;

export function matchesLabels(wanted: Labels, labels: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

/** True when all hold. Only of expressions that {@link expressionFault} finds no fault with. */
export function matchesExpressions(expressions: readonly Expression[], labels: Labels): boolean {
  return expressions.every((each) => matchesExpression(each, labels));
}

function matchesExpression({ key, operator, values }: Expression, labels: Labels): boolean {
  const has = Object.hasOwn(labels, key);
  const value = labels[key] ?? "";
  switch (operators[operator]) {
    case "=":
    case "==":
    case "in":
      return has && values.includes(value);
    case "!=":
    case "notin":
      return !has || !values.includes(value);
    case "exists":
      return has;
    case "!":
      return !has;
    case "gt":
      return has && isInteger(value) && BigInt(value) > BigInt(values[0] ?? "0");
    case "lt":
      return has && isInteger(value) && BigInt(value) < BigInt(values[0] ?? "0");
    default:
      return false;
  }
}

/** What Kubernetes says of the first expression that cannot be used, in its words. */
export function expressionFault(expressions: readonly Expression[]): string | undefined {
  for (const { key, operator, values } of expressions) {
    const list = values.length === 0 ? "null" : `["${values.join('","')}"]`;
    if (!qualifiedName.test(key))
      return `key: Invalid value: "${key}": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`;
    const name = operators[operator];
    if ((name === "in" || name === "notin") && values.length === 0)
      return `values: Invalid value: ${list}: for 'in', 'notin' operators, values set can't be empty`;
    if ((name === "=" || name === "==" || name === "!=") && values.length !== 1)
      return `values: Invalid value: ${list}: exact-match compatibility requires one single value`;
    if ((name === "exists" || name === "!") && values.length !== 0)
      return `values: Invalid value: ${list}: values set must be empty for exists and does not exist`;
    if (name === "gt" || name === "lt") {
      if (values.length !== 1) return `values: Invalid value: ${list}: for 'Gt', 'Lt' operators, exactly one value is required`;
      if (!isInteger(values[0] ?? ""))
        return `values[0]: Invalid value: "${values[0]}": for 'Gt', 'Lt' operators, the value must be an integer`;
    }
    if (name === undefined) return `"${operator}" is not a valid label selector operator`;
    for (const [i, value] of values.entries())
      if (!labelValue.test(value))
        return `values[${i}][${key}]: Invalid value: "${value}": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`;
  }
  return undefined;
}

const qualifiedName = /^([a-z0-9.-]{1,253}\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;
const isInteger = (text: string): boolean => /^[+-]?\d{1,18}$/.test(text);
