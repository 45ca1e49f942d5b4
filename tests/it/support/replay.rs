//! Replaying a team: what its events say, one after the other, must be what its tables hold.

use std::collections::{BTreeMap, BTreeSet};

use roster_proto::events::v1::{
    Event, InvitationState, InvitationStatus as Status, MemberState, RoleState, TeamState, event::Payload,
};

use super::outcome::kind;

/// A team as its events tell.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Replay {
    /// The version that the latest event made.
    pub version: i64,
    /// The team's own fields; `None` before it was created and after it was deleted.
    pub team: Option<TeamState>,
    /// The members by user.
    pub members: BTreeMap<String, MemberState>,
    /// The roles of the tree's own, by id.
    pub roles: BTreeMap<String, RoleState>,
    /// Every invitation there ever was, by id.
    pub invitations: BTreeMap<String, InvitationState>,
    /// How many transactions made the events.
    pub transactions: usize,
}

impl Replay {
    /// Follows all events of one team, in their order. The test fails where a version is missing, where an event does
    /// not fit the state before it, and where a committed version breaks a rule of the domain.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let events: Vec<&Event> = events.into_iter().collect();
        let mut replay = Self::default();
        for transaction in events.chunk_by(|a, b| same_transaction(a, b)) {
            for event in transaction {
                replay.apply(event);
            }
            replay.transactions += 1;
            replay.check(transaction.last().unwrap());
        }
        replay
    }

    /// The ids of the active owners.
    pub fn owners(&self) -> Vec<&str> {
        let active = self.members.values().filter(|member| !member.suspended);
        let owners = active.filter(|member| member.role_ids.iter().any(|role| role == "owner"));
        owners.map(|member| member.user_id.as_str()).collect()
    }

    fn apply(&mut self, event: &Event) {
        self.version += 1;
        assert_eq!(event.team_version, self.version, "versions are dense: {event:?}");
        let (members, invitations, roles) = (&mut self.members, &mut self.invitations, &mut self.roles);
        let payload = event.payload.as_ref().unwrap();
        match payload {
            Payload::TeamCreated(change) => {
                assert_eq!(self.version, 1, "a team is created first of all: {event:?}");
                self.team.clone_from(&change.after);
            }
            Payload::TeamUpdated(change) => self.becomes(change.before.as_ref(), change.after.as_ref(), event),
            Payload::TeamDisabled(change) => self.becomes(change.before.as_ref(), change.after.as_ref(), event),
            Payload::TeamEnabled(change) => self.becomes(change.before.as_ref(), change.after.as_ref(), event),
            Payload::TeamDeleted(change) => assert_eq!(self.team.take(), change.before, "what was before: {event:?}"),
            Payload::MemberAdded(change) => step(members, None, change.after.as_ref(), event),
            Payload::MemberUpdated(change) => step(members, change.before.as_ref(), change.after.as_ref(), event),
            Payload::MemberSuspended(change) => step(members, change.before.as_ref(), change.after.as_ref(), event),
            Payload::MemberReactivated(change) => {
                step(members, change.before.as_ref(), change.after.as_ref(), event);
            }
            Payload::MemberExpired(change) => step(members, change.before.as_ref(), None, event),
            Payload::MemberRemoved(change) => step(members, change.before.as_ref(), None, event),
            Payload::OwnershipTransferred(change) => {
                let (former, new) = (&change.former_owner_before, &change.new_owner_before);
                step(members, former.as_ref(), change.former_owner_after.as_ref(), event);
                step(members, new.as_ref(), change.new_owner_after.as_ref(), event);
            }
            Payload::InvitationCreated(change) => step(invitations, None, change.after.as_ref(), event),
            Payload::InvitationSent(change) => step(invitations, change.before.as_ref(), change.after.as_ref(), event),
            Payload::InvitationUpdated(change) => {
                step(invitations, change.before.as_ref(), change.after.as_ref(), event);
            }
            Payload::InvitationAccepted(change) => {
                step(invitations, change.before.as_ref(), change.after.as_ref(), event);
            }
            Payload::InvitationDeclined(change) => {
                step(invitations, change.before.as_ref(), change.after.as_ref(), event);
            }
            Payload::InvitationCanceled(change) => {
                step(invitations, change.before.as_ref(), change.after.as_ref(), event);
            }
            Payload::InvitationExpired(change) => {
                step(invitations, change.before.as_ref(), change.after.as_ref(), event);
            }
            Payload::InvitationDeliveryFailed(change) => {
                step(invitations, change.before.as_ref(), change.after.as_ref(), event);
            }
            Payload::InvitationDeliveryRequested(change) => {
                step(invitations, change.after.as_ref(), change.after.as_ref(), event);
            }
            Payload::InvitationRenewalRequested(change) => {
                step(invitations, change.after.as_ref(), change.after.as_ref(), event);
            }
            Payload::InvitationDeleted(change) => step(invitations, change.before.as_ref(), None, event),
            Payload::RoleCreated(change) => step(roles, None, change.after.as_ref(), event),
            Payload::RoleUpdated(change) => step(roles, change.before.as_ref(), change.after.as_ref(), event),
            Payload::RoleDeleted(change) => step(roles, change.before.as_ref(), None, event),
            Payload::UserCreated(_) | Payload::UserUpdated(_) | Payload::UserDeleted(_) => {
                panic!("no event of a team: {event:?}")
            }
        }
    }

    /// The team's own fields go from `before`, which must be what they are, to `after`.
    fn becomes(&mut self, before: Option<&TeamState>, after: Option<&TeamState>, event: &Event) {
        assert_eq!(self.team.as_ref(), before, "what was before: {event:?}");
        self.team = after.cloned();
    }

    /// What holds whenever a transaction of the team has committed.
    fn check(&self, latest: &Event) {
        let open: Vec<&str> =
            self.invitations.values().filter(|i| i.status() == Status::Pending).map(|i| i.email.as_str()).collect();
        let addresses: BTreeSet<&str> = open.iter().copied().collect();
        assert_eq!(addresses.len(), open.len(), "one open invitation for an address, after {latest:?}");
        if let Some(team) = &self.team {
            let owners = self.owners().len();
            match (team.parent_team_id.as_str(), team.shared_ownership) {
                ("", false) => assert_eq!(owners, 1, "owners {:?} after {latest:?}", self.owners()),
                ("", true) => assert!(owners >= 1, "no owner after {latest:?}"),
                _ => assert_eq!(owners, 0, "a team below another has no owner, after {latest:?}"),
            }
        } else {
            assert!(
                self.members.is_empty() && self.roles.is_empty() && open.is_empty(),
                "a deleted team is empty, after {latest:?}"
            );
        }
    }
}

/// The events of one transaction stand together: they tell of the same moment and the same request.
fn same_transaction(a: &Event, b: &Event) -> bool {
    (a.occur_time, &a.request_id) == (b.occur_time, &b.request_id)
}

/// What events tell of: members and invitations.
trait Told: Clone + PartialEq + std::fmt::Debug {
    fn id(&self) -> &str;

    /// The same without what may become another with no event of its own.
    fn settled(&self) -> Self {
        self.clone()
    }

    /// Whether an event of this kind may lead from one to the other.
    fn may_follow(&self, before: Option<&Self>, kind: &str) -> bool;
}

impl Told for MemberState {
    fn id(&self) -> &str {
        &self.user_id
    }

    fn settled(&self) -> Self {
        // Where a person is at home may change without the teams that they are a guest in.
        Self { external: false, ..self.clone() }
    }

    fn may_follow(&self, _: Option<&Self>, kind: &str) -> bool {
        // The last role of a member can run out.
        !self.role_ids.is_empty() || !self.permissions.is_empty() || kind == "member_updated"
    }
}

impl Told for RoleState {
    fn id(&self) -> &str {
        &self.role_id
    }

    fn may_follow(&self, _: Option<&Self>, _: &str) -> bool {
        true
    }
}

impl Told for InvitationState {
    fn id(&self) -> &str {
        &self.invitation_id
    }

    fn may_follow(&self, before: Option<&Self>, kind: &str) -> bool {
        let before = before.map(Self::status);
        match kind {
            "invitation_created" => self.status() == Status::Pending,
            // An expired invitation can be sent again, and only that.
            "invitation_updated" => {
                matches!(before, Some(Status::Pending | Status::Expired)) && self.status() == Status::Pending
            }
            "invitation_delivery_requested" => before == Some(Status::Pending),
            "invitation_renewal_requested" => before == Some(Status::Expired),
            "invitation_sent" | "invitation_delivery_failed" => before == Some(self.status()),
            _ => {
                let end = match kind {
                    "invitation_accepted" => Status::Accepted,
                    "invitation_declined" => Status::Declined,
                    "invitation_canceled" => Status::Canceled,
                    _ => Status::Expired,
                };
                before == Some(Status::Pending) && self.status() == end
            }
        }
    }
}

/// Goes from `before`, which must be what is held, to `after`.
fn step<T: Told>(held: &mut BTreeMap<String, T>, before: Option<&T>, after: Option<&T>, event: &Event) {
    let id = after.or(before).unwrap_or_else(|| panic!("neither before nor after: {event:?}")).id().to_owned();
    assert_eq!(held.get(&id).map(T::settled), before.map(T::settled), "what was before: {event:?}");
    match after {
        None => drop(held.remove(&id)),
        Some(after) => {
            assert!(after.may_follow(before, kind(event)), "{before:?} cannot become {after:?}: {event:?}");
            held.insert(id, after.clone());
        }
    }
}
