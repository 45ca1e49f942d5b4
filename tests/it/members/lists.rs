//! Lists of members: what they are searched, filtered and sorted by.

use chrono::TimeDelta;
use roster::domain::text::fold;
use roster_proto::v1::{CreateUserRequest, ListMembersRequest, ListRosterRequest, MemberOrder, MemberState};
use tonic::Code;

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, Scene,
        acts::stamp,
        outcome::violations,
        scene::{create_team, user_of},
        session::Session,
    },
};

/// People by id, with names and addresses that are easily mistaken for patterns.
const PEOPLE: [(&str, &str, &str); 9] = [
    ("u1", "Zoë", "anna@example.com"),
    ("u2", "anna", "first@example.com"),
    ("u3", "Anna_1", "s%t@example.com"),
    ("u4", "ANNAB", "sxt@example.com"),
    ("u5", "100% sure", "a_b@example.com"),
    ("u6", "1000", "axb@example.com"),
    ("u7", "Éric", "last@example.com"),
    ("u8", "ΟΔΥΣΣΕΥΣ", "Öl@example.com"),
    ("u9", "Straße", "straße@example.com"),
];

impl Scene {
    /// With everybody above as a member, in this order.
    async fn with_people(db: Db) -> Self {
        let s = Self::new(db).await;
        for (user, name, email) in PEOPLE {
            let request = CreateUserRequest {
                user_id: user.to_owned(),
                email: email.to_owned(),
                display_name: name.to_owned(),
                ..Default::default()
            };
            s.service().users().create_user(request).await.done();
            s.service().add(&s.team, user, &["member"]).await.done();
        }
        s
    }

    fn all(&self) -> ListMembersRequest {
        ListMembersRequest { team_id: self.team.clone(), ..Default::default() }
    }
}

impl Caller {
    /// The ids of the members of a list, read in pages of this size.
    async fn ids(&self, request: ListMembersRequest, page_size: i32) -> Vec<String> {
        let pages = self.pages(request, page_size).await;
        let full = |page: &Vec<String>| i32::try_from(page.len()).unwrap() == page_size;
        assert!(pages[..pages.len() - 1].iter().all(full), "{pages:?}");
        pages.concat()
    }

    async fn pages(&self, request: ListMembersRequest, page_size: i32) -> Vec<Vec<String>> {
        let mut request = ListMembersRequest { page_size, ..request };
        let mut pages = Vec::new();
        loop {
            let page = self.teams().list_members(request.clone()).await.done();
            pages.push(page.members.iter().map(|member| user_of(member).to_owned()).collect());
            if page.next_page_token.is_empty() {
                return pages;
            }
            request.page_token = page.next_page_token;
        }
    }
}

both! {
    async fn members_are_found_by_how_name_or_address_begins(db: Db) {
        let s = Scene::with_people(db).await;
        let found = async |search: &str| {
            let request = ListMembersRequest { search: search.to_owned(), ..s.all() };
            s.person("carol").ids(request, 50).await.join(" ")
        };
        for anna in ["anna", "ANNA", "aNNa"] {
            assert_eq!(found(anna).await, "u1 u2 u3 u4", "{anna}");
        }
        for (search, expected) in [
            ("annab", "u4"), ("anna_", "u3"), ("a_", "u5"), ("%", ""), ("_", ""), ("100", "u5 u6"), ("100%", "u5"),
            ("s%", "u3"), ("S%T@EXAMPLE.COM", "u3"), ("zoË", "u1"), ("ÉR", "u7"), ("e", ""), ("nna", ""), ("example.com", ""),
            ("'", ""), ("\\", ""), ("ada", "ada"), ("οδυσ", "u8"), ("ΟΔΥΣ", "u8"), ("Οδυς", "u8"), ("οδυσσευς", "u8"),
            ("Öl@", "u8"), ("öl@", ""), ("STRASSE", "u9"), ("stras", "u9"), ("straße@", "u9"),
        ] {
            assert_eq!(found(search).await, expected, "{search}");
        }
        let long = ListMembersRequest { search: "x".repeat(201), ..s.all() };
        let refusal = s.person("carol").teams().list_members(long).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(violations(&refusal.status)[0].0, "search");
        // A new name or address is found at once.
        let renamed = roster_proto::v1::User { id: "u6".to_owned(), display_name: "Zed".to_owned(), ..Default::default() };
        s.service().edit(renamed, &["display_name"], "").await.done();
        assert_eq!((found("zed").await, found("1000").await), ("u6".to_owned(), String::new()));
    }

    async fn a_list_goes_on_behind_who_is_gone(db: Db) {
        let s = Scene::with_people(db).await;
        // As if they were deleted while the page was read.
        let session = Session::open(&s.server.database.url).await;
        session.run("UPDATE users SET delete_time = create_time WHERE id IN ('bob', 'u3', 'u4', 'u5')").await;
        let left = ["ada", "carol", "u1", "u2", "u6", "u7", "u8", "u9"];
        for size in [1, 2, 3, 5] {
            assert_eq!(s.service().pages(s.all(), size).await.concat(), left, "in pages of {size}");
            let by_name = ListMembersRequest { order_by: MemberOrder::DisplayName.into(), ..s.all() };
            let mut by_name = s.service().pages(by_name, size).await.concat();
            by_name.sort();
            assert_eq!(by_name, left, "in pages of {size}");
            let mut request = ListRosterRequest { team_id: s.team.clone(), page_size: size, ..Default::default() };
            let mut entries = 0;
            loop {
                let page = s.service().teams().list_roster(request.clone()).await.done();
                entries += page.entries.len();
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            assert_eq!(entries, left.len(), "in pages of {size}");
        }
        session.close().await;
    }

    async fn members_are_filtered(db: Db) {
        let s = Scene::new(db).await;
        let home = create_team(&s.service(), "Foreign", "eve").await;
        s.server.clock.advance(TimeDelta::hours(1));
        let since = stamp(s.after(TimeDelta::zero()));
        s.service().add(&s.team, "eve", &["member"]).await.done();
        s.service().suspend(&s.team, "carol").await.done();
        let ids = async |request: ListMembersRequest| s.service().ids(request, 50).await.join(" ");
        let state = |state: MemberState| ListMembersRequest { state: state.into(), ..s.all() };
        assert_eq!(ids(state(MemberState::Suspended)).await, "carol");
        assert_eq!(ids(state(MemberState::Active)).await, "ada bob eve");
        assert_eq!(ids(state(MemberState::Unspecified)).await, "ada bob carol eve");
        assert_eq!(ids(ListMembersRequest { external: Some(true), ..s.all() }).await, "eve");
        assert_eq!(ids(ListMembersRequest { external: Some(false), ..s.all() }).await, "ada bob carol");
        assert_eq!(ids(ListMembersRequest { role_id: "member".to_owned(), ..s.all() }).await, "carol eve");
        assert_eq!(ids(ListMembersRequest { role_id: "ghost".to_owned(), ..s.all() }).await, "");
        assert_eq!(ids(ListMembersRequest { min_join_time: Some(since), ..s.all() }).await, "eve");
        let joined = s.service().member(&s.team, "eve").await.done().member.unwrap().join_time;
        assert_eq!(ids(ListMembersRequest { min_join_time: joined, ..s.all() }).await, "eve", "then or later");
        let both = ListMembersRequest { role_id: "member".to_owned(), search: "e".to_owned(), ..state(MemberState::Active) };
        assert_eq!(ids(both).await, "eve");
        assert_eq!(ids(ListMembersRequest { team_id: home, external: Some(true), ..Default::default() }).await, "");
    }

    async fn members_come_in_four_orders(db: Db) {
        let s = Scene::with_people(db).await;
        let by = |order: MemberOrder| ListMembersRequest { order_by: order.into(), ..s.all() };
        let joined: Vec<&str> = ["ada", "bob", "carol"].into_iter().chain(PEOPLE.iter().map(|person| person.0)).collect();
        let own = ["ada", "bob", "carol"].map(|user| (user, user.to_owned(), format!("{user}@example.com")));
        let people = PEOPLE.iter().map(|(user, name, email)| (*user, fold(name), (*email).to_owned()));
        let people: Vec<(&str, String, String)> = own.into_iter().chain(people).collect();
        let sorted = |key: fn(&(&str, String, String)) -> String| {
            let mut people = people.clone();
            people.sort_by_key(|person| (key(person), person.0));
            people.into_iter().map(|person| person.0).collect::<Vec<_>>()
        };
        for size in [1, 3, 10, 50] {
            let ids = async |order| s.service().ids(by(order), size).await;
            assert_eq!(ids(MemberOrder::JoinTime).await, joined);
            assert_eq!(ids(MemberOrder::Unspecified).await, joined);
            assert_eq!(ids(MemberOrder::JoinTimeDesc).await, joined.iter().rev().copied().collect::<Vec<_>>());
            assert_eq!(ids(MemberOrder::DisplayName).await, sorted(|person| person.1.clone()));
            assert_eq!(ids(MemberOrder::Email).await, sorted(|person| person.2.clone()));
        }
    }
}
