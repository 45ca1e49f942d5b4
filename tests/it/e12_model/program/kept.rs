//! Programs that are seldom drawn, and that a service once got wrong or could.

use std::collections::BTreeSet;

use super::{super::state::OPEN, Act, Do, Grant, Offer, Offers, Role, Rules, Sent, Step, With};

/// The program that is kept under this number.
pub fn kept(n: u64) -> Option<Vec<Step>> {
    match n {
        0 => Some(nobody_answers_for_it()),
        1 => Some(the_inviter_gets_the_replacement_too()),
        2 => Some(invited_to_a_role_above_and_to_another_below()),
        3 => Some(off_the_list_after_its_end()),
        _ => None,
    }
}

fn step(by: Option<usize>, what: Do) -> Step {
    Step { by, what }
}

fn act(by: Option<usize>, act: Act) -> Step {
    step(by, Do::Invitations(act))
}

fn invite(by: Option<usize>, as_n: usize, to: usize, grants: &[(usize, Role)]) -> Step {
    let offer = |role: &Role| Offer { roles: BTreeSet::from([*role]), ..Offer::default() };
    let offers: Offers = grants.iter().map(|(team, role)| (*team, offer(role))).collect();
    act(by, Act::Invite { as_n, team: grants[0].0, to, grants: offers })
}

fn accept(n: usize, who: usize) -> Step {
    act(None, Act::Accept { n, who, with: With::Link })
}

fn add(who: usize, role: Role, permissions: &[&'static str]) -> Step {
    let (roles, permissions) = (BTreeSet::from([role]), permissions.iter().copied().collect());
    step(None, Do::Add { team: 0, who, grant: Grant { roles, permissions, ..Grant::default() } })
}

fn role(role: usize, gives: &[&'static str]) -> Step {
    let gives = gives.iter().copied().collect();
    step(None, Do::CreateRole { team: 0, role, gives, reaches: false })
}

/// What its inviter could not send stands open where no change of theirs came before: it cannot be accepted.
fn nobody_answers_for_it() -> Vec<Step> {
    let shared = |shared| step(Some(0), Do::SetRules(0, Rules { shared: Some(shared), ..Rules::default() }));
    let lower = Offers::from([(0, Offer { roles: BTreeSet::from([Role::Member]), ..Offer::default() })]);
    vec![
        shared(true),
        invite(None, 0, 3, &[(0, Role::Owner)]),
        shared(false),
        accept(0, 3),
        // Who may change and not invite.
        add(2, Role::Member, &["roster.invitations.update"]),
        invite(Some(0), 1, 4, &[(0, Role::Admin)]),
        act(Some(2), Act::Update { sent: Sent { n: 1, team: 0 }, grants: Some(lower), end: None }),
        accept(1, 4),
    ]
}

/// Who invites to a role by holding it holds the replacement when it is replaced.
fn the_inviter_gets_the_replacement_too() -> Vec<Step> {
    vec![
        role(0, &["roster.invitations.create"]),
        add(1, Role::Own(0), &[]),
        invite(Some(1), 0, 3, &[(0, Role::Own(0))]),
        step(Some(0), Do::DeleteRole { team: 0, role: Role::Own(0), replacement: Some(Role::Admin) }),
        accept(0, 3),
    ]
}

/// What a role gives has to be held below only where it is offered below.
fn invited_to_a_role_above_and_to_another_below() -> Vec<Step> {
    let gives = Some(BTreeSet::from(["catalog.read", "catalog.write"]));
    vec![
        step(None, Do::CreateTeam { team: 1, parent: 0 }),
        role(0, &["catalog.read"]),
        role(1, &["roster.roles.*", "catalog.*"]),
        add(1, Role::Own(1), &[]),
        invite(None, 0, 3, &[(1, Role::Member), (0, Role::Own(0))]),
        step(Some(1), Do::UpdateRole { team: 0, role: Role::Own(0), gives, reaches: None }),
        accept(0, 3),
    ]
}

/// What ran out and was taken off the list is canceled to whoever holds its link.
fn off_the_list_after_its_end() -> Vec<Step> {
    vec![
        invite(Some(0), 0, 2, &[(0, Role::Member)]),
        step(None, Do::Wait(OPEN + 1)),
        act(Some(0), Act::Delete(Sent { n: 0, team: 0 })),
        accept(0, 2),
    ]
}
