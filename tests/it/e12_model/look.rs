//! Whether what the service shows is what the model knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use roster_proto::v1::{self as wire, list_teams_request::Scope};

use super::{
    program::{ASKED, EXTERNAL, PEOPLE, ROLES, Role, TEAMS},
    stage::{PATIENCE, Tree, address, person, rules_of},
    state::{Fate, Invitation, Membership, Model},
};
use crate::support::{Outcome as _, outcome::error_info, scene::user_of};

/// Everything that can be seen of a tree, as lines of text.
pub type View = BTreeSet<String>;

/// A member, as far as programs go.
fn line_of_member(team: usize, member: &wire::Member) -> String {
    let roles: BTreeSet<_> = member.role_ids.iter().cloned().collect();
    let permissions: BTreeSet<_> = member.permissions.iter().cloned().collect();
    let ends: BTreeMap<_, _> = member.role_expire_times.iter().map(|(role, end)| (role.clone(), end.seconds)).collect();
    let (who, state, end) = (user_of(member), member.state(), member.expire_time.map(|end| end.seconds));
    format!("{team}: {who} {roles:?} {permissions:?} {state:?} until {end:?} {ends:?} external {}", member.external)
}

impl Tree<'_> {
    /// The same member as the model has them.
    fn message(&self, who: usize, membership: &Membership) -> wire::Member {
        let grant = &membership.grant;
        let user = wire::User { id: person(who), ..Default::default() };
        let state = if membership.suspended { wire::MemberState::Suspended } else { wire::MemberState::Active };
        wire::Member {
            subject: Some(wire::member::Subject::User(user)),
            role_ids: grant.roles.iter().map(|role| self.role(*role)).collect(),
            permissions: grant.permissions.iter().map(|permission| (*permission).to_owned()).collect(),
            state: state.into(),
            expire_time: grant.end.map(|end| self.time(end)),
            role_expire_times: grant.role_ends.iter().map(|(role, end)| (self.role(*role), self.time(*end))).collect(),
            external: who == EXTERNAL,
            ..Default::default()
        }
    }

    /// What the model knows.
    pub fn known(&self, model: &Model) -> View {
        let mut view = View::new();
        for (n, team) in &model.teams {
            let parent = team.parent.map(|parent| self.team(parent)).unwrap_or_default();
            let (disabled, closed) = (team.disabled, !model.closed_by(*n).is_empty());
            view.insert(line_of_team(*n, &parent, &self.team(0), disabled, closed));
            view.insert(line_of_rules(*n, &rules_of(model)));
            view.extend(team.members.iter().map(|(who, member)| line_of_member(*n, &self.message(*who, member))));
        }
        for (n, role) in &model.roles {
            let gives: BTreeSet<_> = role.gives.iter().map(|name| (*name).to_owned()).collect();
            view.insert(line_of_role(&self.role(Role::Own(*n)), &gives, role.reaches));
        }
        view.extend(self.known_invitations(model));
        let allowed = questions().filter(|(team, who, permission)| model.allows(*team, *who, permission));
        view.extend(allowed.map(|(team, who, permission)| format!("{team}: {} may {permission}", person(who))));
        view
    }

    /// What the service shows.
    pub async fn seen(&self) -> View {
        let mut view = View::new();
        for team in self.existing().await {
            let n = (0..TEAMS).find(|n| self.team(*n) == team.id).expect("a team of the program");
            let (disabled, closed) = (team.disable_time.is_some(), !team.disabled_by_team_id.is_empty());
            view.insert(line_of_team(n, &team.parent_team_id, &team.root_team_id, disabled, closed));
            view.insert(line_of_rules(n, team.policy.as_ref().unwrap()));
            let members = self.service().list(&team.id).await.done().members;
            view.extend(members.iter().map(|member| line_of_member(n, member)));
            if n == 0 {
                view.extend(self.own_roles().await);
            }
        }
        view.extend(self.seen_invitations().await);
        view.extend(self.allowed().await);
        view
    }

    /// The invitations on the lists of the teams that are there.
    pub fn known_invitations(&self, model: &Model) -> View {
        let listed = model.invitations.iter().filter(|(_, sent)| sent.listed && model.teams.contains_key(&sent.team));
        listed.map(|(n, sent)| line_of_invitation(*n, &self.invitation(model, sent))).collect()
    }

    /// The same invitation as the model has it.
    fn invitation(&self, model: &Model, sent: &Invitation) -> wire::Invitation {
        let (state, accepted) = match sent.fate {
            Fate::None if model.is_open(sent) => (wire::InvitationState::Pending, None),
            Fate::None => (wire::InvitationState::Expired, None),
            Fate::Accepted(who) => (wire::InvitationState::Accepted, Some(who)),
            Fate::Declined => (wire::InvitationState::Declined, None),
            Fate::Canceled => (wire::InvitationState::Canceled, None),
        };
        wire::Invitation {
            team_id: self.team(sent.team),
            email: address(sent.to),
            grants: self.grants(&sent.grants),
            state: state.into(),
            inviter_user_id: sent.inviter.map(person).unwrap_or_default(),
            accepted_user_id: accepted.map(person).unwrap_or_default(),
            expire_time: Some(self.time(sent.end)),
            ..Default::default()
        }
    }

    async fn seen_invitations(&self) -> View {
        let (team_id, page_size) = (self.team(0), 500);
        let request =
            wire::ListInvitationsRequest { team_id, include_descendants: true, page_size, ..Default::default() };
        let found = match self.service().invitations().list_invitations(request).await {
            Err(status) if error_info(&status).reason == "TEAM_NOT_FOUND" => return View::new(),
            answer => answer.done().invitations,
        };
        let place = |id: &str| self.letters.iter().find(|(_, letter)| letter.id == id).map(|(n, _)| *n);
        found.iter().map(|found| line_of_invitation(place(&found.id).expect("one of the program"), found)).collect()
    }

    /// Waits until this is seen of invitations, and answers whether it was: the sweeper tells of what has run out in its
    /// own time. The loop is its own: a future that is spawned cannot hold an `async` closure that borrows.
    pub async fn shows(&self, invitations: &View) -> bool {
        let shown = async {
            while !invitations.is_subset(&self.seen_invitations().await) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, shown).await.is_ok()
    }

    /// The root, if it is there, and the teams below it.
    async fn existing(&self) -> Vec<wire::Team> {
        let key = Some(wire::get_team_request::Key::TeamId(self.team(0)));
        let root = match self.service().teams().get_team(wire::GetTeamRequest { key, consistency: None }).await {
            Err(status) if error_info(&status).reason == "TEAM_NOT_FOUND" => return Vec::new(),
            answer => answer.done().team,
        };
        let scope = Some(Scope::AncestorTeamId(self.team(0)));
        let below = self.service().teams().list_teams(wire::ListTeamsRequest { scope, ..Default::default() }).await;
        root.into_iter().chain(below.done().teams).collect()
    }

    async fn own_roles(&self) -> Vec<String> {
        let request = wire::ListRolesRequest { team_id: self.team(0), ..Default::default() };
        let roles = self.service().roles().list_roles(request).await.done().roles;
        let own: Vec<_> = roles.into_iter().filter(|role| !role.system).collect();
        assert!(own.len() <= ROLES && own.iter().all(|role| role.team_id == self.team(0)), "{own:?}");
        let line = |role: wire::Role| {
            line_of_role(&role.id, &role.permissions.into_iter().collect(), role.reaches_descendants)
        };
        own.into_iter().map(line).collect()
    }

    /// Who may do what, asked in one call.
    async fn allowed(&self) -> Vec<String> {
        let check = |(team, who, permission): (usize, usize, &str)| wire::AccessCheck {
            user_id: person(who),
            team_id: self.team(team),
            permission: permission.to_owned(),
        };
        let request = wire::BatchCheckAccessRequest { checks: questions().map(check).collect(), consistency: None };
        let results = self.service().access().batch_check_access(request).await.done().results;
        assert_eq!(results.len(), questions().count());
        let allowed = questions().zip(results).filter(|(_, answer)| match answer.result.as_ref().unwrap() {
            wire::access_result::Result::Allowed(allowed) => *allowed,
            wire::access_result::Result::Error(error) => panic!("{error:?}"),
        });
        allowed.map(|((team, who, permission), _)| format!("{team}: {} may {permission}", person(who))).collect()
    }
}

fn line_of_team(n: usize, parent: &str, root: &str, disabled: bool, closed: bool) -> String {
    format!("{n}: below {parent:?} of {root}, disabled {disabled}, closed {closed}")
}

fn line_of_rules(n: usize, policy: &wire::TeamPolicy) -> String {
    format!("{n}: {policy:?}")
}

/// An invitation, as far as programs go: its end to the second.
fn line_of_invitation(n: usize, found: &wire::Invitation) -> String {
    let sets = |grant: &wire::Grant| {
        let roles: BTreeSet<_> = grant.role_ids.iter().cloned().collect();
        let permissions: BTreeSet<_> = grant.permissions.iter().cloned().collect();
        (grant.team_id.clone(), (roles, permissions))
    };
    let grants: BTreeMap<_, _> = found.grants.iter().map(sets).collect();
    let (team, to, state) = (&found.team_id, &found.email, found.state());
    let (inviter, by, end) = (&found.inviter_user_id, &found.accepted_user_id, found.expire_time.unwrap().seconds);
    format!("invitation {n} of {team} by {inviter:?} to {to}: {state:?} {by:?} until {end}: {grants:?}")
}

fn line_of_role(id: &str, gives: &BTreeSet<String>, reaches: bool) -> String {
    format!("{id} gives {gives:?} reaching {reaches}")
}

fn questions() -> impl Iterator<Item = (usize, usize, &'static str)> {
    let pairs = (0..TEAMS).flat_map(|team| (0..PEOPLE).map(move |who| (team, who)));
    pairs.flat_map(|(team, who)| ASKED.map(|permission| (team, who, permission)))
}
