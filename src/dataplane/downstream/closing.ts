// Who wants to know when the connection of a client is closed: what was made for that connection alone ends with it.

const listeners = new WeakMap<object, Set<() => void>>();

/** @param connection what the streams of one client share */
export function whenClosed(connection: object, listener: () => void): void {
  const known = listeners.get(connection);
  if (known === undefined) listeners.set(connection, new Set([listener]));
  else known.add(listener);
}

/** For the connection itself, once. */
export function tellClosed(connection: object): void {
  for (const listener of listeners.get(connection) ?? []) listener();
  listeners.delete(connection);
}
