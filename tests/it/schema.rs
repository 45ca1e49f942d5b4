//! The schema: the same in both databases, reversible, made by one migrator at a time, and itself the guard of what must
//! never be there twice or without what it refers to.

mod catalog;
mod rows;

use std::time::Duration;

use roster::repository::{
    Constraint, Database, Error, Result, database::Options, invitations, members, schema, teams, users,
};
use sea_orm::ConnectionTrait as _;

use crate::{
    both,
    support::{Db, database::TestDatabase, process},
};
use rows::{canceled, event_of_team, event_of_user, invitation, member, team, user};

async fn open(url: &str) -> Result<Database> {
    let timeout = Duration::from_secs(10);
    let options =
        Options { url: url.to_owned(), max_connections: 2, acquire_timeout: timeout, statement_timeout: timeout };
    Database::open(options).await
}

/// A database with the schema in place, and what goes with the test.
async fn fresh(db: Db) -> (TestDatabase, Database) {
    let test = TestDatabase::new(db).await;
    let database = open(&test.url).await.unwrap();
    (test, database)
}

async fn steps(database: &Database) -> u32 {
    let status = schema::status(database).await.unwrap();
    assert!(status.iter().all(|(_, applied)| *applied), "{status:?}");
    u32::try_from(status.len()).unwrap()
}

both! {
    async fn what_goes_up_comes_down(db: Db) {
        let (_test, database) = fresh(db).await;
        let before = catalog::read(&database).await;
        assert!(before.len() >= 9, "{before:?}");
        let steps = steps(&database).await;
        for _ in 0..2 {
            schema::down(&database, steps).await.unwrap();
            assert!(catalog::tables(&database).await.is_empty());
            schema::up(&database).await.unwrap();
            assert_eq!(catalog::read(&database).await, before);
        }
        // One step back and forth leaves what the others made.
        for steps in 1..steps {
            schema::down(&database, steps).await.unwrap();
            schema::up(&database).await.unwrap();
            assert_eq!(catalog::read(&database).await, before);
        }
    }

    async fn applying_what_is_applied_changes_nothing(db: Db) {
        let (_test, database) = fresh(db).await;
        let before = catalog::read(&database).await;
        schema::up(&database).await.unwrap();
        assert_eq!(catalog::read(&database).await, before);
    }
}

#[tokio::test]
async fn both_dialects_have_one_schema() {
    let (_postgres, postgres) = fresh(Db::Postgres).await;
    let (_sqlite, sqlite) = fresh(Db::Sqlite).await;
    let (postgres, sqlite) = (catalog::read(&postgres).await, catalog::read(&sqlite).await);
    assert_eq!(postgres.keys().collect::<Vec<_>>(), sqlite.keys().collect::<Vec<_>>());
    for (name, table) in &postgres {
        assert_eq!(table, &sqlite[name], "{name}, on the left as PostgreSQL has it");
    }
}

/// The constraints are what the rules say, whatever the code above does.
#[tokio::test]
async fn rules_stand_in_the_schema() {
    let (_test, database) = fresh(Db::Sqlite).await;
    let schema = catalog::read(&database).await;
    assert_eq!(schema["memberships"].primary_key, ["team_id", "user_id"]);
    let unique = |table: &str, index: &str| {
        let index = &schema[table].indexes[index];
        assert!(index.unique, "{index:?}");
        (index.columns.join(" "), index.predicate.clone())
    };
    let all = String::new;
    assert_eq!(unique("invitations", "invitations_pending_key"), ("team_id email".into(), "state = 'PENDING'".into()));
    assert_eq!(unique("events", "events_team_version_key"), ("team_id team_version".into(), all()));
    assert_eq!(unique("events", "events_user_version_key"), ("user_id user_version".into(), all()));
    assert_eq!(unique("events", "events_position_key"), ("position".into(), all()));
    assert_eq!(unique("teams", "teams_slug_key"), ("slug".into(), all()));
    assert_eq!(unique("users", "users_email_key"), ("email".into(), all()));
}

#[track_caller]
fn assert_duplicate<T>(result: Result<T>, constraint: Constraint) {
    match result {
        Err(Error::Duplicate(found)) => assert_eq!(found, constraint),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("{constraint:?} was not refused"),
    }
}

#[track_caller]
fn assert_dangling<T>(result: Result<T>) {
    match result {
        Err(Error::Other(error)) => {
            let kind = error.sql_err();
            assert!(matches!(kind, Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_))), "{error:?}");
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("a row that refers to nothing was not refused"),
    }
}

/// Ada in the team `Acme`, committed.
async fn acme(database: &Database) -> (roster::domain::Team, roster::domain::User) {
    let (team, user) = (team(1), user("ada"));
    let mut tx = database.begin().await.unwrap();
    teams::insert(&mut tx, &team).await.unwrap();
    users::insert(&tx, &user).await.unwrap();
    members::insert(&tx, &member(&team, "ada")).await.unwrap();
    tx.commit().await.unwrap();
    (team, user)
}

both! {
    async fn nobody_is_a_member_twice(db: Db) {
        let (_test, database) = fresh(db).await;
        let (team, _) = acme(&database).await;
        let tx = database.begin().await.unwrap();
        assert_duplicate(members::insert(&tx, &member(&team, "ada")).await, Constraint::Membership);
    }

    async fn a_member_is_a_user_in_a_team(db: Db) {
        let (_test, database) = fresh(db).await;
        let (acme, _) = acme(&database).await;
        let tx = database.begin().await.unwrap();
        assert_dangling(members::insert(&tx, &member(&acme, "nobody")).await);
        tx.rollback().await.unwrap();
        let tx = database.begin().await.unwrap();
        assert_dangling(members::insert(&tx, &member(&team(2), "ada")).await);
        tx.rollback().await.unwrap();
        let tx = database.begin().await.unwrap();
        assert_dangling(invitations::insert(&tx, &invitation(1, &team(2), "bob")).await);
    }

    async fn an_address_has_one_open_invitation_of_a_team(db: Db) {
        let (_test, database) = fresh(db).await;
        let (acme, _) = acme(&database).await;
        let other = rows::team(2);
        let mut tx = database.begin().await.unwrap();
        teams::insert(&mut tx, &other).await.unwrap();
        for open in [invitation(1, &acme, "bob"), invitation(2, &acme, "carol"), invitation(3, &other, "bob")] {
            invitations::insert(&tx, &open).await.unwrap();
        }
        for closed in [canceled(4, &acme, "bob"), canceled(5, &acme, "bob")] {
            invitations::insert(&tx, &closed).await.unwrap();
        }
        tx.commit().await.unwrap();
        let tx = database.begin().await.unwrap();
        let second = invitations::insert(&tx, &invitation(6, &acme, "bob")).await;
        assert_duplicate(second, Constraint::PendingInvitation);
        tx.rollback().await.unwrap();
        // Opening a closed one again is the same as a second one.
        let tx = database.begin().await.unwrap();
        let reopened = invitations::update(&tx, &invitation(4, &acme, "bob")).await;
        assert_duplicate(reopened, Constraint::PendingInvitation);
    }

    async fn a_version_is_made_once(db: Db) {
        let (_test, database) = fresh(db).await;
        let (team, user) = acme(&database).await;
        for again in [false, true] {
            let mut tx = database.begin().await.unwrap();
            teams::lock(&mut tx, team.id).await.unwrap();
            let made = event_of_team(&mut tx, &team).await;
            if again { assert_duplicate(made, Constraint::EventVersion) } else { made.unwrap() }
            drop(tx);
            let mut tx = database.begin().await.unwrap();
            event_of_team_at(&mut tx, &team, again).await;
        }
        let _ = user;
    }

    async fn names_are_taken_once(db: Db) {
        let (_test, database) = fresh(db).await;
        let (acme, ada) = acme(&database).await;
        let mut tx = database.begin().await.unwrap();
        let namesake = roster::domain::Team { slug: acme.slug, ..rows::team(2) };
        assert_duplicate(teams::insert(&mut tx, &namesake).await, Constraint::TeamSlug);
        tx.rollback().await.unwrap();
        let tx = database.begin().await.unwrap();
        let same_id = roster::domain::User { id: ada.id.clone(), ..user("bob") };
        assert_duplicate(users::insert(&tx, &same_id).await, Constraint::UserId);
        tx.rollback().await.unwrap();
        let tx = database.begin().await.unwrap();
        let same_email = roster::domain::User { email: ada.email, ..user("bob") };
        assert_duplicate(users::insert(&tx, &same_email).await, Constraint::UserEmail);
    }
}
