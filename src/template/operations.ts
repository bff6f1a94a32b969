// The functions and operators that templates may use: the names and how many values each takes. What they do is in functions.ts and,
// once more in Lua, in lua/functions.ts.

/** Of Inja, then those that Gloo's filter adds. An infinite number means any from one up. */
export const functions: Readonly<Record<string, readonly number[]>> = {
  at: [2],
  capitalize: [1],
  default: [2],
  divisibleBy: [2],
  even: [1],
  exists: [1],
  existsIn: [2],
  first: [1],
  float: [1],
  int: [1],
  isArray: [1],
  isBoolean: [1],
  isFloat: [1],
  isInteger: [1],
  isNumber: [1],
  isObject: [1],
  isString: [1],
  join: [2],
  last: [1],
  length: [1],
  lower: [1],
  max: [1],
  min: [1],
  odd: [1],
  range: [1],
  replace: [3],
  round: [2],
  sort: [1],
  upper: [1],

  base64_decode: [1],
  base64_encode: [1],
  base64url_decode: [1],
  base64url_encode: [1],
  body: [0],
  clusterMetadata: [1],
  cluster_metadata: [1, 2],
  context: [0],
  data_source: [1],
  dynamic_metadata: [1, 2],
  env: [1],
  extraction: [1],
  header: [1],
  host_metadata: [1, 2],
  raw_string: [1],
  replace_with_random: [2],
  request_header: [1],
  substring: [2, 3],
  trim: [1],
  word_count: [1],
};

export interface Operator {
  readonly values: 1 | 2;
  /** What binds tighter is higher. Inja's own: `not` binds as `*`, and `and` as `or`. */
  readonly precedence: number;
  readonly isRight?: boolean;
}

export const operators: Readonly<Record<string, Operator>> = {
  not: { values: 1, precedence: 4 },
  and: { values: 2, precedence: 1 },
  or: { values: 2, precedence: 1 },
  in: { values: 2, precedence: 2 },
  "==": { values: 2, precedence: 2 },
  "!=": { values: 2, precedence: 2 },
  ">": { values: 2, precedence: 2 },
  ">=": { values: 2, precedence: 2 },
  "<": { values: 2, precedence: 2 },
  "<=": { values: 2, precedence: 2 },
  "+": { values: 2, precedence: 3 },
  "-": { values: 2, precedence: 3 },
  "*": { values: 2, precedence: 4 },
  "/": { values: 2, precedence: 4 },
  "%": { values: 2, precedence: 4 },
  "^": { values: 2, precedence: 5, isRight: true },
  ".": { values: 2, precedence: 8 },
};
