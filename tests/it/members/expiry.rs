//! What ends by the clock: memberships, and roles that are held for a time.

use chrono::TimeDelta;
use roster_proto::{
    events::v1::{Cause, actor::Principal},
    v1::{self as wire, AddMemberRequest, InvitationState},
};
use tonic::Code;

use crate::{
    both,
    support::{
        Db, Outcome as _, Scene,
        acts::{member, stamp, texts},
        log::Log,
        outcome::kind,
        session::Session,
    },
};

const DENIED: (Code, &str) = (Code::PermissionDenied, "PERMISSION_DENIED");
const EXCEEDS: (Code, &str) = (Code::PermissionDenied, "GRANT_EXCEEDS_OWN");
const PASSED: (Code, &str) = (Code::FailedPrecondition, "EXPIRE_TIME_PASSED");
const NOT_HELD: (Code, &str) = (Code::FailedPrecondition, "ROLE_NOT_HELD");
const OWNER: (Code, &str) = (Code::FailedPrecondition, "OWNER_EXPIRY");

/// These roles, until so long from now.
fn until(s: &Scene, roles: &[&str], delta: TimeDelta) -> AddMemberRequest {
    AddMemberRequest { role_ids: texts(roles), expire_time: Some(stamp(s.after(delta))), ..Default::default() }
}

/// These roles, the first of them until so long from now.
fn first_until(s: &Scene, roles: &[&str], delta: TimeDelta) -> AddMemberRequest {
    let ends = [(roles[0].to_owned(), stamp(s.after(delta)))];
    AddMemberRequest { role_ids: texts(roles), role_expire_times: ends.into(), ..Default::default() }
}

both! {
    async fn a_membership_ends_at_its_moment(db: Db) {
        let s = Scene::new(db).await;
        let hour = TimeDelta::hours(1);
        s.person("bob").add_with(&s.team, "eve", until(&s, &["admin"], hour)).await.done();
        s.server.clock.advance(hour - TimeDelta::seconds(1));
        s.person("eve").list(&s.team).await.done();
        s.server.clock.advance(TimeDelta::seconds(1));
        s.person("eve").list(&s.team).await.refused(DENIED.0, DENIED.1);
        assert!(!s.service().may("eve", &s.team, "catalog.read").await);
        s.person("bob").member(&s.team, "eve").await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member"]);
        // The sweeper tells of it without being asked.
        let events = s.service().events_of(&s.team, 6).await;
        let told = events.last().unwrap();
        assert_eq!((kind(told), told.cause()), ("member_expired", Cause::Expiry));
        assert_eq!(told.actor.clone().unwrap().principal.unwrap(), Principal::System("expiry".to_owned()));
    }

    async fn who_ran_out_can_join_again(db: Db) {
        let s = Scene::new(db).await;
        let hour = TimeDelta::hours(1);
        s.person("bob").add_with(&s.team, "eve", until(&s, &["admin"], hour)).await.done();
        s.person("eve").invite(&s.team, "dan@example.com", &["member"]).await.done();
        s.person("bob").add(&s.team, "eve", &["member"]).await.refused(Code::AlreadyExists, "ALREADY_MEMBER");
        s.server.clock.advance(hour);
        s.person("bob").add(&s.team, "eve", &["member"]).await.done();
        assert_eq!(s.members().await.last().unwrap(), "eve member");
        assert_eq!(s.person("ada").invited(&s.team, InvitationState::Canceled).await, ["dan@example.com"]);
        let told = s.told(&["member_expired", "invitation_canceled", "member_added"]).await;
        assert_eq!(told[told.len() - 3..], ["member_expired EXPIRY", "invitation_canceled EXPIRY", "member_added DIRECT"]);
        let log = Log::read(&s.service()).await;
        log.assert_tables_agree(&s.service()).await;
        // It was nobody's act, whoever's call found it.
        for event in log.events.iter().filter(|event| event.cause() == Cause::Expiry) {
            assert_eq!(event.actor.clone().unwrap().principal.unwrap(), Principal::System("expiry".to_owned()));
        }
    }

    async fn one_that_cannot_be_recorded_holds_up_no_other(db: Db) {
        let s = Scene::new(db).await;
        let (first, second) = (s.team_below("First").await, s.team_below("Second").await);
        let hour = TimeDelta::hours(1);
        for team in [&first, &second] {
            s.service().add_with(team, "eve", until(&s, &["member"], hour)).await.done();
        }
        let session = Session::open(&s.server.database.url).await;
        let of_first = "user_id = 'eve' AND team_id = (SELECT id FROM teams WHERE name = 'First')";
        session.run(&format!("UPDATE memberships SET state = 'NONSENSE' WHERE {of_first}")).await;
        s.server.clock.advance(hour);
        let expired = |events: Vec<_>| events.iter().any(|event| kind(event) == "member_expired");
        assert!(expired(s.service().events_of(&second, 3).await));
        assert!(!expired(s.service().events_of(&first, 2).await));
        session.run(&format!("UPDATE memberships SET state = 'ACTIVE' WHERE {of_first}")).await;
        assert!(expired(s.service().events_of(&first, 3).await), "it is tried again");
        session.close().await;
    }

    async fn a_single_role_ends_at_its_moment(db: Db) {
        let s = Scene::new(db).await;
        let hour = TimeDelta::hours(1);
        s.person("bob").add_with(&s.team, "eve", first_until(&s, &["admin", "member"], hour)).await.done();
        s.server.clock.advance(hour - TimeDelta::seconds(1));
        assert!(s.service().may("eve", &s.team, "catalog.read").await);
        s.server.clock.advance(TimeDelta::seconds(1));
        assert!(!s.service().may("eve", &s.team, "catalog.read").await);
        s.person("eve").list(&s.team).await.done();
        assert_eq!(s.members().await.last().unwrap(), "eve member");
        let events = s.service().events_of(&s.team, 6).await;
        let told = events.last().unwrap();
        assert_eq!((kind(told), told.cause()), ("member_updated", Cause::Expiry));
        Log::read(&s.service()).await.assert_tables_agree(&s.service()).await;
    }

    async fn an_end_is_in_the_future_and_of_a_role_that_is_held(db: Db) {
        let s = Scene::new(db).await;
        let (bob, past, hour) = (s.person("bob"), TimeDelta::seconds(-1), TimeDelta::hours(1));
        bob.add_with(&s.team, "eve", until(&s, &["member"], past)).await.refused(PASSED.0, PASSED.1);
        bob.add_with(&s.team, "eve", first_until(&s, &["member"], past)).await.refused(PASSED.0, PASSED.1);
        let of_another = AddMemberRequest { role_ids: texts(&["member"]), ..first_until(&s, &["admin"], hour) };
        let refusal = bob.add_with(&s.team, "eve", of_another).await.refused(NOT_HELD.0, NOT_HELD.1);
        assert_eq!(refusal.metadata["role"], "admin");
        let carol = |end: TimeDelta| wire::Member { expire_time: Some(stamp(s.after(end))), ..member(&s.team, "carol") };
        bob.change(carol(past), &["expire_time"]).await.refused(PASSED.0, PASSED.1);
        let roles = wire::Member { role_expire_times: [("admin".to_owned(), stamp(s.after(hour)))].into(), ..carol(hour) };
        bob.change(roles, &["role_expire_times"]).await.refused(NOT_HELD.0, NOT_HELD.1);
        let changed = bob.change(carol(hour), &["expire_time"]).await.done().member.unwrap();
        assert!(changed.expire_time.is_some());
        let changed = bob.change(member(&s.team, "carol"), &["expire_time"]).await.done().member.unwrap();
        assert_eq!((changed.expire_time, changed.role_ids), (None, texts(&["member"])));
    }

    async fn roles_that_stay_keep_their_end(db: Db) {
        let s = Scene::new(db).await;
        let bob = s.person("bob");
        bob.add_with(&s.team, "eve", first_until(&s, &["admin", "member"], TimeDelta::hours(1))).await.done();
        let roles = |roles: &[&str]| wire::Member { role_ids: texts(roles), ..member(&s.team, "eve") };
        let kept = bob.change(roles(&["admin"]), &["role_ids"]).await.done().member.unwrap();
        assert_eq!(kept.role_expire_times.into_keys().collect::<Vec<_>>(), ["admin"]);
        let gone = bob.change(roles(&["member"]), &["role_ids"]).await.done().member.unwrap();
        assert!(gone.role_expire_times.is_empty());
        let again = bob.change(roles(&["admin"]), &["role_ids"]).await.done().member.unwrap();
        assert!(again.role_expire_times.is_empty(), "what is given anew is given for good");
    }

    async fn an_ownership_has_no_end(db: Db) {
        let s = Scene::new(db).await;
        let end = stamp(s.after(TimeDelta::hours(1)));
        let ends = wire::Member { expire_time: Some(end), ..member(&s.team, "ada") };
        s.service().change(ends, &["expire_time"]).await.refused(OWNER.0, OWNER.1);
        let role = wire::Member { role_expire_times: [("owner".to_owned(), end)].into(), ..member(&s.team, "ada") };
        s.service().change(role, &["role_expire_times"]).await.refused(OWNER.0, OWNER.1);
        let carol = wire::Member { expire_time: Some(end), ..member(&s.team, "carol") };
        s.service().change(carol, &["expire_time"]).await.done();
        let new = s.person("ada").transfer(&s.team, "carol").await.done().owner.unwrap();
        assert_eq!(new.expire_time, None, "whoever takes the ownership stays");
    }

    async fn to_prolong_is_to_give(db: Db) {
        let s = Scene::new(db).await;
        let weak = s.own_role("weak", &["roster.members.*", "roster.roles.read", "roster.teams.read"], false).await;
        s.service().set_roles(&s.team, "carol", &[&weak]).await.done();
        let days = |n: i64| stamp(s.after(TimeDelta::days(n)));
        let carol = s.person("carol");
        s.service().add_with(&s.team, "eve", until(&s, &["admin"], TimeDelta::days(2))).await.done();
        let eve = |end| wire::Member { expire_time: end, ..member(&s.team, "eve") };
        for end in [None, Some(days(3))] {
            carol.change(eve(end), &["expire_time"]).await.refused(EXCEEDS.0, EXCEEDS.1);
        }
        carol.change(eve(Some(days(1))), &["expire_time"]).await.done();
        // The same holds for single permissions.
        let single = wire::Member { permissions: texts(&["catalog.read"]), role_ids: texts(&["member"]), ..eve(Some(days(2))) };
        s.service().change(single, &["permissions", "role_ids", "expire_time"]).await.done();
        for end in [None, Some(days(3))] {
            let refusal = carol.change(eve(end), &["expire_time"]).await.refused(EXCEEDS.0, EXCEEDS.1);
            assert_eq!(refusal.metadata["permission"], "catalog.read");
        }
        carol.change(eve(Some(days(1))), &["expire_time"]).await.done();
        s.person("bob").change(eve(None), &["expire_time"]).await.done();
    }
}
