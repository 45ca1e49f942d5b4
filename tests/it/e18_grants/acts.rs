//! Calls that give something, and who makes them.

/// A call and who makes it.
#[derive(Debug, Clone)]
pub struct Act {
    pub by: &'static str,
    pub call: Call,
}

/// What is called. Roles go by their keys, teams by their names.
#[derive(Debug, Clone)]
pub enum Call {
    AddMember {
        team: &'static str,
        who: &'static str,
        role: &'static str,
    },
    SetRole {
        team: &'static str,
        who: &'static str,
        role: &'static str,
    },
    SetPermission {
        team: &'static str,
        who: &'static str,
        permission: &'static str,
    },
    /// Invites `gus`, who accepts.
    Invite {
        team: &'static str,
        role: &'static str,
    },
    /// Creates the role `new`.
    CreateRole {
        gives: &'static [&'static str],
        reaches: bool,
    },
    /// Gives a role this besides what it gives.
    Extend {
        role: &'static str,
        with: &'static str,
    },
    Reach {
        role: &'static str,
    },
    DeleteRole {
        role: &'static str,
        replacement: &'static str,
    },
    /// Gives `tom` the same role in the root and below.
    SetAccess {
        role: &'static str,
    },
    /// Creates the team `new`, of which `hal` is in charge, who accepts.
    CreateTeam {
        parent: &'static str,
        role: &'static str,
    },
    Suspend {
        team: &'static str,
        who: &'static str,
    },
    Reactivate {
        team: &'static str,
        who: &'static str,
    },
    /// Takes the end of a membership away.
    Prolong {
        team: &'static str,
        who: &'static str,
    },
    /// Gives somebody another address, and so is able to become them.
    TakeOver {
        who: &'static str,
    },
    DeleteUser {
        who: &'static str,
    },
    /// Changes what somebody is invited to who is invited already: to these roles in these teams.
    ChangeInvitee {
        who: &'static str,
        grants: &'static [(&'static str, &'static str)],
    },
    /// Offers a single permission to somebody who is invited already, besides the role `helper` in the team `child`.
    OfferPermission {
        who: &'static str,
        permission: &'static str,
    },
    /// Sends somebody else's invitation again, which has run out.
    Resend {
        who: &'static str,
    },
    /// Has an invitation that has run out end later.
    Revive {
        who: &'static str,
    },
    /// `fay` accepts what the service invited her to: the role `helper` in the team `child`.
    Accept,
}

/// Who acts: an admin, a manager without `catalog.write`, and one whose authority does not reach down.
const ACTORS: [&str; 3] = ["ada", "max", "lea"];

/// Every call by everybody.
pub fn acts() -> Vec<Act> {
    let by_people = ACTORS.iter().flat_map(|by| calls().into_iter().map(move |call| Act { by, call }));
    by_people.chain([Act { by: "fay", call: Call::Accept }]).collect()
}

fn calls() -> Vec<Call> {
    let mut calls = members();
    calls.extend(roles());
    calls.extend(people());
    calls.extend(invitees());
    calls.extend([
        Call::SetAccess { role: "local" },
        Call::SetAccess { role: "new" },
        Call::CreateTeam { parent: "child", role: "manager" },
        Call::CreateTeam { parent: "root", role: "local" },
        Call::CreateTeam { parent: "root", role: "new" },
    ]);
    calls
}

fn members() -> Vec<Call> {
    vec![
        Call::AddMember { team: "root", who: "tom", role: "helper" },
        Call::AddMember { team: "child", who: "tom", role: "new" },
        Call::AddMember { team: "child", who: "tom", role: "local" },
        Call::AddMember { team: "child", who: "lea", role: "manager" },
        Call::SetRole { team: "child", who: "sam", role: "admin" },
        Call::SetRole { team: "child", who: "sam", role: "new" },
        Call::SetRole { team: "root", who: "max", role: "local" },
        Call::SetPermission { team: "child", who: "sam", permission: "catalog.write" },
        Call::SetPermission { team: "root", who: "max", permission: "*" },
        Call::SetPermission { team: "root", who: "lea", permission: "roster.teams.delete" },
        Call::Invite { team: "root", role: "admin" },
        Call::Invite { team: "child", role: "new" },
        Call::Invite { team: "child", role: "helper" },
    ]
}

fn invitees() -> Vec<Call> {
    vec![
        Call::ChangeInvitee { who: "fay", grants: &[("child", "admin")] },
        Call::ChangeInvitee { who: "fay", grants: &[("child", "new")] },
        Call::ChangeInvitee { who: "fay", grants: &[("child", "local")] },
        Call::ChangeInvitee { who: "fay", grants: &[("child", "helper"), ("root", "manager")] },
        Call::OfferPermission { who: "fay", permission: "catalog.write" },
        Call::Resend { who: "ivy" },
        Call::Resend { who: "jon" },
        Call::Revive { who: "ivy" },
    ]
}

fn people() -> Vec<Call> {
    vec![
        Call::Suspend { team: "root", who: "max" },
        Call::Reactivate { team: "child", who: "ned" },
        Call::Reactivate { team: "root", who: "max" },
        Call::Prolong { team: "child", who: "pia" },
        Call::TakeOver { who: "olga" },
        Call::TakeOver { who: "max" },
        Call::TakeOver { who: "sam" },
        Call::TakeOver { who: "ned" },
        Call::DeleteUser { who: "sam" },
    ]
}

fn roles() -> Vec<Call> {
    vec![
        Call::CreateRole { gives: &["catalog.write"], reaches: false },
        Call::CreateRole { gives: &["catalog.read", "roster.members.*"], reaches: true },
        Call::CreateRole { gives: &["roster.ownership.transfer"], reaches: false },
        Call::Extend { role: "helper", with: "catalog.write" },
        Call::Extend { role: "new", with: "catalog.write" },
        Call::Extend { role: "new", with: "roster.teams.delete" },
        Call::Reach { role: "helper" },
        Call::Reach { role: "local" },
        Call::DeleteRole { role: "helper", replacement: "local" },
        Call::DeleteRole { role: "helper", replacement: "manager" },
        Call::DeleteRole { role: "helper", replacement: "owner" },
        Call::DeleteRole { role: "local", replacement: "manager" },
        Call::DeleteRole { role: "manager", replacement: "new" },
    ]
}
