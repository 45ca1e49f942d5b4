//! Short ways to act on trees, roles, members and people, beside those of `scene`.

use chrono::{DateTime, TimeDelta, Utc};
use prost_types::{FieldMask, Timestamp};
use roster::env::Clock as _;
use roster_proto::{
    events::v1::Event,
    v1::{
        self as wire, AddMemberRequest, CreateTeamRequest, ExplainAccessRequest, UpdateMemberRequest, member::Subject,
    },
};
use tonic::{Response, Status};

use super::{Caller, Outcome as _, Scene, log::Log, outcome::kind, scene::create_team};

type Answer<T> = Result<Response<T>, Status>;

/// These texts, owned.
pub fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// A mask that names these fields; none for no fields.
pub fn mask(paths: &[&str]) -> Option<FieldMask> {
    (!paths.is_empty()).then(|| FieldMask { paths: texts(paths) })
}

/// A team below another, to be created.
pub fn below(parent: &str, name: &str) -> CreateTeamRequest {
    CreateTeamRequest { parent_team_id: parent.to_owned(), name: name.to_owned(), ..Default::default() }
}

/// A membership to be changed: it says which.
pub fn member(team: &str, user: &str) -> wire::Member {
    let user = wire::User { id: user.to_owned(), ..Default::default() };
    wire::Member { team_id: team.to_owned(), subject: Some(Subject::User(user)), ..Default::default() }
}

/// A role of a tree's own, to be created.
pub fn role(team: &str, key: &str, permissions: &[&str]) -> wire::Role {
    wire::Role {
        team_id: team.to_owned(),
        key: key.to_owned(),
        name: key.to_owned(),
        permissions: texts(permissions),
        ..Default::default()
    }
}

impl Scene {
    /// The time so long from now.
    pub fn after(&self, delta: TimeDelta) -> DateTime<Utc> {
        self.server.clock.now() + delta
    }

    /// Creates a team below the scene's.
    pub async fn team_below(&self, name: &str) -> String {
        self.service().create_below(&self.team, name).await
    }

    /// Another tree, owned by `eve`.
    pub async fn foreign_team(&self) -> String {
        create_team(&self.service(), "Foreign", "eve").await
    }

    /// Sets some of the rules of the tree.
    pub async fn rule(&self, policy: wire::TeamPolicy, path: &str) -> Answer<wire::UpdateTeamResponse> {
        let team = wire::Team { id: self.team.clone(), policy: Some(policy), ..Default::default() };
        let update_mask = mask(&[&format!("policy.{path}")]);
        let request = wire::UpdateTeamRequest { team: Some(team), update_mask, ..Default::default() };
        self.service().teams().update_team(request).await
    }

    /// Creates a role of the tree's own that reaches down or not, and gives its id.
    pub async fn own_role(&self, key: &str, permissions: &[&str], reaches_descendants: bool) -> String {
        let role = wire::Role { reaches_descendants, ..role(&self.team, key, permissions) };
        self.service().make_role(role).await.done().role.unwrap().id
    }

    /// The events of a team so far, but for those of mails.
    pub async fn events(&self, team: &str) -> Vec<Event> {
        let log = Log::read(&self.service()).await;
        log.events.into_iter().filter(|event| event.team_id == team && kind(event) != "invitation_sent").collect()
    }

    /// The events of these kinds so far, of all teams and people, each with its cause: `member_added DIRECT`.
    pub async fn told(&self, kinds: &[&str]) -> Vec<String> {
        let log = Log::read(&self.service()).await;
        let told = log.events.iter().filter(|event| kinds.contains(&kind(event)));
        told.map(|event| format!("{} {}", kind(event), event.cause().as_str_name().trim_start_matches("CAUSE_")))
            .collect()
    }
}

/// A moment as messages have it.
pub fn stamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos().cast_signed() }
}

impl Caller {
    /// Invites an address that an outside mailer writes to, and gives the invitation's id.
    pub async fn invite_outside(&self, team: &str, email: &str) -> String {
        let request = wire::CreateInvitationRequest {
            team_id: team.to_owned(),
            email: email.to_owned(),
            role_ids: texts(&["member"]),
            delivery_channel: wire::DeliveryChannel::External.into(),
            ..Default::default()
        };
        self.invitations().create_invitation(request).await.done().invitation.unwrap().id
    }

    /// The id of an invitation's latest mail.
    pub async fn delivery(&self, team: &str, invitation: &str) -> String {
        let request = wire::GetInvitationRequest {
            team_id: team.to_owned(),
            invitation_id: invitation.to_owned(),
            ..Default::default()
        };
        let found = self.invitations().get_invitation(request).await.done().invitation.unwrap();
        found.delivery.unwrap().id
    }

    /// Changes an open invitation: the fields of `change` that the mask names.
    pub async fn update_invitation(
        &self,
        change: wire::Invitation,
        paths: &[&str],
    ) -> Answer<wire::UpdateInvitationResponse> {
        let request =
            wire::UpdateInvitationRequest { invitation: Some(change), update_mask: mask(paths), ..Default::default() };
        self.invitations().update_invitation(request).await
    }

    /// Has an open invitation run out then.
    pub async fn end_invitation_at(
        &self,
        team: &str,
        id: &str,
        end: DateTime<Utc>,
    ) -> Answer<wire::UpdateInvitationResponse> {
        let change = wire::Invitation {
            team_id: team.to_owned(),
            id: id.to_owned(),
            expire_time: Some(stamp(end)),
            ..Default::default()
        };
        self.update_invitation(change, &["expire_time"]).await
    }

    pub async fn create_below(&self, parent: &str, name: &str) -> String {
        self.teams().create_team(below(parent, name)).await.done().team.unwrap().id
    }

    pub async fn team(&self, id: &str) -> Answer<wire::GetTeamResponse> {
        let key = Some(wire::get_team_request::Key::TeamId(id.to_owned()));
        self.teams().get_team(wire::GetTeamRequest { key, consistency: None }).await
    }

    pub async fn disable(&self, team: &str) -> Answer<wire::DisableTeamResponse> {
        self.teams().disable_team(wire::DisableTeamRequest { team_id: team.to_owned(), ..Default::default() }).await
    }

    pub async fn enable(&self, team: &str) -> Answer<wire::EnableTeamResponse> {
        self.teams().enable_team(wire::EnableTeamRequest { team_id: team.to_owned(), ..Default::default() }).await
    }

    pub async fn delete_team(&self, team: &str, cascade: bool) -> Answer<wire::DeleteTeamResponse> {
        let request = wire::DeleteTeamRequest { team_id: team.to_owned(), cascade, ..Default::default() };
        self.teams().delete_team(request).await
    }

    /// Adds a member with more than roles.
    pub async fn add_with(&self, team: &str, user: &str, with: AddMemberRequest) -> Answer<wire::AddMemberResponse> {
        let request = AddMemberRequest { team_id: team.to_owned(), user_id: user.to_owned(), ..with };
        self.teams().add_member(request).await
    }

    pub async fn member(&self, team: &str, user: &str) -> Answer<wire::GetMemberResponse> {
        let request =
            wire::GetMemberRequest { team_id: team.to_owned(), user_id: user.to_owned(), ..Default::default() };
        self.teams().get_member(request).await
    }

    /// Changes these fields of a member.
    pub async fn change(&self, member: wire::Member, paths: &[&str]) -> Answer<wire::UpdateMemberResponse> {
        let request = UpdateMemberRequest { member: Some(member), update_mask: mask(paths), ..Default::default() };
        self.teams().update_member(request).await
    }

    pub async fn suspend(&self, team: &str, user: &str) -> Answer<wire::SuspendMemberResponse> {
        let (team_id, user_id) = (team.to_owned(), user.to_owned());
        self.teams().suspend_member(wire::SuspendMemberRequest { team_id, user_id, ..Default::default() }).await
    }

    pub async fn reactivate(&self, team: &str, user: &str) -> Answer<wire::ReactivateMemberResponse> {
        let (team_id, user_id) = (team.to_owned(), user.to_owned());
        self.teams().reactivate_member(wire::ReactivateMemberRequest { team_id, user_id, ..Default::default() }).await
    }

    /// Removes somebody here and below.
    pub async fn remove_below(&self, team: &str, user: &str) -> Answer<wire::RemoveMemberResponse> {
        let request = wire::RemoveMemberRequest {
            team_id: team.to_owned(),
            user_id: user.to_owned(),
            include_descendants: true,
            ..Default::default()
        };
        self.teams().remove_member(request).await
    }

    pub async fn make_role(&self, role: wire::Role) -> Answer<wire::CreateRoleResponse> {
        self.roles().create_role(wire::CreateRoleRequest { role: Some(role), ..Default::default() }).await
    }

    /// Changes these fields of a role.
    pub async fn change_role(&self, role: wire::Role, paths: &[&str]) -> Answer<wire::UpdateRoleResponse> {
        let request = wire::UpdateRoleRequest { role: Some(role), update_mask: mask(paths), ..Default::default() };
        self.roles().update_role(request).await
    }

    /// Deletes a role; an empty replacement is none.
    pub async fn delete_role(&self, team: &str, id: &str, replacement: &str) -> Answer<wire::DeleteRoleResponse> {
        let request = wire::DeleteRoleRequest {
            team_id: team.to_owned(),
            role_id: id.to_owned(),
            replacement_role_id: replacement.to_owned(),
            ..Default::default()
        };
        self.roles().delete_role(request).await
    }

    /// Sets what somebody has in several teams: `(team, role)`, and where they are removed.
    pub async fn set_access(
        &self,
        user: &str,
        grants: &[(&str, &str)],
        removals: &[&str],
    ) -> Answer<wire::SetUserAccessResponse> {
        let grant = |(team, role): &(&str, &str)| wire::AccessGrant {
            team_id: (*team).to_owned(),
            role_ids: texts(&[role]),
            ..Default::default()
        };
        let request = wire::SetUserAccessRequest {
            user_id: user.to_owned(),
            grants: grants.iter().map(grant).collect(),
            remove_team_ids: texts(removals),
            ..Default::default()
        };
        self.teams().set_user_access(request).await
    }

    /// Changes these fields of a person's record, by the rules of a team if one is named.
    pub async fn edit(&self, user: wire::User, paths: &[&str], team: &str) -> Answer<wire::UpdateUserResponse> {
        let (update_mask, team_id) = (mask(paths), team.to_owned());
        let request = wire::UpdateUserRequest { user: Some(user), update_mask, team_id, ..Default::default() };
        self.users().update_user(request).await
    }

    pub async fn delete_user(&self, user: &str, team: &str) -> Answer<wire::DeleteUserResponse> {
        let (user_id, team_id) = (user.to_owned(), team.to_owned());
        self.users().delete_user(wire::DeleteUserRequest { user_id, team_id, ..Default::default() }).await
    }

    /// The addresses invited to a team whose invitations are in this state, the newest first.
    pub async fn invited(&self, team: &str, state: wire::InvitationState) -> Vec<String> {
        let states = vec![state.into()];
        let request = wire::ListInvitationsRequest { team_id: team.to_owned(), states, ..Default::default() };
        let found = self.invitations().list_invitations(request).await.done().invitations;
        found.into_iter().map(|invitation| invitation.email).collect()
    }

    /// Whether somebody may do something.
    pub async fn may(&self, user: &str, team: &str, permission: &str) -> bool {
        let request = wire::CheckAccessRequest {
            user_id: user.to_owned(),
            team_id: team.to_owned(),
            permission: permission.to_owned(),
            ..Default::default()
        };
        self.access().check_access(request).await.done().allowed
    }

    pub async fn explain(&self, user: &str, team: &str, permission: &str) -> Answer<wire::ExplainAccessResponse> {
        let request = ExplainAccessRequest {
            user_id: user.to_owned(),
            team_id: team.to_owned(),
            permission: permission.to_owned(),
            ..Default::default()
        };
        self.access().explain_access(request).await
    }
}
