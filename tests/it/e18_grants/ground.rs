//! Where they act: a tree with people who hold different things in it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use prost_types::FieldMask;
use roster::env::Clock as _;
use roster_proto::v1::{
    self as wire,
    accept_invitation_request::{Accepter, Invitation as Named},
    member::Subject,
};
use tonic::Status;

use super::acts::{Act, Call};
use crate::support::{
    Caller, Db, Outcome as _, TestServer,
    acts::{mask, member, stamp},
    outcome::error_info,
    scene::{create_team, create_user, user_of},
};

/// `olga` owns the root, and `ada`, `max` and `lea` are members of it; `sam` is a member of the team `child`, `ned` a
/// suspended one, `pia` one for an hour, and `fay` is invited to it. Invitations that have run out are `ivy`'s, to be an
/// admin of `child`, and `jon`'s, to the role `local` in the root. The others are nowhere yet.
const PEOPLE: [&str; 13] = ["olga", "ada", "max", "lea", "sam", "ned", "pia", "fay", "ivy", "jon", "tom", "gus", "hal"];

/// Whose home is the tree.
const AT_HOME: [&str; 5] = ["olga", "ada", "max", "sam", "ned"];

/// How long memberships last that do not last.
const HOUR: TimeDelta = TimeDelta::hours(1);

/// What people may hold.
const PERMISSIONS: [&str; 12] = [
    "roster.teams.delete",
    "roster.ownership.transfer",
    "catalog.read",
    "catalog.write",
    "orders.read",
    "roster.members.add",
    "roster.members.update",
    "roster.roles.update",
    "roster.invitations.create",
    "roster.teams.create",
    "roster.teams.update",
    "*",
];

/// What `max` holds, there and below.
const MANAGER: [&str; 6] = [
    "roster.members.*",
    "roster.roles.*",
    "roster.invitations.*",
    "roster.users.*",
    "roster.teams.create",
    "catalog.read",
];
/// What `lea` holds, in the root alone.
const LOCAL: [&str; 7] = [
    "roster.members.*",
    "roster.roles.*",
    "roster.invitations.*",
    "roster.users.*",
    "roster.teams.create",
    "catalog.read",
    "catalog.write",
];

/// Why an invitation may not be to be accepted.
const UNACCEPTABLE: [&str; 6] = [
    "INVITATION_ACCEPTED",
    "INVITATION_CANCELED",
    "INVITATION_EXPIRED",
    "INVITER_NO_LONGER_ALLOWED",
    "ROLE_GONE",
    "EMAIL_MISMATCH",
];

/// Who holds what in which team.
pub type Held = BTreeSet<(&'static str, &'static str, &'static str)>;

/// A server with people on it.
pub struct Ground {
    server: TestServer,
}

/// One tree.
pub struct Tree<'a> {
    server: &'a TestServer,
    /// By name: `root`, below it `child` and `quiet`, in which nobody is, and perhaps `new`.
    teams: BTreeMap<&'static str, String>,
    /// By key, those that were made.
    roles: BTreeMap<&'static str, String>,
    /// By who is invited: the team that does, and the invitation's id.
    invitations: BTreeMap<&'static str, (&'static str, String)>,
    /// Who can become whom.
    taken_over: Vec<(&'static str, &'static str)>,
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

impl Ground {
    pub async fn new(db: Db) -> Self {
        let server = TestServer::start(db).await;
        for person in PEOPLE {
            create_user(&server.service(), person).await;
        }
        Self { server }
    }

    pub async fn tree(&self) -> Tree<'_> {
        let service = self.server.service();
        let root = create_team(&service, "Root", "olga").await;
        let mut tree = Tree {
            server: &self.server,
            teams: BTreeMap::from([("root", root)]),
            roles: BTreeMap::new(),
            invitations: BTreeMap::new(),
            taken_over: Vec::new(),
        };
        tree.let_administrators_edit().await;
        for name in ["child", "quiet"] {
            tree.create_team(&service, name, "root", None).await.unwrap();
        }
        tree.create_role(&service, "manager", &MANAGER, true).await.unwrap();
        tree.create_role(&service, "local", &LOCAL, false).await.unwrap();
        tree.create_role(&service, "helper", &["catalog.read"], false).await.unwrap();
        for (team, who, role) in
            [("root", "ada", "admin"), ("root", "max", "manager"), ("root", "lea", "local"), ("child", "sam", "helper")]
        {
            service.add(&tree.team(team), who, &[&tree.role(role)]).await.done();
        }
        let child = tree.team("child");
        service.add(&child, "ned", &["admin"]).await.done();
        service.suspend(&child, "ned").await.done();
        let end = Some(stamp(self.server.clock.now() + HOUR));
        let for_an_hour =
            wire::AddMemberRequest { role_ids: strings(&["admin"]), expire_time: end, ..Default::default() };
        service.add_with(&child, "pia", for_an_hour).await.done();
        for who in AT_HOME {
            let home_team_id = tree.team("root");
            let moved = wire::User { id: who.to_owned(), home_team_id, email: address(who), ..Default::default() };
            service.edit(moved, &["home_team_id", "email"], "").await.done();
        }
        for (who, team, role) in [("fay", "child", "helper"), ("ivy", "child", "admin"), ("jon", "root", "local")] {
            tree.invite(who, team, role).await;
        }
        tree.let_run_out(&["ivy", "jon"]).await;
        tree
    }
}

fn address(who: &str) -> String {
    format!("{who}@example.com")
}

impl Tree<'_> {
    async fn let_administrators_edit(&self) {
        let policy = wire::TeamPolicy { profile_editing: wire::ProfileEditing::Admins.into(), ..Default::default() };
        let team = wire::Team { id: self.team("root"), policy: Some(policy), ..Default::default() };
        let update_mask = mask(&["policy.profile_editing"]);
        let request = wire::UpdateTeamRequest { team: Some(team), update_mask, ..Default::default() };
        self.server.service().teams().update_team(request).await.done();
    }

    /// Invites somebody on behalf of nobody.
    async fn invite(&mut self, who: &'static str, team: &'static str, role: &str) {
        let invited = self.server.service().invite(&self.team(team), &address(who), &[&self.role(role)]).await.done();
        self.invitations.insert(who, (team, invited.invitation.unwrap().id));
    }

    async fn let_run_out(&self, invited: &[&str]) {
        let moment = TimeDelta::seconds(1);
        for who in invited {
            self.end_invitation(&self.server.service(), who, moment).await.unwrap();
        }
        self.server.clock.advance(moment);
    }

    /// Has an invitation end so long from now.
    async fn end_invitation(&self, by: &Caller, who: &str, from_now: TimeDelta) -> Result<(), Status> {
        let (team, id) = &self.invitations[who];
        by.end_invitation_at(&self.team(team), id, self.server.clock.now() + from_now).await.map(drop)
    }

    /// Changes what somebody is invited to.
    async fn change_invitee(&self, by: &Caller, who: &str, grants: Vec<wire::Grant>) -> Result<(), Status> {
        let (team, id) = &self.invitations[who];
        let change = wire::Invitation { team_id: self.team(team), id: id.clone(), grants, ..Default::default() };
        by.update_invitation(change, &["grants"]).await.map(drop)
    }

    fn grant(&self, team: &str, role: &str, permissions: &[&str]) -> wire::Grant {
        wire::Grant { team_id: self.team(team), role_ids: vec![self.role(role)], permissions: strings(permissions) }
    }

    /// Has somebody accept who is invited.
    async fn accept_invited(&self, who: &str) -> Result<(), Status> {
        let request = wire::AcceptInvitationRequest {
            invitation: Some(Named::InvitationId(self.invitations[who].1.clone())),
            accepter: Some(Accepter::UserId(who.to_owned())),
            ..Default::default()
        };
        self.server.service().invitations().accept_invitation(request).await.map(drop)
    }

    /// Has everybody accept who is invited, and can.
    pub async fn everybody_accepts(&self) {
        for who in self.invitations.keys() {
            if let Err(status) = self.accept_invited(who).await {
                let reason = error_info(&status).reason;
                assert!(UNACCEPTABLE.contains(&reason.as_str()), "{who}: {status:?}");
            }
        }
    }

    fn team(&self, name: &str) -> String {
        self.teams[name].clone()
    }

    /// The id of a role, or one that no role has.
    fn role(&self, key: &str) -> String {
        let no_such = || if key == "new" { "00000000-0000-7000-8000-000000000000" } else { key }.to_owned();
        self.roles.get(key).cloned().unwrap_or_else(no_such)
    }

    async fn create_team(
        &mut self,
        by: &Caller,
        name: &'static str,
        parent: &str,
        in_charge: Option<&str>,
    ) -> Result<(), Status> {
        let in_charge = in_charge.map(|role| wire::PersonInCharge {
            email: "hal@example.com".to_owned(),
            role_ids: vec![self.role(role)],
            ..Default::default()
        });
        let request = wire::CreateTeamRequest {
            name: name.to_owned(),
            parent_team_id: self.team(parent),
            person_in_charge: in_charge,
            ..Default::default()
        };
        let made = by.teams().create_team(request).await?.into_inner();
        let team = made.team.unwrap().id;
        if let Some(invitation) = made.invitation {
            self.accept(&team, &invitation.id, "hal").await;
        }
        self.teams.insert(name, team);
        Ok(())
    }

    async fn accept(&self, team: &str, invitation: &str, who: &str) {
        let service = self.server.service();
        let token = service.token(team, invitation).await;
        service.accept(&token, who).await.done();
    }

    async fn create_role(
        &mut self,
        by: &Caller,
        key: &'static str,
        gives: &[&str],
        reaches: bool,
    ) -> Result<(), Status> {
        let role = wire::Role {
            team_id: self.team("root"),
            key: key.to_owned(),
            name: key.to_owned(),
            permissions: strings(gives),
            reaches_descendants: reaches,
            ..Default::default()
        };
        let request = wire::CreateRoleRequest { role: Some(role), ..Default::default() };
        let made = by.roles().create_role(request).await?.into_inner();
        self.roles.insert(key, made.role.unwrap().id);
        Ok(())
    }

    /// Whether the call would make a second team `new`.
    pub fn repeats(&self, act: &Act) -> bool {
        matches!(act.call, Call::CreateTeam { .. }) && self.teams.contains_key("new")
    }

    /// Makes a call.
    pub async fn perform(&mut self, act: &Act) -> Result<(), Status> {
        let by = self.server.person(act.by);
        match &act.call {
            Call::AddMember { team, who, role } => by.add(&self.team(team), who, &[&self.role(role)]).await.map(drop),
            Call::SetRole { team, who, role } => {
                by.set_roles(&self.team(team), who, &[&self.role(role)]).await.map(drop)
            }
            Call::SetPermission { team, who, permission } => self.set_permission(&by, team, who, permission).await,
            Call::Invite { team, role } => {
                let team = self.team(team);
                let invited = by.invite(&team, "gus@example.com", &[&self.role(role)]).await?.into_inner();
                self.accept(&team, &invited.invitation.unwrap().id, "gus").await;
                Ok(())
            }
            Call::CreateRole { gives, reaches } => self.create_role(&by, "new", gives, *reaches).await,
            Call::Extend { role, with } => self.extend(&by, role, with).await,
            Call::Reach { role } => {
                let changed = wire::Role { reaches_descendants: true, ..self.changed(role) };
                self.update_role(&by, changed, "reaches_descendants").await
            }
            Call::DeleteRole { role, replacement } => self.delete_role(&by, role, replacement).await,
            Call::SetAccess { role } => {
                let role_ids = vec![self.role(role)];
                let grant = |team| wire::AccessGrant {
                    team_id: self.team(team),
                    role_ids: role_ids.clone(),
                    ..Default::default()
                };
                let grants = ["root", "child"].map(grant).into();
                let request = wire::SetUserAccessRequest { user_id: "tom".to_owned(), grants, ..Default::default() };
                by.teams().set_user_access(request).await.map(drop)
            }
            Call::CreateTeam { parent, role } => self.create_team(&by, "new", parent, Some(role)).await,
            Call::Suspend { team, who } => by.suspend(&self.team(team), who).await.map(drop),
            Call::Reactivate { team, who } => by.reactivate(&self.team(team), who).await.map(drop),
            Call::Prolong { team, who } => by.change(member(&self.team(team), who), &["expire_time"]).await.map(drop),
            Call::TakeOver { who } => {
                let email = format!("{who}@elsewhere.example");
                let user = wire::User { id: (*who).to_owned(), email, ..Default::default() };
                by.edit(user, &["email"], &self.team("root")).await?;
                self.taken_over.push((act.by, *who));
                Ok(())
            }
            Call::DeleteUser { who } => {
                by.delete_user(who, &self.team("root")).await?;
                // For the trees that come after.
                create_user(&self.server.service(), who).await;
                Ok(())
            }
            Call::ChangeInvitee { who, grants } => {
                let grants = grants.iter().map(|(team, role)| self.grant(team, role, &[])).collect();
                self.change_invitee(&by, who, grants).await
            }
            Call::OfferPermission { who, permission } => {
                self.change_invitee(&by, who, vec![self.grant("child", "helper", &[permission])]).await
            }
            Call::Resend { who } => {
                let (team, id) = &self.invitations[who];
                by.resend(&self.team(team), id).await.map(drop)
            }
            Call::Revive { who } => self.end_invitation(&by, who, HOUR).await,
            Call::Accept => self.accept_invited("fay").await,
        }
    }

    async fn set_permission(&self, by: &Caller, team: &str, who: &str, permission: &str) -> Result<(), Status> {
        let member = wire::Member {
            team_id: self.team(team),
            subject: Some(Subject::User(wire::User { id: who.to_owned(), ..Default::default() })),
            permissions: strings(&[permission]),
            ..Default::default()
        };
        let request = wire::UpdateMemberRequest { member: Some(member), ..Default::default() };
        by.teams().update_member(request).await.map(drop)
    }

    fn changed(&self, role: &str) -> wire::Role {
        wire::Role { team_id: self.team("root"), id: self.role(role), ..Default::default() }
    }

    async fn update_role(&self, by: &Caller, role: wire::Role, path: &str) -> Result<(), Status> {
        let update_mask = Some(FieldMask { paths: strings(&[path]) });
        let request = wire::UpdateRoleRequest { role: Some(role), update_mask, ..Default::default() };
        by.roles().update_role(request).await.map(drop)
    }

    async fn extend(&self, by: &Caller, role: &str, with: &str) -> Result<(), Status> {
        let (team_id, role_id) = (self.team("root"), self.role(role));
        let request = wire::GetRoleRequest { team_id, role_id, consistency: None };
        let mut permissions = match self.server.service().roles().get_role(request).await {
            Ok(found) => found.into_inner().role.unwrap().permissions,
            Err(_) => Vec::new(),
        };
        permissions.push(with.to_owned());
        self.update_role(by, wire::Role { permissions, ..self.changed(role) }, "permissions").await
    }

    async fn delete_role(&mut self, by: &Caller, role: &str, replacement: &str) -> Result<(), Status> {
        let request = wire::DeleteRoleRequest {
            team_id: self.team("root"),
            role_id: self.role(role),
            replacement_role_id: self.role(replacement),
            ..Default::default()
        };
        by.roles().delete_role(request).await.map(drop)
    }

    /// Who holds what once everybody is in who is invited, and it has run out what was given for a time. Who can become
    /// somebody holds what they hold.
    pub async fn held(&self) -> Held {
        self.everybody_accepts().await;
        self.server.clock.advance(HOUR);
        let asked: Vec<_> = self
            .teams
            .keys()
            .flat_map(|team| PEOPLE.map(|who| (*team, who)))
            .flat_map(|(team, who)| PERMISSIONS.map(|permission| (team, who, permission)))
            .collect();
        let check = |(team, who, permission): &(&str, &str, &str)| wire::AccessCheck {
            user_id: (*who).to_owned(),
            team_id: self.team(team),
            permission: (*permission).to_owned(),
        };
        let request = wire::BatchCheckAccessRequest { checks: asked.iter().map(check).collect(), consistency: None };
        let results = self.server.service().access().batch_check_access(request).await.done().results;
        assert_eq!(results.len(), asked.len());
        let allowed = |answer: &wire::AccessResult| match answer.result.as_ref().unwrap() {
            wire::access_result::Result::Allowed(allowed) => *allowed,
            wire::access_result::Result::Error(error) => panic!("{error:?}"),
        };
        let held = asked.into_iter().zip(&results).filter(|(_, answer)| allowed(answer)).map(|(asked, _)| asked);
        let mut held: Held = held.collect();
        for (by, who) in &self.taken_over {
            let theirs = held.iter().filter(|(_, holder, _)| holder == who);
            let gained: Vec<_> = theirs.map(|(team, _, permission)| (*team, *by, *permission)).collect();
            held.extend(gained);
        }
        held
    }

    /// All that decides about what happens next, whichever tree it is.
    pub async fn view(&self) -> BTreeSet<String> {
        let service = self.server.service();
        let request = wire::ListRolesRequest { team_id: self.team("root"), ..Default::default() };
        let roles = service.roles().list_roles(request).await.done().roles;
        let keys: BTreeMap<_, _> = roles.iter().map(|role| (role.id.clone(), role.key.clone())).collect();
        let role = |role: &wire::Role| format!("{} {:?} {}", role.key, role.permissions, role.reaches_descendants);
        let mut view: BTreeSet<_> = roles.iter().map(role).collect();
        for (name, team) in &self.teams {
            let members = service.list(team).await.done().members;
            view.extend(members.iter().map(|member| {
                let roles: BTreeSet<_> = member.role_ids.iter().map(|id| &keys[id]).collect();
                let (who, ends) = (user_of(member), member.expire_time.is_some());
                format!("{name} {who} {roles:?} {:?} {:?} ends {ends}", member.permissions, member.state())
            }));
        }
        view.extend(self.taken_over.iter().map(|(by, who)| format!("{by} can become {who}")));
        for (who, (team, id)) in &self.invitations {
            view.insert(self.view_of_invitation(who, &self.team(team), id, &keys).await);
        }
        view
    }

    async fn view_of_invitation(&self, who: &str, team: &str, id: &str, keys: &BTreeMap<String, String>) -> String {
        let (team_id, invitation_id) = (team.to_owned(), id.to_owned());
        let request = wire::GetInvitationRequest { team_id, invitation_id, ..Default::default() };
        let found = self.server.service().invitations().get_invitation(request).await.done().invitation.unwrap();
        let names: BTreeMap<_, _> = self.teams.iter().map(|(name, id)| (id, name)).collect();
        let grant = |grant: &wire::Grant| {
            // A closed invitation still names a role that is gone.
            let roles: BTreeSet<_> = grant.role_ids.iter().map(|id| keys.get(id)).collect();
            format!("{} {roles:?} {:?}", names[&grant.team_id], grant.permissions)
        };
        let grants: BTreeSet<_> = found.grants.iter().map(grant).collect();
        format!("{who} is invited by {:?} {:?} {grants:?}", found.inviter_user_id, found.state())
    }
}
