//! A team with people in it, and short ways to have things done there.

use roster_proto::v1::{
    self as wire, AcceptInvitationRequest, AddMemberRequest, CreateInvitationRequest, CreateTeamRequest,
    CreateUserRequest, GetInvitationLinkRequest, ListMembersRequest, RemoveMemberRequest, UpdateMemberRequest,
    accept_invitation_request::{Accepter, Invitation as Named},
    member::Subject,
};
use tonic::{Response, Status};

use super::{Caller, Db, Outcome as _, TestServer};

/// The team `Acme`: `ada` owns it, `bob` is an admin, `carol` a plain member. `eve` is a user and in no team.
pub struct Scene {
    pub server: TestServer,
    pub team: String,
}

impl Scene {
    pub async fn new(db: Db) -> Self {
        Self::on(TestServer::start(db).await).await
    }

    /// On a server of its own kind.
    pub async fn on(server: TestServer) -> Self {
        let service = server.service();
        for user in ["ada", "bob", "carol", "eve"] {
            create_user(&service, user).await;
        }
        let team = create_team(&service, "Acme", "ada").await;
        let scene = Self { server, team };
        scene.service().add(&scene.team, "bob", &["admin"]).await.done();
        scene.service().add(&scene.team, "carol", &["member"]).await.done();
        scene
    }

    /// The service `dev`.
    pub fn service(&self) -> Caller {
        self.server.service()
    }

    /// A person.
    pub fn person(&self, user: &str) -> Caller {
        self.server.person(user)
    }

    /// The members' ids with their roles, in the order in which they joined: `["ada owner", …]`.
    pub async fn members(&self) -> Vec<String> {
        self.service().members(&self.team).await
    }

    /// The token of an open invitation.
    pub async fn token(&self, invitation: &str) -> String {
        self.service().token(&self.team, invitation).await
    }

    /// Invites on behalf of the owner, and gives the invitation's id and token.
    pub async fn invited(&self, email: &str, roles: &[&str]) -> (String, String) {
        let invitation = self.person("ada").invite(&self.team, email, roles).await.done().invitation.unwrap();
        let token = self.token(&invitation.id).await;
        (invitation.id, token)
    }
}

/// Records `<user>@example.com`, with a name.
pub async fn create_user(service: &Caller, user: &str) {
    let request = CreateUserRequest {
        user_id: user.to_owned(),
        email: format!("{user}@example.com"),
        email_verified: true,
        display_name: user.to_owned(),
        ..Default::default()
    };
    service.users().create_user(request).await.done();
}

/// Creates a team and gives its id.
pub async fn create_team(service: &Caller, name: &str, owner: &str) -> String {
    let request = CreateTeamRequest { name: name.to_owned(), owner_user_id: owner.to_owned(), ..Default::default() };
    service.teams().create_team(request).await.done().team.unwrap().id
}

/// The id of the user that a member is.
pub fn user_of(member: &wire::Member) -> &str {
    match member.subject.as_ref().unwrap() {
        Subject::User(user) => &user.id,
    }
}

fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

type Answer<T> = Result<Response<T>, Status>;

/// Short ways to call.
impl Caller {
    pub async fn add(&self, team: &str, user: &str, roles: &[&str]) -> Answer<wire::AddMemberResponse> {
        let request = AddMemberRequest {
            team_id: team.to_owned(),
            user_id: user.to_owned(),
            role_ids: texts(roles),
            ..Default::default()
        };
        self.teams().add_member(request).await
    }

    pub async fn set_roles(&self, team: &str, user: &str, roles: &[&str]) -> Answer<wire::UpdateMemberResponse> {
        let member = wire::Member {
            team_id: team.to_owned(),
            subject: Some(Subject::User(wire::User { id: user.to_owned(), ..Default::default() })),
            role_ids: texts(roles),
            ..Default::default()
        };
        self.teams().update_member(UpdateMemberRequest { member: Some(member), ..Default::default() }).await
    }

    pub async fn remove(&self, team: &str, user: &str) -> Answer<wire::RemoveMemberResponse> {
        let request = RemoveMemberRequest { team_id: team.to_owned(), user_id: user.to_owned(), ..Default::default() };
        self.teams().remove_member(request).await
    }

    pub async fn leave(&self, team: &str) -> Answer<wire::LeaveTeamResponse> {
        self.teams().leave_team(wire::LeaveTeamRequest { team_id: team.to_owned(), ..Default::default() }).await
    }

    pub async fn transfer(&self, team: &str, to: &str) -> Answer<wire::TransferOwnershipResponse> {
        let request = wire::TransferOwnershipRequest {
            team_id: team.to_owned(),
            new_owner_user_id: to.to_owned(),
            ..Default::default()
        };
        self.teams().transfer_ownership(request).await
    }

    pub async fn list(&self, team: &str) -> Answer<wire::ListMembersResponse> {
        let request = ListMembersRequest { team_id: team.to_owned(), page_size: 500, ..Default::default() };
        self.teams().list_members(request).await
    }

    /// The members' ids with their roles, in the order in which they joined.
    pub async fn members(&self, team: &str) -> Vec<String> {
        let members = self.list(team).await.done().members;
        members.iter().map(|member| format!("{} {}", user_of(member), member.role_ids.join("+"))).collect()
    }

    pub async fn invite(&self, team: &str, email: &str, roles: &[&str]) -> Answer<wire::CreateInvitationResponse> {
        let request = CreateInvitationRequest {
            team_id: team.to_owned(),
            email: email.to_owned(),
            role_ids: texts(roles),
            ..Default::default()
        };
        self.invitations().create_invitation(request).await
    }

    pub async fn token(&self, team: &str, invitation: &str) -> String {
        let request = GetInvitationLinkRequest {
            team_id: team.to_owned(),
            invitation_id: invitation.to_owned(),
            ..Default::default()
        };
        self.invitations().get_invitation_link(request).await.done().token
    }

    pub async fn resend(&self, team: &str, invitation: &str) -> Answer<wire::ResendInvitationResponse> {
        let request = wire::ResendInvitationRequest {
            team_id: team.to_owned(),
            invitation_id: invitation.to_owned(),
            ..Default::default()
        };
        self.invitations().resend_invitation(request).await
    }

    pub async fn cancel(&self, team: &str, invitation: &str) -> Answer<wire::CancelInvitationResponse> {
        let request = wire::CancelInvitationRequest {
            team_id: team.to_owned(),
            invitation_id: invitation.to_owned(),
            ..Default::default()
        };
        self.invitations().cancel_invitation(request).await
    }

    pub async fn accept(&self, token: &str, user: &str) -> Answer<wire::AcceptInvitationResponse> {
        let request = AcceptInvitationRequest {
            invitation: Some(Named::Token(token.to_owned())),
            accepter: Some(Accepter::UserId(user.to_owned())),
            ..Default::default()
        };
        self.invitations().accept_invitation(request).await
    }

    pub async fn accept_new(&self, token: &str, user: &str) -> Answer<wire::AcceptInvitationResponse> {
        let new = wire::NewUser { user_id: user.to_owned(), display_name: user.to_owned(), ..Default::default() };
        let request = AcceptInvitationRequest {
            invitation: Some(Named::Token(token.to_owned())),
            accepter: Some(Accepter::NewUser(new)),
            ..Default::default()
        };
        self.invitations().accept_invitation(request).await
    }

    pub async fn decline(&self, token: &str) -> Answer<wire::DeclineInvitationResponse> {
        let request = wire::DeclineInvitationRequest {
            invitation: Some(wire::decline_invitation_request::Invitation::Token(token.to_owned())),
            ..Default::default()
        };
        self.invitations().decline_invitation(request).await
    }

    /// Every event of a team that is retained, oldest first, once as many as `least` are there.
    pub async fn events_of(&self, team: &str, least: usize) -> Vec<roster_proto::events::v1::Event> {
        super::server::eventually(&format!("{least} events of {team}"), async || {
            let mut request =
                wire::ListEventsRequest { team_id: team.to_owned(), page_size: 500, ..Default::default() };
            let mut events = Vec::new();
            loop {
                let page = self.events().list_events(request.clone()).await.done();
                events.extend(page.events);
                request.cursor = page.next_cursor;
                if !page.has_more {
                    return (events.len() >= least).then_some(events);
                }
            }
        })
        .await
    }
}
