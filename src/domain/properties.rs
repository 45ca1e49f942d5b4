//! What holds after any sequence of decisions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    Authority, Invitation, Member, RoleId, UserId,
    access::Snapshot,
    invitation::{State, fixture},
    member::{self, Grant},
    membership::OtherOwner,
    role, team as teams,
};

const ROLE_IDS: [&str; 3] = ["owner", "admin", "member"];

/// Somebody does something to somebody.
#[derive(Debug, Clone)]
enum Act {
    SetRoles { by: usize, whom: usize, roles: BTreeSet<RoleId> },
    Remove { by: usize, whom: usize },
    Leave { who: usize },
    Transfer { by: usize, to: usize },
}

fn some_roles() -> impl Strategy<Value = BTreeSet<RoleId>> {
    proptest::collection::btree_set(proptest::sample::select(ROLE_IDS.as_slice()), 1..3)
        .prop_map(|ids| ids.into_iter().map(|id| id.parse().unwrap()).collect())
}

fn act() -> impl Strategy<Value = Act> {
    let user = 0..4_usize;
    prop_oneof![
        (user.clone(), user.clone(), some_roles()).prop_map(|(by, whom, roles)| Act::SetRoles { by, whom, roles }),
        (user.clone(), user.clone()).prop_map(|(by, whom)| Act::Remove { by, whom }),
        user.clone().prop_map(|who| Act::Leave { who }),
        (user.clone(), user).prop_map(|(by, to)| Act::Transfer { by, to }),
    ]
}

fn team() -> BTreeMap<usize, Member> {
    let member = |n: usize, role: &str| {
        let user_id = UserId::from_uuid(Uuid::from_u128(n as u128));
        Member { user_id, ..member::fixture("x", &[role]) }
    };
    [(0, member(0, "owner")), (1, member(1, "admin")), (2, member(2, "admin")), (3, member(3, "member"))].into()
}

/// Does it if the rules let it happen.
fn apply(team: &mut BTreeMap<usize, Member>, act: &Act) {
    let authority = |team: &BTreeMap<usize, Member>, by: usize| {
        let member = team.get(&by)?;
        let (acme, memberships) = (teams::fixture(&[0]), std::slice::from_ref(member));
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let holdings = Snapshot { team: &acme, memberships, roles: &role::fixture(), now }.holdings();
        Some(Authority::Person { user: member.user_id.clone(), holdings })
    };
    match act {
        Act::SetRoles { by, whom, roles: wanted } => {
            let (Some(by), Some(member)) = (authority(team, *by), team.get(whom)) else { return };
            let (acme, wanted) = (teams::fixture(&[0]), Grant::of_roles(wanted.clone()));
            if let Ok(after) = member.regranted(&by, &acme, &role::fixture(), OtherOwner::None, wanted) {
                team.insert(*whom, after);
            }
        }
        Act::Remove { by, whom } => {
            let (Some(by), Some(member)) = (authority(team, *by), team.get(whom)) else { return };
            if member.check_remove(&by, OtherOwner::None).is_ok() {
                team.remove(whom);
            }
        }
        Act::Leave { who } => {
            if team.get(who).is_some_and(|member| member.check_leave(OtherOwner::None).is_ok()) {
                team.remove(who);
            }
        }
        Act::Transfer { by, to } => {
            let (Some(former), Some(new)) = (team.get(by), team.get(to)) else { return };
            if former.is_owner()
                && let Ok((former, new)) = former.transfer_to(new)
            {
                team.extend([(*by, former), (*to, new)]);
            }
        }
    }
}

fn end(invitation: Invitation, how: u8, now: DateTime<Utc>) -> Option<Invitation> {
    match how {
        0 => invitation.accept("ada".parse().unwrap(), now).ok(),
        1 => invitation.decline(now).ok(),
        2 => invitation.cancel(now).ok(),
        3 => invitation.expire(now),
        _ => invitation.resend(None, TimeDelta::seconds(100), uuid::Uuid::nil(), now).ok(),
    }
}

proptest! {
    #[test]
    fn a_team_has_exactly_one_owner_whatever_is_tried(acts in proptest::collection::vec(act(), 0..40)) {
        let mut team = team();
        for act in &acts {
            apply(&mut team, act);
            prop_assert_eq!(team.values().filter(|member| member.is_owner()).count(), 1, "after {:?}", act);
            prop_assert!(team.values().all(|member| !member.roles.is_empty()));
        }
    }

    #[test]
    fn an_invitation_comes_to_one_end_and_links_only_grow(acts in proptest::collection::vec((0..5_u8, 0..60_i64), 0..20)) {
        let mut invitation = fixture::pending();
        let mut now = invitation.create_time;
        for (how, seconds) in acts {
            now += TimeDelta::seconds(seconds);
            let before = invitation.clone();
            let Some(after) = end(before.clone(), how, now) else { continue };
            let revives = how == 4 && matches!(before.state_at(now), State::Expired);
            prop_assert!(before.check_open(now).is_ok() || revives || how == 3, "{:?} was closed", before);
            prop_assert_eq!(after.link_version, before.link_version + u32::from(revives));
            invitation = after;
        }
    }
}
