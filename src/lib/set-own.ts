// Objects as maps whose keys come from outside.

/** Sets a property, whatever its name: `__proto__` too is only a key. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}
