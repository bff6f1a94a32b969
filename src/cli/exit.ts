// How commands end. The codes are a promise to scripts.

export const exitCodes = {
  ok: 0,
  /** Findings, or a difference. */
  findings: 1,
  /** Wrong usage, or input that cannot be read at all. */
  usage: 2,
  unreachable: 3,
  /** Refused by validation or a conflict. */
  refused: 4,
  /** A fault of ours. */
  fault: 70,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** What the user can mend: printed as one line, without a stack. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;

  constructor(message: string, exitCode: ExitCode = exitCodes.usage, hint?: string) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint;
  }
}
