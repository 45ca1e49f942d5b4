//! The record of all changes, read to its end and held against the tables.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

use roster::domain::cursor;
use roster_proto::{
    events::v1::{
        DeliveryStatus, Event, GrantState, InvitationState as Told, InvitationStatus, MemberState, TeamState,
        event::Payload,
    },
    v1::{self as wire, GetTeamRequest, ListEventsRequest, ListInvitationsRequest, ListMembersRequest},
};
use tonic::Code;

use super::{
    Caller, Outcome as _,
    outcome::kind,
    replay::Replay,
    scene::{create_user, user_of},
    server::eventually,
};

static MARKERS: AtomicU64 = AtomicU64::new(0);

/// All events from the first one on.
#[derive(Debug, Default)]
pub struct Log {
    pub events: Vec<Event>,
    cursor: String,
}

impl Log {
    /// Everything that was committed before this call.
    pub async fn read(service: &Caller) -> Self {
        let mut log = Self::default();
        log.catch_up(service).await;
        log
    }

    /// Reads on until it has everything that was committed before this call. Whether it is there shows by an event made
    /// for this purpose, which cannot come before one that was committed earlier.
    pub async fn catch_up(&mut self, service: &Caller) {
        let marker = format!("marker-{}-{}", std::process::id(), MARKERS.fetch_add(1, Ordering::Relaxed));
        create_user(service, &marker).await;
        eventually("the whole log", async || {
            loop {
                let request =
                    ListEventsRequest { cursor: self.cursor.clone(), page_size: 500, ..ListEventsRequest::default() };
                let page = service.events().list_events(request).await.done();
                self.cursor = page.next_cursor;
                let complete = page.events.iter().any(|event| event.user_id == marker);
                self.events.extend(page.events);
                if !page.has_more {
                    return complete.then_some(());
                }
            }
        })
        .await;
        self.check();
    }

    /// Every event once, and every place taken.
    fn check(&self) {
        let ids: BTreeSet<&str> = self.events.iter().map(|event| event.event_id.as_str()).collect();
        assert_eq!(ids.len(), self.events.len(), "an event id stands twice");
        for (event, expected) in self.events.iter().zip(1..) {
            assert_eq!(cursor::decode(&event.position), Some(expected), "positions are dense: {event:?}");
        }
    }

    /// Every team that was ever created, by id.
    pub fn teams(&self) -> BTreeMap<&str, Replay> {
        let mut teams: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        let mut people: BTreeMap<&str, i64> = BTreeMap::new();
        for event in &self.events {
            if event.team_id.is_empty() {
                let version = people.entry(&event.user_id).or_insert(0);
                *version += 1;
                assert_eq!(event.user_version, *version, "versions are dense: {event:?}");
                assert!(kind(event).starts_with("user_"), "{event:?}");
            } else {
                teams.entry(&event.team_id).or_default().push(event);
            }
        }
        teams.into_iter().map(|(id, events)| (id, Replay::of(events))).collect()
    }

    /// Replays all teams and compares each with what the service says of it now.
    pub async fn assert_tables_agree(&self, service: &Caller) -> BTreeMap<&str, Replay> {
        let teams = self.teams();
        for (id, replay) in &teams {
            assert_agrees(replay, service, id).await;
        }
        let users: BTreeSet<&str> = self.events.iter().map(|event| event.user_id.as_str()).collect();
        assert_eq!(users.len(), self.of_kind("user_created").count() + usize::from(users.contains("")));
        teams
    }

    /// The events of one kind.
    pub fn of_kind(&self, wanted: &str) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| kind(event) == wanted)
    }

    /// The kinds of the events that each request made, in their order.
    pub fn effects(&self) -> BTreeMap<&str, Vec<&'static str>> {
        let mut effects: BTreeMap<&str, Vec<&'static str>> = BTreeMap::new();
        for event in &self.events {
            effects.entry(&event.request_id).or_default().push(kind(event));
        }
        effects
    }

    /// The record of a person, as their event tells.
    pub fn user(&self, id: &str) -> Option<&roster_proto::events::v1::UserState> {
        self.of_kind("user_created").find(|event| event.user_id == id).and_then(|event| match event.payload.as_ref() {
            Some(Payload::UserCreated(created)) => created.after.as_ref(),
            _ => None,
        })
    }
}

/// Compares a replayed team with what the service says of it.
pub async fn assert_agrees(replay: &Replay, service: &Caller, id: &str) {
    let get = GetTeamRequest { key: Some(wire::get_team_request::Key::TeamId(id.to_owned())), consistency: None };
    let answer = service.teams().get_team(get).await;
    let Some(expected) = &replay.team else {
        answer.refused(Code::NotFound, "TEAM_NOT_FOUND");
        return;
    };
    let team = answer.done().team.unwrap();
    assert_eq!((&told_team(&team), team.version), (expected, replay.version), "the team {id}");
    let mut members = members(service, id).await;
    for (user, found) in &mut members {
        // The record tells it as it was: since then, the person's home may have been deleted, or have become another.
        if let Some(recorded) = replay.members.get(user) {
            found.external = recorded.external;
        }
    }
    assert_eq!(members, replay.members, "the members of {id}");
    let mut invitations = invitations(service, id).await;
    for (id, found) in &mut invitations {
        // The clock may have closed what the record still calls open.
        let recorded = replay.invitations.get(id).map(Told::status);
        if recorded == Some(InvitationStatus::Pending) && found.status() == InvitationStatus::Expired {
            found.set_status(InvitationStatus::Pending);
        }
    }
    assert_eq!(invitations, replay.invitations, "the invitations of {id}");
}

async fn members(service: &Caller, team: &str) -> BTreeMap<String, MemberState> {
    let mut request = ListMembersRequest { team_id: team.to_owned(), page_size: 500, ..Default::default() };
    let mut found = BTreeMap::new();
    loop {
        let page = service.teams().list_members(request.clone()).await.done();
        found.extend(page.members.iter().map(|member| (user_of(member).to_owned(), told_member(member))));
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

async fn invitations(service: &Caller, team: &str) -> BTreeMap<String, Told> {
    let mut request = ListInvitationsRequest { team_id: team.to_owned(), page_size: 500, ..Default::default() };
    let mut found = BTreeMap::new();
    loop {
        let page = service.invitations().list_invitations(request.clone()).await.done();
        found.extend(
            page.invitations.into_iter().map(|invitation| (invitation.id.clone(), told_invitation(invitation))),
        );
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

fn told_team(team: &wire::Team) -> TeamState {
    let state = TeamState {
        team_id: team.id.clone(),
        parent_team_id: team.parent_team_id.clone(),
        name: team.name.clone(),
        slug: team.slug.clone(),
        labels: team.labels.clone(),
        disabled: team.disable_time.is_some(),
        ..TeamState::default()
    };
    if !team.parent_team_id.is_empty() {
        return state;
    }
    let policy = team.policy.clone().unwrap();
    TeamState {
        invitation_ttl: policy.invitation_ttl,
        max_members: policy.max_members,
        max_pending_invitations: policy.max_pending_invitations,
        require_email_match: policy.require_email_match.unwrap(),
        shared_ownership: policy.ownership() == wire::Ownership::Shared,
        exclusive_membership: policy.exclusive_membership,
        allow_external_members: policy.allow_external_members.unwrap(),
        invitee_roles_editable: policy.invitee_roles_editable.unwrap(),
        admins_edit_profiles: policy.profile_editing() == wire::ProfileEditing::Admins,
        allowed_email_domains: policy.allowed_email_domains,
        ..state
    }
}

fn told_member(member: &wire::Member) -> MemberState {
    MemberState {
        user_id: user_of(member).to_owned(),
        role_ids: member.role_ids.clone(),
        invited_by_user_id: member.invited_by_user_id.clone(),
        join_time: member.join_time,
        permissions: member.permissions.clone(),
        suspended: member.state() == wire::MemberState::Suspended,
        external: member.external,
        expire_time: member.expire_time,
        role_expire_times: member.role_expire_times.clone(),
    }
}

fn told_invitation(invitation: wire::Invitation) -> Told {
    let status = match invitation.state() {
        wire::InvitationState::Unspecified => InvitationStatus::Unspecified,
        wire::InvitationState::Pending => InvitationStatus::Pending,
        wire::InvitationState::Accepted => InvitationStatus::Accepted,
        wire::InvitationState::Declined => InvitationStatus::Declined,
        wire::InvitationState::Canceled => InvitationStatus::Canceled,
        wire::InvitationState::Expired => InvitationStatus::Expired,
    };
    let delivery = invitation.delivery.unwrap();
    let delivery_status = match delivery.state() {
        wire::DeliveryState::Unspecified => DeliveryStatus::Unspecified,
        wire::DeliveryState::Queued => DeliveryStatus::Queued,
        wire::DeliveryState::Sent => DeliveryStatus::Sent,
        wire::DeliveryState::Failed => DeliveryStatus::Failed,
        wire::DeliveryState::Bounced => DeliveryStatus::Bounced,
    };
    let grant = |grant: wire::Grant| GrantState {
        team_id: grant.team_id,
        role_ids: grant.role_ids,
        permissions: grant.permissions,
    };
    let mut grants: Vec<_> = invitation.grants.into_iter().map(grant).collect();
    grants.sort_by(|a, b| a.team_id.cmp(&b.team_id));
    Told {
        invitation_id: invitation.id,
        email: invitation.email,
        grants,
        status: status.into(),
        inviter_user_id: invitation.inviter_user_id,
        metadata: invitation.metadata,
        expire_time: invitation.expire_time,
        accepted_user_id: invitation.accepted_user_id,
        send_count: delivery.send_count,
        // Of a mail that waits, the failures so far are told with the mail and make no event.
        delivery_error: if delivery_status == DeliveryStatus::Queued { String::new() } else { delivery.last_error },
        delivery_id: delivery.id,
        delivery_status: delivery_status.into(),
        locale: invitation.locale,
        message: invitation.message,
    }
}
