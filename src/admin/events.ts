// Server-sent events to many listeners, none of whom can hold up the others or grow our memory.
import type { AdminEvent } from "./contract.ts";

/** A listener that is this far behind is let go; it reconnects and gets the present state. */
const longestQueue = 256;

/** Beyond this many listeners the oldest is let go. */
const mostListeners = 64;

export interface EventHub {
  /** Whether it is worth making an event. */
  readonly hasListeners: boolean;
  send(event: AdminEvent): void;
  /** Ends when the signal aborts, the hub is closed or the listener has fallen behind. */
  listen(signal: AbortSignal): AsyncIterable<AdminEvent>;
  close(): void;
}

interface Listener {
  readonly queue: AdminEvent[];
  isOver: boolean;
  wake(): void;
}

export function eventHub(): EventHub {
  const listeners = new Set<Listener>();
  let isClosed = false;
  const letGo = (listener: Listener) => {
    listeners.delete(listener);
    listener.isOver = true;
    listener.wake();
  };
  return {
    get hasListeners() {
      return listeners.size > 0;
    },
    send(event) {
      for (const listener of listeners) {
        if (listener.queue.push(event) > longestQueue) letGo(listener);
        else listener.wake();
      }
    },
    async *listen(signal) {
      if (isClosed) return;
      const listener: Listener = { queue: [], isOver: signal.aborted, wake: () => {} };
      listeners.add(listener);
      const oldest = listeners.size > mostListeners ? listeners.values().next().value : undefined;
      if (oldest) letGo(oldest);
      const stop = () => letGo(listener);
      signal.addEventListener("abort", stop, { once: true });
      try {
        while (!listener.isOver) {
          const event = listener.queue.shift();
          if (event) yield event;
          else
            await new Promise<void>((resolve) => {
              listener.wake = resolve;
            });
        }
      } finally {
        signal.removeEventListener("abort", stop);
        listeners.delete(listener);
      }
    },
    close() {
      isClosed = true;
      for (const listener of [...listeners]) letGo(listener);
    },
  };
}
