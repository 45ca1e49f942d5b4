//! Where programs are performed: a server with five people, and how what a program names is called there.

mod invitations;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use prost_types::{FieldMask, Timestamp};
use roster_proto::v1::{self as wire, member::Subject};
use tokio::sync::Mutex;
use tonic::Status;

use super::{
    program::{DOMAINS, Do, EXTERNAL, Grant, Minute, PEOPLE, Patch, ROLES, Role, Rules, Step},
    state::{Model, OPEN},
};
use crate::support::{Caller, Db, Outcome as _, TestServer, outcome::error_info, scene::create_team};

pub use invitations::address;

/// How long what the service does within about a second may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What the service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    Done,
    Allowed(bool),
    Explained(bool, String),
    Each(Vec<String>),
    Refused(String),
}

/// A server and its people.
pub struct Stage {
    pub server: TestServer,
    /// How far the record of changes was read.
    pub cursor: Mutex<String>,
}

/// An invitation that was sent: the team that did, its id, and the tokens of its links.
pub struct Letter {
    team: usize,
    pub id: String,
    tokens: Vec<String>,
}

/// A tree on it, and what its teams, roles and invitations are called.
pub struct Tree<'a> {
    pub stage: &'a Stage,
    pub teams: BTreeMap<usize, String>,
    pub roles: BTreeMap<usize, String>,
    /// How many roles were deleted.
    deleted_roles: usize,
    pub letters: BTreeMap<usize, Letter>,
    begun: DateTime<Utc>,
    /// How many steps were asked for.
    asked: usize,
    /// The ids of the calls that were refused.
    pub refused: BTreeSet<String>,
}

/// A person's id.
pub fn person(n: usize) -> String {
    format!("person-{n}")
}

fn no_such(n: usize) -> String {
    format!("00000000-0000-7000-8000-00000000000{n}")
}

fn strings(texts: &BTreeSet<&'static str>) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn mask(paths: impl IntoIterator<Item = (bool, &'static str)>) -> FieldMask {
    let named = paths.into_iter().filter(|(named, _)| *named);
    FieldMask { paths: named.map(|(_, path)| path.to_owned()).collect() }
}

/// Rules as messages have them.
fn policy(rules: &Rules) -> wire::TeamPolicy {
    let ownership = match rules.shared {
        Some(true) => wire::Ownership::Shared,
        _ => wire::Ownership::SingleOwner,
    };
    wire::TeamPolicy {
        ownership: ownership.into(),
        exclusive_membership: rules.exclusive.unwrap_or_default(),
        max_members: rules.max_members.unwrap_or_default().try_into().unwrap(),
        require_email_match: rules.email_match,
        allowed_email_domains: rules.domain.flatten().map(|n| DOMAINS[n].to_owned()).into_iter().collect(),
        allow_external_members: rules.externals,
        max_pending_invitations: rules.max_pending.unwrap_or_default().try_into().unwrap(),
        invitee_roles_editable: rules.editable,
        ..Default::default()
    }
}

/// The rules that the model knows, and those that no program changes.
pub fn rules_of(model: &Model) -> wire::TeamPolicy {
    let rules = Rules {
        shared: Some(model.shared),
        exclusive: Some(model.exclusive),
        max_members: model.seats,
        email_match: Some(model.email_match),
        domain: Some(model.domain),
        externals: Some(model.externals),
        max_pending: model.max_pending,
        editable: Some(model.editable),
    };
    let invitation_ttl = Some(prost_types::Duration { seconds: 60 * OPEN, nanos: 0 });
    let profile_editing = wire::ProfileEditing::SelfOnly.into();
    wire::TeamPolicy { invitation_ttl, profile_editing, ..policy(&rules) }
}

impl Stage {
    pub async fn new(db: Db) -> Self {
        let server = TestServer::start(db).await;
        for n in 0..PEOPLE {
            let request = wire::CreateUserRequest {
                user_id: person(n),
                email: address(n),
                email_verified: true,
                ..Default::default()
            };
            server.service().users().create_user(request).await.done();
        }
        create_team(&server.service(), "Elsewhere", &person(EXTERNAL)).await;
        Self { server, cursor: Mutex::default() }
    }

    /// A root team that the first person owns.
    pub async fn tree(&self) -> Tree<'_> {
        let root = create_team(&self.server.service(), "Tree", &person(0)).await;
        let invitation_ttl = Some(prost_types::Duration { seconds: 60 * OPEN, nanos: 0 });
        let policy = Some(wire::TeamPolicy { invitation_ttl, ..Default::default() });
        let team = Some(wire::Team { id: root.clone(), policy, ..Default::default() });
        let update_mask = Some(mask([(true, "policy.invitation_ttl")]));
        let request = wire::UpdateTeamRequest { team, update_mask, ..Default::default() };
        self.server.service().teams().update_team(request).await.done();
        let begun = self.server.clock.env().now();
        let (teams, roles, letters) = (BTreeMap::from([(0, root)]), BTreeMap::new(), BTreeMap::new());
        Tree { stage: self, teams, roles, deleted_roles: 0, letters, begun, asked: 0, refused: BTreeSet::new() }
    }
}

impl Tree<'_> {
    pub fn service(&self) -> Caller {
        self.stage.server.service()
    }

    /// The id of a team, or one that no team has.
    pub fn team(&self, n: usize) -> String {
        self.teams.get(&n).cloned().unwrap_or_else(|| no_such(n))
    }

    pub fn role(&self, role: Role) -> String {
        match role {
            Role::Owner => "owner".to_owned(),
            Role::Admin => "admin".to_owned(),
            Role::Member => "member".to_owned(),
            Role::Own(n) => self.roles.get(&n).cloned().unwrap_or_else(|| no_such(n)),
        }
    }

    pub fn time(&self, minute: Minute) -> Timestamp {
        let time = self.begun + TimeDelta::minutes(minute);
        Timestamp { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos().cast_signed() }
    }

    fn role_ids(&self, roles: &BTreeSet<Role>) -> Vec<String> {
        roles.iter().map(|role| self.role(*role)).collect()
    }

    fn role_ends(&self, ends: &BTreeMap<Role, Minute>) -> BTreeMap<String, Timestamp> {
        ends.iter().map(|(role, end)| (self.role(*role), self.time(*end))).collect()
    }

    /// Performs a step.
    pub async fn perform(&mut self, step: &Step) -> Observed {
        let by = match step.by {
            Some(n) => self.stage.server.person(&person(n)),
            None => self.service(),
        };
        self.asked += 1;
        let call = format!("{}-{}", self.team(0), self.asked);
        let answer = self.ask(&by.saying("x-request-id", &call), &step.what).await;
        answer.unwrap_or_else(|status| {
            self.refused.insert(call);
            Observed::Refused(error_info(&status).reason)
        })
    }

    async fn ask(&mut self, by: &Caller, what: &Do) -> Result<Observed, Status> {
        match what {
            Do::CreateTeam { team, parent } => self.create_team(by, *team, *parent).await?,
            Do::Disable(team) => {
                let request = wire::DisableTeamRequest { team_id: self.team(*team), ..Default::default() };
                drop(by.teams().disable_team(request).await?);
            }
            Do::Enable(team) => {
                let request = wire::EnableTeamRequest { team_id: self.team(*team), ..Default::default() };
                drop(by.teams().enable_team(request).await?);
            }
            Do::Delete { team, cascade } => {
                let team_id = self.team(*team);
                let request = wire::DeleteTeamRequest { team_id, cascade: *cascade, ..Default::default() };
                drop(by.teams().delete_team(request).await?);
            }
            Do::SetRules(team, rules) => drop(by.teams().update_team(self.update_team(*team, rules)).await?),
            Do::Add { team, who, grant } => drop(by.teams().add_member(self.add_member(*team, *who, grant)).await?),
            Do::Update { team, who, patch } => {
                drop(by.teams().update_member(self.update_member(*team, *who, patch)).await?);
            }
            Do::Suspend { team, who } => {
                let (team_id, user_id) = (self.team(*team), person(*who));
                let request = wire::SuspendMemberRequest { team_id, user_id, ..Default::default() };
                drop(by.teams().suspend_member(request).await?);
            }
            Do::Reactivate { team, who } => {
                let (team_id, user_id) = (self.team(*team), person(*who));
                let request = wire::ReactivateMemberRequest { team_id, user_id, ..Default::default() };
                drop(by.teams().reactivate_member(request).await?);
            }
            Do::Remove { team, who, descendants } => {
                let (team_id, user_id, include_descendants) = (self.team(*team), person(*who), *descendants);
                let request = wire::RemoveMemberRequest { team_id, user_id, include_descendants, ..Default::default() };
                drop(by.teams().remove_member(request).await?);
            }
            Do::Leave(team) => drop(by.leave(&self.team(*team)).await?),
            Do::Transfer { team, to } => drop(by.transfer(&self.team(*team), &person(*to)).await?),
            Do::SetAccess { who, grants, removals } => {
                drop(by.teams().set_user_access(self.set_access(*who, grants, removals)).await?);
            }
            Do::Wait(minutes) => self.stage.server.clock.advance(TimeDelta::minutes(*minutes)),
            Do::CreateRole { .. } | Do::UpdateRole { .. } | Do::DeleteRole { .. } => self.on_role(by, what).await?,
            Do::Check { .. } | Do::Explain { .. } => return self.question(by, what).await,
            Do::Invitations(act) => return self.act(by, act).await,
        }
        Ok(Observed::Done)
    }

    async fn create_team(&mut self, by: &Caller, team: usize, parent: usize) -> Result<(), Status> {
        let (name, parent_team_id) = (format!("Team {team}"), self.team(parent));
        let request = wire::CreateTeamRequest { name, parent_team_id, ..Default::default() };
        let made = by.teams().create_team(request).await?.into_inner();
        self.teams.insert(team, made.team.unwrap().id);
        Ok(())
    }

    fn update_team(&self, team: usize, rules: &Rules) -> wire::UpdateTeamRequest {
        let policy = policy(rules);
        let update_mask = mask([
            (rules.shared.is_some(), "policy.ownership"),
            (rules.exclusive.is_some(), "policy.exclusive_membership"),
            (rules.max_members.is_some(), "policy.max_members"),
            (rules.email_match.is_some(), "policy.require_email_match"),
            (rules.domain.is_some(), "policy.allowed_email_domains"),
            (rules.externals.is_some(), "policy.allow_external_members"),
            (rules.max_pending.is_some(), "policy.max_pending_invitations"),
            (rules.editable.is_some(), "policy.invitee_roles_editable"),
        ]);
        let team = wire::Team { id: self.team(team), policy: Some(policy), ..Default::default() };
        wire::UpdateTeamRequest { team: Some(team), update_mask: Some(update_mask), ..Default::default() }
    }

    fn add_member(&self, team: usize, who: usize, grant: &Grant) -> wire::AddMemberRequest {
        wire::AddMemberRequest {
            team_id: self.team(team),
            user_id: person(who),
            role_ids: self.role_ids(&grant.roles),
            permissions: strings(&grant.permissions),
            expire_time: grant.end.map(|end| self.time(end)),
            role_expire_times: self.role_ends(&grant.role_ends),
            ..Default::default()
        }
    }

    fn update_member(&self, team: usize, who: usize, patch: &Patch) -> wire::UpdateMemberRequest {
        // A patch that names nothing would be one of the roles.
        let update_mask = mask([
            (patch.roles.is_some(), "role_ids"),
            (patch.role_ends.is_some(), "role_expire_times"),
            (patch.permissions.is_some(), "permissions"),
            (patch.end.is_some(), "expire_time"),
        ]);
        let member = wire::Member {
            team_id: self.team(team),
            subject: Some(Subject::User(wire::User { id: person(who), ..Default::default() })),
            role_ids: self.role_ids(&patch.roles.clone().unwrap_or_default()),
            role_expire_times: self.role_ends(&patch.role_ends.clone().unwrap_or_default()),
            permissions: strings(&patch.permissions.clone().unwrap_or_default()),
            expire_time: patch.end.flatten().map(|end| self.time(end)),
            ..Default::default()
        };
        wire::UpdateMemberRequest { member: Some(member), update_mask: Some(update_mask), ..Default::default() }
    }

    fn set_access(
        &self,
        who: usize,
        grants: &BTreeMap<usize, Grant>,
        removals: &BTreeSet<usize>,
    ) -> wire::SetUserAccessRequest {
        let grant = |(team, grant): (&usize, &Grant)| wire::AccessGrant {
            team_id: self.team(*team),
            role_ids: self.role_ids(&grant.roles),
            permissions: strings(&grant.permissions),
            expire_time: grant.end.map(|end| self.time(end)),
            role_expire_times: self.role_ends(&grant.role_ends),
        };
        wire::SetUserAccessRequest {
            user_id: person(who),
            grants: grants.iter().map(grant).collect(),
            remove_team_ids: removals.iter().map(|team| self.team(*team)).collect(),
            ..Default::default()
        }
    }

    async fn on_role(&mut self, by: &Caller, what: &Do) -> Result<(), Status> {
        match what {
            Do::CreateRole { team, role, gives, reaches } => {
                let new = wire::Role {
                    team_id: self.team(*team),
                    key: format!("own-{role}"),
                    name: format!("Own {role}"),
                    permissions: strings(gives),
                    reaches_descendants: *reaches,
                    ..Default::default()
                };
                let request = wire::CreateRoleRequest { role: Some(new), ..Default::default() };
                let made = by.roles().create_role(request).await?.into_inner();
                self.roles.insert(*role, made.role.unwrap().id);
            }
            Do::UpdateRole { team, role, gives, reaches } => {
                let changed = wire::Role {
                    team_id: self.team(*team),
                    id: self.role(*role),
                    permissions: strings(&gives.clone().unwrap_or_default()),
                    reaches_descendants: reaches.unwrap_or_default(),
                    ..Default::default()
                };
                let named = [(gives.is_some(), "permissions"), (reaches.is_some(), "reaches_descendants")];
                let (role, update_mask) = (Some(changed), Some(mask(named)));
                let request = wire::UpdateRoleRequest { role, update_mask, ..Default::default() };
                drop(by.roles().update_role(request).await?);
            }
            Do::DeleteRole { team, role, replacement } => {
                let request = wire::DeleteRoleRequest {
                    team_id: self.team(*team),
                    role_id: self.role(*role),
                    replacement_role_id: replacement.map(|role| self.role(role)).unwrap_or_default(),
                    ..Default::default()
                };
                drop(by.roles().delete_role(request).await?);
                // Invitations that are closed still name it.
                if let Role::Own(n) = role {
                    let id = self.roles.remove(n).unwrap();
                    self.roles.insert(ROLES + self.deleted_roles, id);
                    self.deleted_roles += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn question(&self, by: &Caller, what: &Do) -> Result<Observed, Status> {
        let (Do::Check { team, who, permission } | Do::Explain { team, who, permission }) = what else {
            return Ok(Observed::Done);
        };
        let (team_id, user_id, permission) = (self.team(*team), person(*who), (*permission).to_owned());
        if matches!(what, Do::Check { .. }) {
            let request = wire::CheckAccessRequest { user_id, team_id, permission, consistency: None };
            return Ok(Observed::Allowed(by.access().check_access(request).await?.into_inner().allowed));
        }
        let request = wire::ExplainAccessRequest { user_id, team_id, permission, consistency: None };
        let answer = by.access().explain_access(request).await?.into_inner();
        let reason = answer.reason().as_str_name().trim_start_matches("ACCESS_REASON_").to_owned();
        Ok(Observed::Explained(answer.allowed, reason))
    }

    /// Takes the tree away.
    pub async fn clear(&self) {
        let request = wire::DeleteTeamRequest { team_id: self.team(0), cascade: true, ..Default::default() };
        match self.service().teams().delete_team(request).await {
            Err(status) if error_info(&status).reason == "TEAM_NOT_FOUND" => {}
            answer => drop(answer.done()),
        }
    }
}
