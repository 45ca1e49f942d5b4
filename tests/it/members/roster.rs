//! The people of a team in one list: members, and those who were invited.

use chrono::TimeDelta;
use roster_proto::v1::{self as wire, Invitation, ListRosterRequest, RosterEntry, RosterStatus, roster_entry::Source};
use tonic::Code;

use crate::{
    both,
    invitations::several::grant,
    support::{Caller, Db, Outcome as _, Scene, acts::texts, server::eventually},
};

impl Caller {
    /// Everybody in the list who stands so, read in pages of this size.
    async fn roster(&self, team: &str, statuses: &[RosterStatus], page_size: i32) -> Vec<RosterEntry> {
        let statuses = statuses.iter().map(|status| (*status).into()).collect();
        let mut request = ListRosterRequest { team_id: team.to_owned(), statuses, page_size, ..Default::default() };
        let mut entries = Vec::new();
        loop {
            let page = self.teams().list_roster(request.clone()).await.done();
            entries.extend(page.entries);
            if page.next_page_token.is_empty() {
                return entries;
            }
            request.page_token = page.next_page_token;
        }
    }
}

/// Who, and where they stand: `eve PENDING`.
fn told(entries: &[RosterEntry]) -> Vec<String> {
    let one = |entry: &RosterEntry| {
        let status = entry.status().as_str_name().trim_start_matches("ROSTER_STATUS_");
        format!("{} {status}", entry.email.trim_end_matches("@example.com"))
    };
    entries.iter().map(one).collect()
}

/// The invitation to this address among these.
fn invited(entries: &[RosterEntry], email: &str) -> Invitation {
    let found = entries.iter().find(|entry| entry.email == email).unwrap();
    match found.source.clone().unwrap() {
        Source::Invitation(invitation) => invitation,
        Source::Member(member) => panic!("{member:?}"),
    }
}

impl Scene {
    /// With somebody in every place that there is; gives the expected list.
    async fn with_everybody(db: Db) -> (Self, Vec<&'static str>) {
        let s = Self::new(db).await;
        s.invited("gus@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(14));
        let (_, declined) = s.invited("fay@example.com", &["member"]).await;
        s.service().decline(&declined).await.done();
        let (canceled, _) = s.invited("hal@example.com", &["member"]).await;
        s.person("ada").cancel(&s.team, &canceled).await.done();
        let (_, accepted) = s.invited("ivy@example.com", &["member"]).await;
        let (_, declined) = s.invited("jay@example.com", &["member"]).await;
        s.service().decline(&declined).await.done();
        s.invited("dan@example.com", &["member"]).await;
        s.service().accept_new(&accepted, "ivy").await.done();
        s.invited("jay@example.com", &["admin"]).await;
        s.person("bob").suspend(&s.team, "carol").await.done();
        let list = [
            "ada ACTIVE",
            "bob ACTIVE",
            "carol SUSPENDED",
            "gus EXPIRED",
            "fay DECLINED",
            "dan PENDING",
            "ivy ACTIVE",
            "jay PENDING",
        ];
        (s, list.to_vec())
    }
}

both! {
    async fn what_another_team_sent_is_shown_whole_to_who_may_read_there(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        s.service().add(&north, "eve", &["admin"]).await.done();
        let request = wire::CreateInvitationRequest {
            team_id: s.team.clone(),
            email: "dan@example.com".to_owned(),
            role_ids: texts(&["admin"]),
            other_grants: vec![grant(&north, &["member"])],
            message: "Welcome".to_owned(),
            metadata: [("plan".to_owned(), "gold".to_owned())].into(),
            ..Default::default()
        };
        let sent = s.person("ada").invitations().create_invitation(request).await.done().invitation.unwrap();
        // Or else it would be told of between one look and the next.
        eventually("the mail is told of", async || s.told(&["invitation_sent"]).await.pop()).await;
        let whole = invited(&s.person("ada").roster(&north, &[], 50).await, "dan@example.com");
        assert_eq!((whole.grants.len(), whole.message.as_str(), whole.inviter_user_id.as_str()), (2, "Welcome", "ada"));
        let part = invited(&s.person("eve").roster(&north, &[], 50).await, "dan@example.com");
        assert_eq!((&part.id, &part.grants), (&sent.id, &vec![grant(&north, &["member"])]));
        assert_eq!((part.message.as_str(), part.inviter_user_id.as_str(), part.metadata.len()), ("", "", 0));
        assert_eq!(invited(&s.person("ada").roster(&s.team, &[], 50).await, "dan@example.com"), whole);
    }

    async fn everybody_is_in_one_list(db: Db) {
        let (s, expected) = Scene::with_everybody(db).await;
        let entries = s.person("bob").roster(&s.team, &[], 50).await;
        assert_eq!(told(&entries), expected);
        assert!(entries.is_sorted_by_key(|entry| entry.add_time.map(|time| (time.seconds, time.nanos))));
        let names: Vec<&str> = entries.iter().map(|entry| entry.display_name.as_str()).collect();
        assert_eq!(names, ["ada", "bob", "carol", "", "", "", "ivy", ""], "only a member has one");
        for size in 1..=9 {
            assert_eq!(told(&s.person("bob").roster(&s.team, &[], size).await), expected, "in pages of {size}");
        }
        for (status, word) in [
            (RosterStatus::Active, "ACTIVE"), (RosterStatus::Suspended, "SUSPENDED"), (RosterStatus::Pending, "PENDING"),
            (RosterStatus::Expired, "EXPIRED"), (RosterStatus::Declined, "DECLINED"),
        ] {
            let of_status: Vec<_> = expected.iter().filter(|line| line.ends_with(word)).copied().collect();
            assert_eq!(told(&s.person("bob").roster(&s.team, &[status], 1).await), of_status);
        }
        let some = s.person("bob").roster(&s.team, &[RosterStatus::Expired, RosterStatus::Suspended], 1).await;
        assert_eq!(told(&some), ["carol SUSPENDED", "gus EXPIRED"]);
    }

    async fn a_page_goes_on_where_the_one_before_ended(db: Db) {
        let (s, expected) = Scene::with_everybody(db).await;
        let request = ListRosterRequest { team_id: s.team.clone(), page_size: 4, ..Default::default() };
        let first = s.person("bob").teams().list_roster(request.clone()).await.done();
        // In the meantime one of those told of leaves, one still to come leaves, and one joins.
        s.person("ada").remove(&s.team, "carol").await.done();
        s.person("ada").remove(&s.team, "ivy").await.done();
        s.service().add(&s.team, "eve", &["member"]).await.done();
        let mut request = ListRosterRequest { page_token: first.next_page_token, ..request };
        let second = s.person("bob").teams().list_roster(request.clone()).await.done();
        assert_eq!(told(&first.entries), expected[..4]);
        assert_eq!(told(&second.entries), ["fay DECLINED", "dan PENDING", "jay PENDING", "eve ACTIVE"]);
        request.statuses = vec![RosterStatus::Active.into()];
        let other = s.person("bob").teams().list_roster(request).await;
        other.refused(Code::InvalidArgument, "PAGE_TOKEN_INVALID");
    }

    async fn an_address_stands_in_the_list_once(db: Db) {
        let s = Scene::new(db).await;
        let people = async |statuses: &[RosterStatus]| told(&s.person("ada").roster(&s.team, statuses, 1).await).split_off(3);
        s.invited("eve@example.com", &["member"]).await;
        s.service().add(&s.team, "eve", &["member"]).await.done();
        assert_eq!(people(&[]).await, ["eve ACTIVE"], "no invitation of a member's");
        s.person("ada").remove(&s.team, "eve").await.done();
        let (first, _) = s.invited("dan@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(14));
        assert_eq!(people(&[]).await, ["dan EXPIRED"]);
        let (second, _) = s.invited("dan@example.com", &["member"]).await;
        assert_eq!(people(&[]).await, ["dan PENDING"]);
        let old = [RosterStatus::Active, RosterStatus::Expired];
        assert_eq!(people(&old).await, [] as [&str; 0], "the one that ran out is not the newest");
        s.person("ada").cancel(&s.team, &second).await.done();
        assert_eq!(people(&[]).await, [] as [&str; 0], "the newest is canceled");
        // An older one that is sent again is open, and hides behind no other.
        s.person("ada").resend(&s.team, &first).await.done();
        assert_eq!(people(&[]).await, ["dan PENDING"]);
        let token = s.token(&first).await;
        s.service().accept_new(&token, "dan").await.done();
        assert_eq!(people(&[]).await, ["dan ACTIVE"]);
        s.person("ada").remove(&s.team, "dan").await.done();
        assert_eq!(people(&[]).await, [] as [&str; 0]);
    }

    async fn the_list_takes_both_permissions(db: Db) {
        let s = Scene::new(db).await;
        let denied = (Code::PermissionDenied, "PERMISSION_DENIED");
        let request = ListRosterRequest { team_id: s.team.clone(), ..Default::default() };
        let refusal = s.person("carol").teams().list_roster(request.clone()).await.refused(denied.0, denied.1);
        assert_eq!(refusal.metadata["permission"], "roster.invitations.read");
        s.person("eve").teams().list_roster(request).await.refused(denied.0, denied.1);
    }
}
