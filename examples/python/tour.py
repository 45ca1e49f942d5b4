"""A tour of Roster: a team, an invitation, its acceptance, a refusal, and the events of all that.

    buf generate
    PYTHONPATH=gen/python python examples/python/tour.py 127.0.0.1:50051 [TOKEN]
"""

import sys
import uuid

from roster_client import Refused, Roster

from roster.v1 import invitation_pb2
from roster.v1.event_service_pb2 import ListEventsRequest, WatchRequest
from roster.v1.invitation_service_pb2 import (
    AcceptInvitationRequest,
    CreateInvitationRequest,
    GetInvitationLinkRequest,
    NewUser,
)
from roster.v1.team_service_pb2 import CreateTeamRequest, ListMembersRequest
from roster.v1.user_service_pb2 import CreateUserRequest


def main():
    roster = Roster(*sys.argv[1:3])
    ada, bob = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("ada", "bob"))
    roster.users.CreateUser(CreateUserRequest(user_id=ada, email=f"{ada}@example.com", display_name="Ada"))

    # A caller that lost the answer asks again with the same id, and gets the same answer.
    create = CreateTeamRequest(name="Acme", owner_user_id=ada, request_id=str(uuid.uuid4()))
    team = roster.teams.CreateTeam(create).team
    assert roster.teams.CreateTeam(create).team.id == team.id
    print(f"created {team.name} once")

    acting = roster.acting_for(ada)
    invited = acting.invitations.CreateInvitation(
        CreateInvitationRequest(
            team_id=team.id,
            email=f"{bob}@example.com",
            role_ids=["member"],
            delivery_channel=invitation_pb2.DELIVERY_CHANNEL_LINK_ONLY,
        )
    ).invitation
    print(f"invited {invited.email.split('-')[0]}")
    link = acting.invitations.GetInvitationLink(GetInvitationLinkRequest(team_id=team.id, invitation_id=invited.id))
    joined = roster.invitations.AcceptInvitation(
        AcceptInvitationRequest(token=link.token, new_user=NewUser(user_id=bob, display_name="Bob"))
    ).member
    print(f"{joined.user.display_name} joined as {', '.join(joined.role_ids)}")

    members = acting.teams.ListMembers(ListMembersRequest(team_id=team.id)).members
    print("members:", ", ".join(sorted(member.user.display_name for member in members)))

    for request in (
        CreateInvitationRequest(team_id=team.id, email="nobody", role_ids=["member"]),
        CreateInvitationRequest(team_id=team.id, email="carol@example.com", role_ids=["owner"]),
        CreateInvitationRequest(team_id=team.id, email=f"{bob}@example.com", role_ids=["member"]),
    ):
        try:
            acting.invitations.CreateInvitation(request)
        except Refused as refused:
            print("refused:", refused.code.name, refused.reason, *refused.violations)

    # What happened so far, and then what happens from there on.
    past = roster.events.ListEvents(ListEventsRequest(team_id=team.id))
    print("events:", ", ".join(event.WhichOneof("payload") for event in past.events))
    for number, response in enumerate(roster.events.Watch(WatchRequest(team_id=team.id, from_beginning=True), timeout=30)):
        assert response.event == past.events[number]
        if number == len(past.events) - 1:
            print(f"watched up to version {response.event.team_version}")
            break


if __name__ == "__main__":
    main()
