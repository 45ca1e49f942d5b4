//! A server that is stopped and started again on the same data goes on where it was.

use roster_proto::v1::{
    self as wire, CreateTeamRequest, GetTeamRequest, InvitationState, ListEventsRequest, ListInvitationsRequest,
    ListMembersRequest, get_team_request::Key,
};

use crate::{
    both,
    support::{Caller, Db, Outcome as _, Scene, outcome::kind, server::eventually},
};

/// All that the API tells of a team.
#[derive(Debug, PartialEq)]
struct Told {
    team: wire::GetTeamResponse,
    members: wire::ListMembersResponse,
    invitations: wire::ListInvitationsResponse,
    events: wire::ListEventsResponse,
}

async fn told(service: &Caller, team: &str) -> Told {
    let (team_id, page_size) = (team.to_owned(), 500);
    let get = GetTeamRequest { key: Some(Key::TeamId(team_id.clone())), ..Default::default() };
    let members = ListMembersRequest { team_id: team_id.clone(), page_size, ..Default::default() };
    let invitations = ListInvitationsRequest { team_id, page_size, ..Default::default() };
    let events = ListEventsRequest { page_size, ..Default::default() };
    Told {
        team: service.teams().get_team(get).await.done(),
        members: service.teams().list_members(members).await.done(),
        invitations: service.invitations().list_invitations(invitations).await.done(),
        events: service.events().list_events(events).await.done(),
    }
}

fn second_team() -> CreateTeamRequest {
    CreateTeamRequest {
        name: "Second".to_owned(),
        owner_user_id: "ada".to_owned(),
        request_id: "before-and-after".to_owned(),
        ..Default::default()
    }
}

both! {
    async fn everything_is_there_after_a_restart(db: Db) {
        let mut s = Scene::new(db).await;
        let (_, declined) = s.invited("fay@example.com", &["member"]).await;
        s.server.wait_for_mails("fay@example.com", 1).await;
        s.service().decline(&declined).await.done();
        let (id, token) = s.invited("dan@example.com", &["member"]).await;
        s.server.wait_for_mails("dan@example.com", 1).await;
        let second = s.service().teams().create_team(second_team()).await.done();
        let first_page = ListMembersRequest { team_id: s.team.clone(), page_size: 2, ..Default::default() };
        let page_token = s.service().teams().list_members(first_page.clone()).await.done().next_page_token;
        let next_page = ListMembersRequest { page_token, ..first_page };
        eventually("both mails are told of", async || (s.told(&["invitation_sent"]).await.len() == 2).then_some(())).await;
        let before = told(&s.service(), &s.team).await;

        s.server.restart().await;
        assert_eq!(told(&s.service(), &s.team).await, before);
        // Tokens of pages, links and cursors are as good as before.
        assert_eq!(s.service().teams().list_members(next_page).await.done().members, before.members.members[2..]);
        assert_eq!(s.token(&id).await, token);
        for (i, event) in before.events.events.iter().enumerate() {
            let request = ListEventsRequest { cursor: event.position.clone(), page_size: 500, ..Default::default() };
            assert_eq!(s.service().events().list_events(request).await.done().events, before.events.events[i + 1..]);
        }
        // What was asked before is answered as before, and not done again.
        assert_eq!(s.service().teams().create_team(second_team()).await.done(), second);

        let member = s.service().accept_new(&token, "dan").await.done();
        assert_eq!(member.invitation.unwrap().state(), InvitationState::Accepted);
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member", "dan member"]);
        let events = s.service().events_of(&s.team, 11).await;
        let versions: Vec<_> = events.iter().map(|event| event.team_version).collect();
        assert_eq!(versions, (1..=11).collect::<Vec<_>>());
        assert_eq!(events[9..].iter().map(kind).collect::<Vec<_>>(), ["invitation_accepted", "member_added"]);
        // No mail was sent twice.
        assert_eq!(s.server.mails_to("dan@example.com").len(), 1);
    }
}
