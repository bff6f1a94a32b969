// What Envoy refuses, although we took it for good: said on the resource, and of no consequence to anybody else.
import { expect, test } from "vitest";
import { withEnvoy } from "../conformance/xds/envoy.ts";
import { ask, backend, folder, object, run, until, untilAnswers, upstream, virtualService } from "./gateway.ts";

/** A type of a user's own that hands its address to Envoy as it is: nobody but Envoy will say that a name is no IP address. */
const type = `import { defineConfig, defineUpstreamType } from "headworks";
export default defineConfig({ upstreamTypes: [defineUpstreamType({
  kind: "raw",
  parse: (json) => ({ address: String(json.address), port: Number(json.port) }),
  cluster: ({ name, spec }) => ({
    name,
    clusterDiscoveryType: { case: "type", value: 0 },
    connectTimeout: { seconds: 5n, nanos: 0 },
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address: {
      address: { case: "socketAddress", value: { address: spec.address, portSpecifier: { case: "portValue", value: spec.port } } } } } } }] }] },
  }),
})] });
`;

const raw = (address: string, port: number) => object("Upstream", "raw", { raw: { address, port } });

withEnvoy("an Upstream that Envoy refuses", () => {
  test("is told so, keeps its last good version in service, and holds up nobody", async () => {
    await using one = await backend("one");
    await using two = await backend("two");
    using config = await folder();
    const file = `${config.path}/own.config.mjs`;
    config.write("own.config.mjs", type);
    config.write("raw.yaml", raw("127.0.0.1", one.port));
    config.write("other.yaml", upstream("other", one.port));
    config.write("a.yaml", virtualService("a", "raw"));
    config.write("b.yaml", virtualService("b", "other"));
    await using running = await run(config, "--proxy", "envoy", "--xds", `unix:${config.path}/xds.sock`, "--config", file);
    await untilAnswers(config.port, "a.test", "one /");

    config.write("raw.yaml", raw("not-an-address", two.port));
    await running.said(/HW\d+ [^\n]*Envoy refused/);
    expect((await ask(config.port, "a.test"))?.body).toBe("one /");

    // Others are edited as before, in the same kind of Envoy's resources too.
    config.write("other.yaml", upstream("other", two.port));
    await untilAnswers(config.port, "b.test", "two /");
    expect((await ask(config.port, "a.test"))?.body).toBe("one /");

    const metrics = await (await fetch(`http://127.0.0.1:${config.adminPort}/metrics`)).text();
    expect(metrics).toMatch(/headworks_config_status\{kind="Upstream",namespace="gloo-system",name="raw"\} [^0]/);

    config.write("raw.yaml", raw("127.0.0.1", two.port));
    await untilAnswers(config.port, "a.test", "two /");
    await until("the finding is gone", async () =>
      /name="raw"\} 0/.test(await (await fetch(`http://127.0.0.1:${config.adminPort}/metrics`)).text()),
    );
  });
});
