//! Programs that are seldom drawn, and that a service once got wrong or could.

use std::collections::BTreeSet;

use super::{super::state::OPEN, Act, Do, EXTERNAL, Grant, Minute, Offer, Offers, Role, Rules, Sent, Step, With};

/// The program that is kept under this number.
pub fn kept(n: u64) -> Option<Vec<Step>> {
    match n {
        0 => Some(nobody_answers_for_it()),
        1 => Some(the_inviter_gets_the_replacement_too()),
        2 => Some(invited_to_a_role_above_and_to_another_below()),
        3 => Some(off_the_list_after_its_end()),
        4 => Some(another_domain()),
        5 => Some(nobody_from_elsewhere()),
        6 => Some(no_more_open_invitations()),
        7 => Some(invitees_stay_as_they_are()),
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

fn rules(rules: Rules) -> Step {
    step(Some(0), Do::SetRules(0, rules))
}

fn offer(role: Role) -> Offers {
    Offers::from([(0, Offer { roles: BTreeSet::from([role]), ..Offer::default() })])
}

fn update(n: usize, grants: Option<Offers>, end: Option<Minute>) -> Step {
    act(Some(0), Act::Update { sent: Sent { n, team: 0 }, grants, end })
}

fn resend(n: usize) -> Step {
    act(Some(0), Act::Resend(Sent { n, team: 0 }))
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

/// What ran out and was taken off the list is canceled to whoever holds its link. Until then they can ask for another.
fn off_the_list_after_its_end() -> Vec<Step> {
    let ask_again = || act(Some(2), Act::AskAgain { n: 0, with: With::Link });
    vec![
        invite(Some(0), 0, 2, &[(0, Role::Member)]),
        ask_again(),
        step(None, Do::Wait(OPEN + 1)),
        ask_again(),
        ask_again(),
        act(Some(0), Act::Delete(Sent { n: 0, team: 0 })),
        ask_again(),
        accept(0, 2),
    ]
}

/// Who has an address in a domain that is not admitted comes in by no way. The second domain is that of the last person and
/// of the last stranger.
fn another_domain() -> Vec<Step> {
    let domain = |domain| rules(Rules { domain: Some(domain), ..Rules::default() });
    let to = vec![1, 4, 5, 6];
    vec![
        invite(Some(0), 0, 2, &[(0, Role::Member)]),
        domain(Some(1)),
        accept(0, 2),
        resend(0),
        update(0, Some(offer(Role::Admin)), None),
        add(1, Role::Member, &[]),
        add(4, Role::Member, &[]),
        invite(Some(0), 1, 5, &[(0, Role::Member)]),
        act(Some(0), Act::Batch { as_n: 2, team: 0, to, grants: offer(Role::Member), atomic: false }),
        // Whoever accepts is held to it, too.
        rules(Rules { email_match: Some(false), ..Rules::default() }),
        accept(5, 1),
        domain(None),
        accept(5, 1),
    ]
}

/// Who is at home elsewhere is invited, and let in where the rules do by then.
fn nobody_from_elsewhere() -> Vec<Step> {
    let externals = |externals| rules(Rules { externals: Some(externals), ..Rules::default() });
    vec![
        externals(false),
        add(EXTERNAL, Role::Member, &[]),
        add(1, Role::Member, &[]),
        invite(Some(0), 0, EXTERNAL, &[(0, Role::Member)]),
        accept(0, EXTERNAL),
        externals(true),
        accept(0, EXTERNAL),
        // Who is in stays in.
        externals(false),
    ]
}

/// As many invitations are open as may be: what is open already can be sent again, and what has run out cannot.
fn no_more_open_invitations() -> Vec<Step> {
    let most = |most| rules(Rules { max_pending: Some(most), ..Rules::default() });
    let batch = |as_n, atomic| {
        let (to, grants) = (vec![3, 4, 5], offer(Role::Member));
        act(Some(0), Act::Batch { as_n, team: 0, to, grants, atomic })
    };
    vec![
        most(2),
        invite(Some(0), 0, 1, &[(0, Role::Member)]),
        batch(1, true),
        batch(1, false),
        resend(0),
        invite(Some(0), 4, 2, &[(0, Role::Member)]),
        step(None, Do::Wait(OPEN + 1)),
        invite(Some(0), 5, 2, &[(0, Role::Member)]),
        resend(0),
        resend(1),
        most(0),
        resend(1),
    ]
}

/// What is granted stays as it is where the rules say so, and nothing else does.
fn invitees_stay_as_they_are() -> Vec<Step> {
    vec![
        invite(Some(0), 0, 1, &[(0, Role::Member)]),
        rules(Rules { editable: Some(false), ..Rules::default() }),
        update(0, Some(offer(Role::Admin)), None),
        update(0, Some(offer(Role::Member)), Some(OPEN - 1)),
        update(0, None, Some(OPEN - 2)),
        accept(0, 1),
    ]
}
