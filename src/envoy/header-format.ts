// Values of headers that Envoy adds: text with commands between percent signs (`%REQ(x-user)%`). An unknown command, or a lone
// percent sign, makes Envoy refuse the whole route configuration.

/**
 * Envoy 1.40's commands without an argument, tried one by one (header-format.test.ts).
 */
const bare = new Set(
  `ACCESS_LOG_TYPE BYTES_RECEIVED BYTES_RETRANSMITTED BYTES_SENT CONNECTION_ID CONNECTION_TERMINATION_DETAILS CUSTOM_FLAGS
  DOWNSTREAM_DETECTED_CLOSE_TYPE DOWNSTREAM_DIRECT_LOCAL_ADDRESS DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT DOWNSTREAM_DIRECT_REMOTE_PORT
  DOWNSTREAM_HANDSHAKE_DURATION DOWNSTREAM_HEADER_BYTES_RECEIVED DOWNSTREAM_HEADER_BYTES_SENT DOWNSTREAM_LOCAL_ADDRESS
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_LOCAL_CLOSE_REASON DOWNSTREAM_LOCAL_DNS_SAN DOWNSTREAM_LOCAL_EMAIL_SAN
  DOWNSTREAM_LOCAL_IP_SAN DOWNSTREAM_LOCAL_OTHERNAME_SAN DOWNSTREAM_LOCAL_PORT DOWNSTREAM_LOCAL_SUBJECT
  DOWNSTREAM_LOCAL_URI_SAN DOWNSTREAM_PEER_CERT DOWNSTREAM_PEER_CERT_V_END DOWNSTREAM_PEER_CERT_V_START
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256 DOWNSTREAM_PEER_CHAIN_SERIALS
  DOWNSTREAM_PEER_DNS_SAN DOWNSTREAM_PEER_EMAIL_SAN DOWNSTREAM_PEER_FINGERPRINT_1 DOWNSTREAM_PEER_FINGERPRINT_256
  DOWNSTREAM_PEER_IP_SAN DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_OTHERNAME_SAN DOWNSTREAM_PEER_SERIAL
  DOWNSTREAM_PEER_SUBJECT DOWNSTREAM_PEER_URI_SAN DOWNSTREAM_REMOTE_ADDRESS DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT
  DOWNSTREAM_REMOTE_PORT DOWNSTREAM_TLS_CIPHER DOWNSTREAM_TLS_GROUP DOWNSTREAM_TLS_SESSION_ID DOWNSTREAM_TLS_VERSION
  DOWNSTREAM_TRANSPORT_FAILURE_REASON DOWNSTREAM_WIRE_BYTES_RECEIVED DOWNSTREAM_WIRE_BYTES_SENT DURATION EMIT_TIME
  EMIT_TIME_LOCAL FILTER_CHAIN_NAME GRPC_STATUS_NUMBER HOSTNAME LISTENER_NAME LOCAL_REPLY_BODY PROTOCOL QUERY_PARAMS
  REQUESTED_SERVER_NAME REQUEST_DURATION REQUEST_HEADERS_BYTES REQUEST_TX_DURATION RESPONSE_CODE RESPONSE_CODE_DETAILS
  RESPONSE_DURATION RESPONSE_FLAGS RESPONSE_FLAGS_LONG RESPONSE_HEADERS_BYTES RESPONSE_TRAILERS_BYTES RESPONSE_TX_DURATION
  ROUNDTRIP_DURATION ROUTE_NAME SPAN_ID START_TIME_LOCAL STREAM_ID TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT TRACE_ID
  UNIQUE_ID UPSTREAM_CLUSTER UPSTREAM_CLUSTER_RAW UPSTREAM_CONNECTION_ID UPSTREAM_CONNECTION_POOL_READY_DURATION
  UPSTREAM_DETECTED_CLOSE_TYPE UPSTREAM_HEADER_BYTES_RECEIVED UPSTREAM_HEADER_BYTES_SENT UPSTREAM_HOST
  UPSTREAM_HOSTS_ATTEMPTED UPSTREAM_HOST_NAME UPSTREAM_HOST_NAMES_ATTEMPTED UPSTREAM_HOST_NAME_WITHOUT_PORT
  UPSTREAM_LOCAL_ADDRESS UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT UPSTREAM_LOCAL_CLOSE_REASON UPSTREAM_LOCAL_DNS_SAN
  UPSTREAM_LOCAL_IP_SAN UPSTREAM_LOCAL_PORT UPSTREAM_LOCAL_URI_SAN UPSTREAM_PEER_CERT UPSTREAM_PEER_CERT_V_END
  UPSTREAM_PEER_CERT_V_START UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_IP_SAN UPSTREAM_PEER_ISSUER UPSTREAM_PEER_SUBJECT
  UPSTREAM_PEER_URI_SAN UPSTREAM_PROTOCOL UPSTREAM_REMOTE_ADDRESS UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT UPSTREAM_REMOTE_PORT UPSTREAM_REQUEST_ATTEMPT_COUNT UPSTREAM_TLS_CIPHER
  UPSTREAM_TLS_GROUP UPSTREAM_TLS_SESSION_ID UPSTREAM_TLS_VERSION UPSTREAM_TRANSPORT_FAILURE_REASON
  UPSTREAM_WIRE_BYTES_RECEIVED UPSTREAM_WIRE_BYTES_SENT VIRTUAL_CLUSTER_NAME`.split(/\s+/),
);
/** Those with an argument in brackets. FILE_CONTENT is not among them: it would show files of the proxy to whoever may write routes. */
const withArgument = new Set(
  `CEL CLUSTER_METADATA COALESCE COMMON_DURATION DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_PEER_CERT_V_END
  DOWNSTREAM_PEER_CERT_V_START DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT DYNAMIC_METADATA EMIT_TIME EMIT_TIME_LOCAL
  ENVIRONMENT FILTER_STATE GRPC_STATUS METADATA PATH PER_REQUEST_STATE QUERY_PARAM QUERY_PARAMS REQ REQUEST_HEADER RESP
  RESPONSE_CODE_DETAILS RESPONSE_HEADER RESPONSE_TRAILER START_TIME START_TIME_LOCAL TRAILER TYPED_CEL
  UPSTREAM_FILTER_STATE UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT UPSTREAM_METADATA UPSTREAM_PEER_CERT_V_END
  UPSTREAM_PEER_CERT_V_START UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT`.split(/\s+/),
);
const either = new Set(["START_TIME", "PATH", "GRPC_STATUS", "CUSTOM_FLAGS"]);

export interface HeaderValueFault {
  readonly message: string;
  readonly hint: string;
}

/** Why Envoy would refuse to add a header. */
export function addedHeaderFault(name: string, value: string): HeaderValueFault | undefined {
  return headerNameFault(name) ?? headerValueFault(value);
}

/** Why Envoy would refuse to add or remove a header of this name. */
export function headerNameFault(name: string): HeaderValueFault | undefined {
  if (!/^:|^host$/i.test(name)) return undefined;
  return {
    message: `${name} is no header that Envoy lets anybody change`,
    hint: "the host and what begins with a colon have fields of their own",
  };
}

/** Why Envoy would refuse a value. */
export function headerValueFault(value: string): HeaderValueFault | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the rule is about
  if (/[\u0000\n\r]/.test(value))
    return {
      message: "the value holds a line break or NUL, which Envoy refuses",
      hint: "write it on one line; YAML's > and | add line breaks",
    };
  return commandFault(value);
}

/** Commands of access logs: those of headers, and one of an extension that every log has here. */
export function logFormatFault(format: string): HeaderValueFault | undefined {
  return commandFault(format, "REQ_WITHOUT_QUERY");
}

function commandFault(value: string, more?: string): HeaderValueFault | undefined {
  for (let i = value.indexOf("%"); i >= 0; i = value.indexOf("%", i)) {
    if (value[i + 1] === "%") {
      i += 2;
      continue;
    }
    const found = command.exec(value.slice(i));
    if (found === null)
      return {
        message: `the percent sign at character ${i + 1} begins no command, which Envoy refuses`,
        hint: "write %% for a percent sign",
      };
    const { name = "", argument } = found.groups ?? {};
    const known =
      argument === undefined ? bare.has(name) || either.has(name) : (name === more || withArgument.has(name)) && argument !== "";
    if (!known) return { message: `%${name}% is no command that Envoy knows`, hint: "write %% for a percent sign" };
    i += found[0].length;
  }
  return undefined;
}

/** `%NAME%`, `%NAME(argument)%`, `%NAME(argument):length%`. */
const command = /^%(?<name>[A-Z0-9_]+)(?:\((?<argument>[^)]*)\))?(?::\d+)?%/;
