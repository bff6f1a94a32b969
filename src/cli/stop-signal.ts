// Ctrl-C and SIGTERM: the first asks to end well, the second ends at once.

export interface StopSignal {
  readonly isAsked: boolean;
  /** Resolves with the first signal. */
  readonly first: Promise<StopReason>;
}

export type StopReason = "SIGINT" | "SIGTERM";

const exitCodeOf = { SIGINT: 130, SIGTERM: 143 } as const;

/** `onSecond` runs before the process ends at once: what must not survive us. */
export function stopSignal(onSecond: () => void = () => {}): StopSignal {
  const { promise, resolve } = Promise.withResolvers<StopReason>();
  let isAsked = false;
  const heard = (signal: StopReason) => {
    if (isAsked) {
      onSecond();
      process.exit(exitCodeOf[signal]);
    }
    isAsked = true;
    resolve(signal);
  };
  process.on("SIGINT", heard);
  process.on("SIGTERM", heard);
  return {
    get isAsked() {
      return isAsked;
    },
    first: promise,
  };
}
