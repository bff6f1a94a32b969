// Names of subset keys in Envoy's metadata, as Gloo has them.

export function tagKey(tag: string): string {
  return `tag_${tag}`;
}

export function dataCentreKey(name: string): string {
  return `dc_${name}`;
}
