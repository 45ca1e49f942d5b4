// Tells what has happened in a team so far, as a page in a browser can: by gRPC-Web, which has to be on
// (`server.grpc_web.enabled`), and with `fetch`, so that it runs on Node.js as well.
//
//     node history.js https://roster.example.com TEAM [TOKEN]

import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { EventService } from "../gen/typescript/roster/v1/event_service_pb.js";

const [address, teamId, token] = process.argv.slice(2);
if (address === undefined || teamId === undefined) {
  throw new Error("expected the address of Roster and a team, and a token if one is needed");
}

const authenticate: Interceptor = (next) => (request) => {
  if (token !== undefined) {
    request.header.set("authorization", `Bearer ${token}`);
  }
  return next(request);
};

const transport = createGrpcWebTransport({ baseUrl: address, interceptors: [authenticate] });
const events = createClient(EventService, transport);

// A stream that is only left stays open.
const enough = new AbortController();
const start = { case: "fromBeginning", value: true } as const;
const stream = events.watch({ teamId, start }, { signal: enough.signal });
for await (const { message } of stream) {
  if (message.case === "event") {
    console.log(`${message.value.teamVersion}: ${message.value.payload.case}`);
  } else {
    // Everything up to here has been told. A page would go on listening.
    enough.abort();
    break;
  }
}
