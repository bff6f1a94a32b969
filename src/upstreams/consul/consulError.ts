// Why a question to Consul has no answer.

/** `unreachable`: nobody answers, or not in time, or without a leader. `denied`: our token. `unusable`: an answer that is none. */
export type Fault = "unreachable" | "denied" | "unusable";

export class ConsulError extends Error {
  override readonly name = "ConsulError";
  readonly fault: Fault;

  constructor(fault: Fault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}
