// Codes HW5xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const dataplane = {
  EnvoyFieldNotExecuted: {
    code: "HW5001",
    title: "not executed by the embedded data plane",
    help: "Your configuration is translated for Envoy in full, and Envoy executes it. The embedded data plane does not know the Envoy field that the message names, so it serves the rest and leaves this out. Run with `--proxy envoy` where you need it. Nothing else of the resource is affected, except where the message says so: a route whose matcher is not understood never matches, a filter chain whose TLS cannot be executed safely closes its connections, and where a filter that keeps requests out (external processing, say) is not executed, requests that it is about are answered with an error.",
  },
  ListenerNotBound: {
    code: "HW5002",
    title: "a listener could not be bound",
    help: "The embedded data plane could not listen on the address of this listener. `EADDRINUSE`: another process has the port, find it with `ss -ltnp`. `EACCES`: ports below 1024 need privileges; choose a higher one in `Gateway.bindPort`. `EADDRNOTAVAIL`: no interface of this machine has the address in `Gateway.bindAddress`. It is tried again every few seconds, so nothing needs to be restarted once the cause is gone; the other listeners serve. A Gateway that moved is served at the address that it had before, until the new one is bound.",
  },
  EnvoyResourceUnreadable: {
    code: "HW5003",
    title: "an Envoy resource could not be read",
    help: "The embedded data plane could not decode or compile an Envoy resource made from your configuration. It keeps serving the version before. This is a fault of Headworks or of a plug-in, unless the message names a value of yours; please report it with the output of `headworks translate`.",
  },
  CommandOperatorNotExecuted: {
    code: "HW5004",
    title: "a command operator that the embedded data plane does not know",
    help: "Header values and access log formats may hold Envoy's command operators such as `%REQ(x-user)%` or `%DOWNSTREAM_REMOTE_ADDRESS%`. The embedded data plane knows the common ones; one that it does not know yields an empty value in a header and `-` in an access log. Envoy executes it.",
  },
  EnvoyValueRefused: {
    code: "HW5005",
    title: "a value that the embedded data plane refuses",
    help: "A value inside an Envoy resource cannot be used: a regular expression that RE2 does not take, a header value with a line break, an address that is not one. The part that holds it is left out: a route with such a matcher never matches, such a header is not added, and a filter that keeps requests out (authorization, JWT) lets nobody pass where its configuration holds it. Correct the value at the place that the message names.",
  },
  DnsNotResolved: {
    code: "HW5006",
    title: "a host name of an upstream did not resolve",
    help: "The embedded data plane asked for the addresses of this name and got none. Addresses that it knew before stay in use; without any, requests are answered with 503. It asks again at the cluster's refresh rate. Check the spelling, and whether this machine can resolve the name: `getent ahosts NAME`.",
  },
  SecretNotReceived: {
    code: "HW5007",
    title: "a secret of an SDS server has not come",
    help: "`sslConfig.sds` names an SDS server of yours, and the embedded data plane did not get the secret from it that the message names: the server cannot be reached, refuses, or sends what is no certificate. Connections that need the secret are not made, rather than made without it; where an earlier one is there, it serves on. It is asked again every few seconds. Check `targetUri`, the names of the secrets and what the server logs.",
  },
  AccessLogNotWritten: {
    code: "HW5008",
    title: "an access log cannot be written",
    help: "The embedded data plane could not open the file of an access log, or write to it. Requests are answered as ever; their lines are lost. `ENOENT`: the folder is not there, it is not made for you. `EACCES`: the user that Headworks runs as may not write there. `ENOSPC`: the disk is full. It is tried again every second, so nothing needs to be restarted. Envoy would refuse a listener whose log it cannot open.",
    cure: "make its folder, let this user write there, or write another path; it is tried again",
  },
} as const satisfies Record<string, CatalogEntry>;
