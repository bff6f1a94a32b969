// What protects virtual hosts and routes comes with them: a listener that is replaced drains its connections.
import { expect, test } from "vitest";
import { builtins } from "../../src/builtins.ts";
import { resourcesOf, worldOf } from "../../src/lib/testing/world.ts";
import { typeUrls } from "../../src/model/envoy-resource.ts";
import { assemble } from "../corpus/assemble.ts";

const host = (options: string) => `
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  virtualHost:
    domains: [web.example.com]
    routes: [{directResponseAction: {status: 200}}]
    options: ${options}
---
apiVersion: enterprise.gloo.solo.io/v1
kind: AuthConfig
metadata: {name: keys, namespace: shop}
spec: {configs: [{apiKeyAuth: {labelSelector: {team: shop}}}]}
`;

const key = '{"kty":"oct","k":"c2VjcmV0"}';

test.each([
  ["tokens", `{jwtStaged: {beforeExtAuth: {providers: {a: {jwks: {local: {key: '${key}'}}}}}}}`],
  ["access rules", "{rbac: {policies: {a: {principals: [{jwtPrincipal: {claims: {sub: ann}}}]}}}}"],
  ["API keys", "{extauth: {configRef: {name: keys, namespace: shop}}}"],
])("the first virtual host that wants %s changes its routes, and not the listener", (_, options) => {
  const [before, after] = ["{}", options].map((each) => {
    const { proxies } = assemble(worldOf(resourcesOf(host(each))), builtins);
    const versions = (typeUrl: string) =>
      [...proxies.values()]
        .flat()
        .filter((resource) => resource.typeUrl === typeUrl)
        .map(({ version }) => version);
    return { listeners: versions(typeUrls.listener), routes: versions(typeUrls.route) };
  });
  expect(after?.listeners).toHaveLength(1);
  expect(after?.listeners).toEqual(before?.listeners);
  expect(after?.routes).not.toEqual(before?.routes);
});
