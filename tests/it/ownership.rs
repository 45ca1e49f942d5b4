//! Who owns a tree, and whom its rules let in: shared ownership, one membership for each person, people from elsewhere.

use chrono::TimeDelta;
use roster_proto::v1::{self as wire, AddMemberRequest, CreateInvitationRequest, Ownership, TeamPolicy, User};
use tonic::{Code, Response, Status};

use crate::{
    both,
    support::{
        Db, Outcome as _, Scene,
        acts::{stamp, texts},
        log::Log,
        scene::create_user,
        server::eventually,
    },
};

const LAST: (Code, &str) = (Code::FailedPrecondition, "LAST_OWNER");
const NOT_GRANTABLE: (Code, &str) = (Code::FailedPrecondition, "OWNER_ROLE_NOT_GRANTABLE");
const ELSEWHERE: (Code, &str) = (Code::FailedPrecondition, "MEMBER_ELSEWHERE");
const EXTERNAL: (Code, &str) = (Code::FailedPrecondition, "EXTERNAL_NOT_ALLOWED");

impl Scene {
    async fn own(&self, ownership: Ownership) -> Result<Response<roster_proto::v1::UpdateTeamResponse>, Status> {
        self.rule(TeamPolicy { ownership: ownership.into(), ..Default::default() }, "ownership").await
    }

    async fn shared(db: Db) -> Self {
        let s = Self::new(db).await;
        s.own(Ownership::Shared).await.done();
        s
    }

    async fn exclusive(db: Db) -> Self {
        let s = Self::new(db).await;
        s.rule(TeamPolicy { exclusive_membership: true, ..Default::default() }, "exclusive_membership").await.done();
        s
    }

    async fn admits_external(&self, allow: bool) {
        let policy = TeamPolicy { allow_external_members: Some(allow), ..Default::default() };
        self.rule(policy, "allow_external_members").await.done();
    }

    /// Holds what the events tell against the tables, and every version against the rules of ownership.
    async fn check(&self) {
        Log::read(&self.service()).await.assert_tables_agree(&self.service()).await;
    }
}

both! {
    async fn owners_share_the_ownership(db: Db) {
        let s = Scene::shared(db).await;
        let branch = s.team_below("Branch").await;
        s.person("bob").set_roles(&s.team, "carol", &["owner"]).await.refused(NOT_GRANTABLE.0, NOT_GRANTABLE.1);
        s.person("bob").add(&s.team, "eve", &["owner"]).await.refused(NOT_GRANTABLE.0, NOT_GRANTABLE.1);
        s.person("bob").invite(&s.team, "dan@example.com", &["owner"]).await.refused(NOT_GRANTABLE.0, NOT_GRANTABLE.1);
        s.person("ada").add(&branch, "eve", &["owner"]).await.refused(NOT_GRANTABLE.0, NOT_GRANTABLE.1);
        s.person("ada").set_roles(&s.team, "carol", &["owner"]).await.done();
        s.person("carol").add(&s.team, "eve", &["owner"]).await.done();
        let (_, token) = s.invited("dan@example.com", &["owner"]).await;
        // That the mail is out is recorded as well, and not while the record is held against the tables.
        eventually("the mail is told of", async || s.told(&["invitation_sent"]).await.pop()).await;
        s.service().accept_new(&token, "dan").await.done();
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol owner", "eve owner", "dan owner"]);
        // Each of them may do what an owner may, also to the others.
        s.person("eve").set_roles(&s.team, "ada", &["member"]).await.done();
        s.person("dan").transfer(&s.team, "eve").await.refused(Code::FailedPrecondition, "ALREADY_OWNER");
        s.person("dan").transfer(&s.team, "bob").await.done();
        assert_eq!(s.members().await, ["ada member", "bob admin+owner", "carol owner", "eve owner", "dan admin"]);
        s.check().await;
    }

    async fn one_owner_is_always_left(db: Db) {
        let s = Scene::shared(db).await;
        s.person("ada").set_roles(&s.team, "carol", &["owner"]).await.done();
        s.person("bob").suspend(&s.team, "carol").await.done();
        for (what, refused) in [
            ("removed", s.person("bob").remove(&s.team, "ada").await.map(drop_answer)),
            ("demoted", s.person("bob").set_roles(&s.team, "ada", &["member"]).await.map(drop_answer)),
            ("suspended", s.person("bob").suspend(&s.team, "ada").await.map(drop_answer)),
            ("left", s.person("ada").leave(&s.team).await.map(drop_answer)),
            ("deleted", s.service().delete_user("ada", "").await.map(drop_answer)),
        ] {
            let refusal = refused.refused(LAST.0, LAST.1);
            assert!(!refusal.status.message().is_empty(), "{what}");
        }
        s.person("ada").reactivate(&s.team, "carol").await.done();
        s.person("ada").leave(&s.team).await.done();
        s.service().delete_user("carol", "").await.refused(LAST.0, LAST.1);
        assert_eq!(s.members().await, ["bob admin", "carol owner"]);
        s.check().await;
    }

    async fn the_ownership_becomes_single_with_one_owner_only(db: Db) {
        let s = Scene::shared(db).await;
        s.person("ada").set_roles(&s.team, "carol", &["owner"]).await.done();
        let several = async || s.own(Ownership::SingleOwner).await.refused(Code::FailedPrecondition, "SEVERAL_OWNERS");
        assert_eq!(several().await.metadata["owners"], "2");
        // A suspended owner is one again when they are active.
        s.person("bob").suspend(&s.team, "carol").await.done();
        assert_eq!(several().await.metadata["owners"], "2");
        s.person("bob").set_roles(&s.team, "carol", &["member"]).await.done();
        s.own(Ownership::SingleOwner).await.done();
        s.person("bob").reactivate(&s.team, "carol").await.done();
        s.person("ada").set_roles(&s.team, "carol", &["owner"]).await.refused(NOT_GRANTABLE.0, NOT_GRANTABLE.1);
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member"]);
        s.check().await;
    }

    async fn an_invitation_to_own_ends_with_the_sharing(db: Db) {
        let s = Scene::shared(db).await;
        let by_ada = s.invited("eve@example.com", &["owner"]).await.1;
        let by_service = s.service().invite(&s.team, "dan@example.com", &["owner"]).await.done().invitation.unwrap();
        let by_service = s.token(&by_service.id).await;
        s.own(Ownership::SingleOwner).await.done();
        let refused = (Code::FailedPrecondition, "INVITER_NO_LONGER_ALLOWED");
        s.service().accept(&by_ada, "eve").await.refused(refused.0, refused.1);
        s.service().accept_new(&by_service, "dan").await.refused(refused.0, refused.1);
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member"]);
        s.own(Ownership::Shared).await.done();
        s.service().accept_new(&by_service, "dan").await.done();
        s.check().await;
    }

    async fn who_becomes_an_owner_stays(db: Db) {
        let s = Scene::shared(db).await;
        let branch = s.team_below("Branch").await;
        let offer = CreateInvitationRequest {
            team_id: s.team.clone(),
            email: "eve@example.com".to_owned(),
            role_ids: texts(&["owner"]),
            other_grants: vec![wire::Grant { team_id: branch, role_ids: texts(&["member"]), permissions: Vec::new() }],
            delivery_channel: wire::DeliveryChannel::LinkOnly.into(),
            ..Default::default()
        };
        let invited = s.person("ada").invitations().create_invitation(offer).await.done().invitation.unwrap();
        let token = s.token(&invited.id).await;
        let end = Some(stamp(s.after(TimeDelta::days(1))));
        let ends = AddMemberRequest { role_ids: texts(&["member"]), expire_time: end, ..Default::default() };
        let owner = AddMemberRequest { role_ids: texts(&["owner"]), ..ends.clone() };
        s.service().add_with(&s.team, "eve", owner).await.refused(Code::FailedPrecondition, "OWNER_EXPIRY");
        s.service().add_with(&s.team, "eve", ends).await.done();
        let eve = s.service().accept(&token, "eve").await.done().member.unwrap();
        assert_eq!((eve.role_ids, eve.expire_time), (texts(&["member", "owner"]), None));
        s.person("ada").leave(&s.team).await.done();
        s.server.clock.advance(TimeDelta::days(2));
        s.person("eve").list(&s.team).await.done();
        s.check().await;
    }

    async fn a_person_is_in_one_team_of_an_exclusive_tree(db: Db) {
        let s = Scene::exclusive(db).await;
        let (a, b) = (s.team_below("A").await, s.team_below("B").await);
        s.person("bob").add(&a, "carol", &["member"]).await.refused(ELSEWHERE.0, ELSEWHERE.1);
        s.person("bob").invite(&a, "carol@example.com", &["member"]).await.refused(ELSEWHERE.0, ELSEWHERE.1);
        let invited = async |team: &str| {
            let invitation = s.person("bob").invite(team, "eve@example.com", &["member"]).await.done().invitation.unwrap();
            s.service().token(team, &invitation.id).await
        };
        let (to_a, to_b) = (invited(&a).await, invited(&b).await);
        s.service().accept(&to_a, "eve").await.done();
        s.service().accept(&to_b, "eve").await.refused(ELSEWHERE.0, ELSEWHERE.1);
        s.foreign_team().await;
        s.person("eve").leave(&a).await.done();
        s.service().accept(&to_b, "eve").await.done();
        // What has run out holds no place, and who was in before the rule stays in.
        let end = Some(stamp(s.after(TimeDelta::days(1))));
        create_user(&s.service(), "dan").await;
        let ends = AddMemberRequest { role_ids: texts(&["member"]), expire_time: end, ..Default::default() };
        s.service().add_with(&a, "dan", ends).await.done();
        s.service().add(&b, "dan", &["member"]).await.refused(ELSEWHERE.0, ELSEWHERE.1);
        s.server.clock.advance(TimeDelta::days(1));
        s.service().add(&b, "dan", &["member"]).await.done();
        eventually("the end of a membership", async || (!s.told(&["member_expired"]).await.is_empty()).then_some(())).await;
        s.check().await;
    }

    async fn who_is_at_home_elsewhere_is_external(db: Db) {
        let s = Scene::new(db).await;
        let foreign = s.foreign_team().await;
        let branch = s.team_below("Branch").await;
        let external = async |team: &str, user: &str| s.service().member(team, user).await.done().member.unwrap().external;
        s.service().add(&branch, "eve", &["member"]).await.done();
        s.service().add(&branch, "carol", &["member"]).await.done();
        assert!(external(&branch, "eve").await && !external(&foreign, "eve").await);
        assert!(!external(&branch, "carol").await, "home is the whole tree");
        let moved = User { id: "eve".to_owned(), home_team_id: s.team.clone(), ..Default::default() };
        s.service().edit(moved, &["home_team_id"], "").await.done();
        assert!(!external(&branch, "eve").await && external(&foreign, "eve").await);
        // The tree that a person joins first is their home, until it is gone.
        create_user(&s.service(), "dan").await;
        s.service().add(&foreign, "dan", &["member"]).await.done();
        s.person("eve").delete_team(&foreign, false).await.done();
        s.service().add(&branch, "dan", &["member"]).await.done();
        assert!(!external(&branch, "dan").await);
    }

    async fn new_rules_say_what_is_at_odds_with_them(db: Db) {
        let s = Scene::shared(db).await;
        s.foreign_team().await;
        let north = s.team_below("North").await;
        s.service().add(&north, "carol", &["member"]).await.done();
        s.service().add(&s.team, "eve", &["member"]).await.done();
        s.invited("dan@other.example", &["owner"]).await;
        let to_north = wire::Grant { team_id: north.clone(), role_ids: texts(&["member"]), permissions: Vec::new() };
        s.invited_to("fay@example.com", vec![to_north]).await;
        let odds = async |policy: TeamPolicy, path: &str| {
            let told = s.rule(policy, path).await.done().grandfathered;
            told.into_iter().map(|odd| (odd.count, odd.description)).collect::<Vec<_>>()
        };
        let told = |list: &[(i64, &str)]| list.iter().map(|(n, text)| (*n, (*text).to_owned())).collect::<Vec<_>>();
        let domains = TeamPolicy { allowed_email_domains: texts(&["example.com"]), ..Default::default() };
        let invited = "open invitations to other addresses, which cannot be accepted";
        assert_eq!(odds(domains, "allowed_email_domains").await, told(&[(1, invited)]));
        let domains = TeamPolicy { allowed_email_domains: texts(&["other.example"]), ..Default::default() };
        let both = told(&[(5, "memberships of people with other addresses"), (1, invited)]);
        assert_eq!(odds(domains, "allowed_email_domains").await, both);
        assert_eq!(odds(TeamPolicy::default(), "allowed_email_domains").await, told(&[]));
        create_user(&s.service(), "gil").await;
        s.service().add(&north, "gil", &["member"]).await.done();
        s.invited("gil@example.com", &["member"]).await;
        // Four members and three open invitations in the root, two and one below it.
        let seats = |max_members| TeamPolicy { max_members, ..Default::default() };
        let taken = "teams with more members and open invitations";
        for (limit, over) in [(2, 2), (3, 1), (6, 1)] {
            assert_eq!(odds(seats(limit), "max_members").await, told(&[(over, taken)]), "{limit}");
        }
        assert_eq!(odds(seats(7), "max_members").await, told(&[]));
        let pending = TeamPolicy { max_pending_invitations: 1, ..Default::default() };
        assert_eq!(odds(pending, "max_pending_invitations").await, told(&[(1, "teams with more open invitations")]));
        let exclusive = TeamPolicy { exclusive_membership: true, ..Default::default() };
        let several = "open invitations to several teams, which cannot be accepted";
        let elsewhere = "open invitations to members of other teams, which cannot be accepted";
        let all = told(&[(1, "people who are members of several teams"), (1, several), (1, elsewhere)]);
        assert_eq!(odds(exclusive, "exclusive_membership").await, all);
        let home = TeamPolicy { allow_external_members: Some(false), ..Default::default() };
        assert_eq!(odds(home, "allow_external_members").await, told(&[(1, "external memberships")]));
        let single = TeamPolicy { ownership: Ownership::SingleOwner.into(), ..Default::default() };
        let owners = "open invitations to become an owner, which cannot be accepted";
        assert_eq!(odds(single, "ownership").await, told(&[(1, owners)]));
        s.check().await;
    }

    async fn people_from_elsewhere_are_let_in_by_rule(db: Db) {
        let s = Scene::new(db).await;
        s.foreign_team().await;
        create_user(&s.service(), "dan").await;
        let branch = s.team_below("Branch").await;
        let (_, token) = s.invited("eve@example.com", &["member"]).await;
        s.admits_external(false).await;
        s.service().accept(&token, "eve").await.refused(EXTERNAL.0, EXTERNAL.1);
        for team in [&s.team, &branch] {
            s.person("bob").add(team, "eve", &["member"]).await.refused(EXTERNAL.0, EXTERNAL.1);
        }
        // Whoever invites is not told that somebody has this address.
        let invited = s.person("bob").invite(&branch, "eve@example.com", &["member"]).await.done().invitation.unwrap();
        let to_branch = s.service().token(&branch, &invited.id).await;
        s.service().accept(&to_branch, "eve").await.refused(EXTERNAL.0, EXTERNAL.1);
        s.person("bob").add(&branch, "dan", &["member"]).await.done();
        s.admits_external(true).await;
        s.service().accept(&token, "eve").await.done();
        s.admits_external(false).await;
        s.person("bob").set_roles(&s.team, "eve", &["admin"]).await.done();
        s.check().await;
    }
}

/// Answers of several kinds become one kind.
fn drop_answer<T>(answer: Response<T>) -> Response<()> {
    answer.map(drop)
}
