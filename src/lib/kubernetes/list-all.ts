// All objects of a kind, in pages: whatever there is of it, no answer is too long for the server, nor for us.
import type { KubeApi, ListOptions, ListPage } from "./api.ts";
import type { KubeObject, ResourceType } from "./object.ts";

const pageSize = 500;

/** The resourceVersion of the last page is that of the list. */
export async function* listPages(api: KubeApi, type: ResourceType, options: ListOptions = {}): AsyncGenerator<ListPage> {
  let page: ListPage | undefined;
  do {
    page = await api.list(type, { limit: pageSize, ...options, ...(page?.continue !== undefined && { continue: page.continue }) });
    yield page;
  } while (page.continue !== undefined);
}

export async function listAll(api: KubeApi, type: ResourceType, options?: ListOptions): Promise<KubeObject[]> {
  const found: KubeObject[] = [];
  for await (const { items } of listPages(api, type, options)) for (const item of items) found.push(item);
  return found;
}
