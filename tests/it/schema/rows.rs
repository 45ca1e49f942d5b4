//! Things to put into a database without asking anyone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};
use roster::{
    domain::{
        Actor, Cause, Change, Email, Event, EventId, Invitation, InvitationId, Member, RoleId, Team, TeamId,
        TeamPolicy, User, Version,
        invitation::{Channel, Delivery, Offer, State},
        label::Labels,
        member::Source,
        profile::Notifications,
        text::{DisplayName, Message, Slug, TeamName},
        user::Profile,
    },
    repository::{Result, Tx, teams, tx::Recorded},
};
use uuid::Uuid;

const NOW: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

pub fn team(number: u128) -> Team {
    let id = TeamId(Uuid::from_u128(number));
    Team {
        id,
        ancestors: Vec::new(),
        name: TeamName::parse("Acme").unwrap(),
        slug: Some(Slug::parse(&format!("acme-{number}")).unwrap()),
        labels: Labels::default(),
        policy: TeamPolicy::default(),
        version: Version(1),
        changed: Version(1),
        create_time: NOW,
        update_time: NOW,
        disable_time: None,
        disabled_by: None,
    }
}

fn address(user: &str) -> Email {
    Email::parse(&format!("{user}@example.com")).unwrap()
}

pub fn user(id: &str) -> User {
    User {
        id: id.parse().unwrap(),
        email: address(id),
        email_verified: true,
        display_name: DisplayName::parse(id).unwrap(),
        profile: Profile::default(),
        notifications: Notifications::default(),
        home: None,
        version: Version(1),
        create_time: NOW,
        update_time: NOW,
    }
}

pub fn member(team: &Team, user: &str) -> Member {
    Member {
        team_id: team.id,
        user_id: user.parse().unwrap(),
        roles: BTreeSet::from([RoleId::admin()]),
        role_expire_times: BTreeMap::new(),
        permissions: BTreeSet::new(),
        state: roster::domain::member::State::Active,
        expire_time: None,
        external: false,
        invited_by: None,
        source: Source::Direct,
        join_time: NOW,
        changed: Version(1),
    }
}

pub fn invitation(number: u128, team: &Team, user: &str) -> Invitation {
    Invitation {
        id: InvitationId(Uuid::from_u128(number)),
        team_id: team.id,
        email: address(user),
        grants: BTreeMap::from([(team.id, Offer::of_roles(BTreeSet::from([RoleId::admin()])))]),
        state: State::Pending,
        link_version: 1,
        inviter: None,
        message: Message::default(),
        locale: None,
        metadata: Labels::default(),
        create_time: NOW,
        expire_time: NOW + TimeDelta::days(1),
        delivery: Delivery::new(Channel::LinkOnly, Uuid::nil()),
        renewal_request_time: None,
        changed: Version(1),
    }
}

pub fn canceled(number: u128, team: &Team, user: &str) -> Invitation {
    invitation(number, team, user).cancel(NOW).unwrap()
}

/// Records a change of a team as if it made this version.
pub async fn change_team(tx: &mut Tx, team: &Team, version: i64) -> Result<usize> {
    teams::lock(tx, team.id).await?;
    let slot = tx.next(team.id);
    tx.record(slot, Cause::Direct, Change::TeamDeleted(team.clone()));
    tx.finish(|recorded| event(recorded, version)).await
}

/// Records a change of a person as if it made this version.
pub async fn change_user(tx: &mut Tx, user: &User, version: i64) -> Result<usize> {
    let slot = tx.next_of_user(&user.id, Version(0));
    tx.record(slot, Cause::Direct, Change::UserCreated(user.clone()));
    tx.finish(|recorded| event(recorded, version)).await
}

fn event(recorded: Recorded, version: i64) -> Event {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Event {
        id: EventId(Uuid::from_u128(NEXT.fetch_add(1, Ordering::Relaxed).into())),
        subject: recorded.subject,
        version: Version(version),
        occur_time: NOW,
        actor: Actor::System { name: "test".to_owned() },
        cause: recorded.cause,
        request_id: String::new(),
        traceparent: None,
        change: recorded.change,
    }
}
