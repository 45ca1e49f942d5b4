//! Writes that can be sent again: each with its request id, and with what it makes.

use std::time::Duration;

use prost::Message;
use roster_proto::v1::{
    self as wire, AcceptInvitationRequest, AddMemberRequest, CreateInvitationRequest, CreateTeamRequest,
    CreateUserRequest, DeleteTeamRequest, DeliveryChannel, NewUser, RemoveMemberRequest, UpdateTeamRequest,
    accept_invitation_request::{Accepter, Invitation as Named},
};
use tonic::{Request, Response, Status};

use super::Caller;

/// One write.
#[derive(Debug, Clone)]
pub enum Write {
    CreateUser(CreateUserRequest),
    CreateTeam(CreateTeamRequest),
    UpdateTeam(UpdateTeamRequest),
    DeleteTeam(DeleteTeamRequest),
    AddMember(AddMemberRequest),
    RemoveMember(RemoveMemberRequest),
    Invite(CreateInvitationRequest),
    Accept(AcceptInvitationRequest),
}

/// The bytes of an answer, which can be compared with another's.
pub type Bytes = Vec<u8>;

impl Write {
    /// Records `<user>@example.com`.
    pub fn create_user(request_id: &str, user: &str) -> Self {
        Self::CreateUser(CreateUserRequest {
            user_id: user.to_owned(),
            email: format!("{user}@example.com"),
            request_id: request_id.to_owned(),
            ..Default::default()
        })
    }

    pub fn create_team(request_id: &str, name: &str, owner: &str) -> Self {
        Self::CreateTeam(CreateTeamRequest {
            name: name.to_owned(),
            owner_user_id: owner.to_owned(),
            request_id: request_id.to_owned(),
            ..Default::default()
        })
    }

    /// Gives a team the one label `touched`.
    pub fn touch_team(request_id: &str, team: &str, value: &str) -> Self {
        let labels = [("touched".to_owned(), value.to_owned())].into();
        Self::UpdateTeam(UpdateTeamRequest {
            team: Some(wire::Team { id: team.to_owned(), labels, ..Default::default() }),
            request_id: request_id.to_owned(),
            ..Default::default()
        })
    }

    pub fn delete_team(request_id: &str, team: &str) -> Self {
        Self::DeleteTeam(DeleteTeamRequest {
            team_id: team.to_owned(),
            request_id: request_id.to_owned(),
            ..Default::default()
        })
    }

    pub fn add_member(request_id: &str, team: &str, user: &str, role: &str) -> Self {
        Self::AddMember(AddMemberRequest {
            team_id: team.to_owned(),
            user_id: user.to_owned(),
            role_ids: vec![role.to_owned()],
            request_id: request_id.to_owned(),
            ..Default::default()
        })
    }

    pub fn remove_member(request_id: &str, team: &str, user: &str) -> Self {
        Self::RemoveMember(RemoveMemberRequest {
            team_id: team.to_owned(),
            user_id: user.to_owned(),
            request_id: request_id.to_owned(),
            ..Default::default()
        })
    }

    /// Without a mail, whose sending would make another event.
    pub fn invite(request_id: &str, team: &str, email: &str, role: &str) -> Self {
        Self::Invite(CreateInvitationRequest {
            team_id: team.to_owned(),
            email: email.to_owned(),
            role_ids: vec![role.to_owned()],
            delivery_channel: DeliveryChannel::LinkOnly.into(),
            request_id: request_id.to_owned(),
            ..Default::default()
        })
    }

    /// For a user to be recorded with the invited address.
    pub fn accept(request_id: &str, token: &str, new_user: &str) -> Self {
        let new = NewUser { user_id: new_user.to_owned(), ..Default::default() };
        Self::Accept(AcceptInvitationRequest {
            invitation: Some(Named::Token(token.to_owned())),
            accepter: Some(Accepter::NewUser(new)),
            request_id: request_id.to_owned(),
            ..Default::default()
        })
    }

    /// The id by which it can be sent again.
    pub fn request_id(&self) -> &str {
        match self {
            Self::CreateUser(request) => &request.request_id,
            Self::CreateTeam(request) => &request.request_id,
            Self::UpdateTeam(request) => &request.request_id,
            Self::DeleteTeam(request) => &request.request_id,
            Self::AddMember(request) => &request.request_id,
            Self::RemoveMember(request) => &request.request_id,
            Self::Invite(request) => &request.request_id,
            Self::Accept(request) => &request.request_id,
        }
    }

    /// Whether events of these kinds, in this order, are just what it makes.
    pub fn is_made_of(&self, kinds: &[&str]) -> bool {
        // Whoever joins a first team is at home there from then on.
        let kinds = match (self, kinds) {
            (Self::CreateTeam(_) | Self::AddMember(_), [rest @ .., "user_updated"]) => rest,
            _ => kinds,
        };
        match self {
            Self::CreateUser(_) => kinds == ["user_created"],
            Self::CreateTeam(_) => kinds == ["team_created", "member_added"],
            Self::UpdateTeam(_) => kinds == ["team_updated"],
            // As many members as there were, of whom one is the owner.
            Self::DeleteTeam(_) => match kinds {
                [removed @ .., "team_deleted"] => {
                    !removed.is_empty() && removed.iter().all(|kind| *kind == "member_removed")
                }
                _ => false,
            },
            Self::AddMember(_) => kinds == ["member_added"],
            Self::RemoveMember(_) => kinds == ["member_removed"],
            Self::Invite(_) => kinds == ["invitation_created"],
            Self::Accept(_) => kinds == ["user_created", "invitation_accepted", "member_added"],
        }
    }

    /// Sends it, and gives the bytes of the answer.
    pub async fn send(&self, caller: &Caller) -> Result<Bytes, Status> {
        self.send_within(caller, None).await
    }

    /// As [`Write::send`], with a deadline that the server is told of.
    pub async fn send_within(&self, caller: &Caller, deadline: Option<Duration>) -> Result<Bytes, Status> {
        match self {
            Self::CreateUser(request) => bytes(caller.users().create_user(timed(request, deadline)).await),
            Self::CreateTeam(request) => bytes(caller.teams().create_team(timed(request, deadline)).await),
            Self::UpdateTeam(request) => bytes(caller.teams().update_team(timed(request, deadline)).await),
            Self::DeleteTeam(request) => bytes(caller.teams().delete_team(timed(request, deadline)).await),
            Self::AddMember(request) => bytes(caller.teams().add_member(timed(request, deadline)).await),
            Self::RemoveMember(request) => bytes(caller.teams().remove_member(timed(request, deadline)).await),
            Self::Invite(request) => bytes(caller.invitations().create_invitation(timed(request, deadline)).await),
            Self::Accept(request) => bytes(caller.invitations().accept_invitation(timed(request, deadline)).await),
        }
    }
}

fn timed<T: Clone>(message: &T, deadline: Option<Duration>) -> Request<T> {
    let mut request = Request::new(message.clone());
    if let Some(deadline) = deadline {
        request.set_timeout(deadline);
    }
    request
}

fn bytes<T: Message>(answer: Result<Response<T>, Status>) -> Result<Bytes, Status> {
    answer.map(|response| response.into_inner().encode_to_vec())
}
