// A stream of delta ADS over gRPC: the only file of the client that knows grpc-js. Messages pass through as the bytes they are.
import { type ChannelCredentials, Client, credentials, logVerbosity, Metadata, setLogVerbosity, status } from "@grpc/grpc-js";
import { formatListenAddress, type ListenAddress } from "../lib/listen-address.ts";

/** PEM. Without any, the connection is in plain text. */
export interface ClientSecurity {
  /** Who signs the server's certificate; the system's authorities unless given. */
  readonly ca?: Buffer;
  readonly certificate?: { readonly cert: Buffer; readonly key: Buffer };
  /** What the server's certificate must say, where that is not the host that is dialled. */
  readonly serverName?: string;
}

export interface StreamEnd {
  /** gRPC's word: `UNAVAILABLE`. */
  readonly status: string;
  readonly details: string;
}

export interface StreamListener {
  /** The server serves the stream. Said once, before the first message. */
  onOpen(): void;
  onMessage(message: Buffer): void;
}

export interface AdsStream {
  send(message: Uint8Array): void;
  close(): void;
  readonly ended: Promise<StreamEnd>;
}

const method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/** Many servers send headers with their first message only. One that does not want the stream says so at once. */
const acceptedAfterMs = 1_000;

const asIs = (bytes: Buffer) => bytes;

/** Each stream has a connection of its own, so that nothing of a broken one is left over. */
export function openStream(address: ListenAddress, security: ClientSecurity | undefined, listener: StreamListener): AdsStream {
  setLogVerbosity(logVerbosity.NONE); // it writes to stderr what we report ourselves
  const client = new Client(formatListenAddress(address), channelCredentials(security), {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    // A server that is gone without a word is noticed.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
    "grpc.service_config_disable_resolution": 1,
    ...(security?.serverName && {
      "grpc.ssl_target_name_override": security.serverName,
      "grpc.default_authority": security.serverName,
    }),
  });
  const call = client.makeBidiStreamRequest(method, asIs, asIs, new Metadata());
  let isOpen = false;
  let hasEnded = false;
  let accepted: NodeJS.Timeout | undefined;
  const onOpen = () => {
    if (isOpen || hasEnded) return;
    isOpen = true;
    clearTimeout(accepted);
    listener.onOpen();
  };
  call.on("metadata", onOpen);
  client.waitForReady(Number.POSITIVE_INFINITY, (error) => {
    if (error === undefined && !isOpen && !hasEnded) accepted = setTimeout(onOpen, acceptedAfterMs);
  });
  call.on("data", (message: Buffer) => {
    onOpen();
    listener.onMessage(message);
  });
  call.on("error", () => {}); // "status" says it
  const ended = new Promise<StreamEnd>((resolve) => {
    call.on("status", ({ code, details }) => {
      hasEnded = true;
      clearTimeout(accepted);
      client.close();
      resolve({ status: status[code] ?? String(code), details });
    });
  });
  return {
    send: (message) => void call.write(Buffer.from(message.buffer, message.byteOffset, message.byteLength)),
    close: () => call.cancel(),
    ended,
  };
}

/** Throws for what is no certificate or key. */
function channelCredentials(security: ClientSecurity | undefined): ChannelCredentials {
  if (security === undefined) return credentials.createInsecure();
  const { ca = null, certificate } = security;
  return credentials.createSsl(ca, certificate?.key ?? null, certificate?.cert ?? null);
}
