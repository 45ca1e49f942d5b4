// Lists the members of a team with their roles.
//
//     node members.js http://127.0.0.1:50051 TEAM [TOKEN]

import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { TeamService } from "../gen/typescript/roster/v1/team_service_pb.js";

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

const transport = createGrpcTransport({ baseUrl: address, interceptors: [authenticate], defaultTimeoutMs: 10_000 });
const teams = createClient(TeamService, transport);

let pageToken = "";
do {
  const page = await teams.listMembers({ teamId, pageToken });
  for (const { subject, roleIds } of page.members) {
    if (subject.case === "user") {
      console.log(`${subject.value.displayName}: ${roleIds.join(", ")}`);
    }
  }
  pageToken = page.nextPageToken;
} while (pageToken !== "");
