//! The schema: the same in both databases, reversible, made by one migrator at a time, and itself the guard of what must
//! never be there twice or without what it refers to.

pub mod catalog;
mod rows;

use std::{process::Command, time::Duration};

use roster::domain::text::DisplayName;
use roster::repository::{
    Constraint, Database, Error, Result, Source as _, Tx, database::Options, invitations, members, schema, sequence,
    teams, users,
};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use crate::{
    both,
    support::{Db, database::TestDatabase},
};
use rows::{canceled, change_team, change_user, invitation, member, team, user};

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
    assert!(status.iter().all(|(_, step)| *step == schema::Step::Applied), "{status:?}");
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

    async fn people_who_were_members_before_are_found_as_those_who_join(db: Db) {
        let (_test, database) = fresh(db).await;
        let names: Vec<String> = schema::status(&database).await.unwrap().into_iter().map(|(name, _)| name).collect();
        let at = names.iter().position(|name| name.starts_with("m0006")).unwrap();
        schema::down(&database, u32::try_from(names.len() - at).unwrap()).await.unwrap();
        let tx = database.begin().await.unwrap();
        let time = "'1970-01-01T00:00:00+00:00'";
        let id = "'00000000-0000-0000-0000-000000000001'";
        let id = if database.is_postgres() { id } else { "x'00000000000000000000000000000001'" };
        for sql in [
            format!("INSERT INTO teams (id, root_id, name, labels, policy, version, changed, create_time, update_time) VALUES ({id}, {id}, 'Acme', '{{}}', '{{}}', 1, 1, {time}, {time})"),
            format!("INSERT INTO users (id, email, email_verified, display_name, version, create_time, update_time) VALUES ('ada', 'ada@example.com', true, 'ÉRIC Straße ΟΔΟΣ', 1, {time}, {time})"),
            format!("INSERT INTO memberships (team_id, user_id, source, join_time, changed) VALUES ({id}, 'ada', 'DIRECT', {time}, 1)"),
        ] {
            tx.connection().execute_unprepared(&sql).await.unwrap();
        }
        tx.commit().await.unwrap();
        schema::up(&database).await.unwrap();
        let row = catalog::rows(&database, "SELECT email, name_key FROM memberships").await.remove(0);
        let copied: (String, String) = (catalog::get(&row, "email"), catalog::get(&row, "name_key"));
        let name = DisplayName::parse("ÉRIC Straße ΟΔΟΣ").unwrap();
        assert_eq!(copied, ("ada@example.com".to_owned(), members::name_key(&name)));
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
    assert_eq!(
        unique("invitation_grants", "invitation_grants_pending_key"),
        ("team_id email".into(), "pending".into())
    );
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

/// Commits what was made, or sees that it was refused for its version.
async fn end(tx: Tx, made: Result<usize>, refused: bool) {
    if refused {
        assert_duplicate(made, Constraint::EventVersion);
        tx.rollback().await.unwrap();
    } else {
        made.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Ada in the team `Acme`, committed.
async fn acme(database: &Database) -> (roster::domain::Team, roster::domain::User) {
    let (team, user) = (team(1), user("ada"));
    let mut tx = database.begin().await.unwrap();
    teams::insert(&mut tx, &team).await.unwrap();
    users::insert(&tx, &user).await.unwrap();
    members::insert(&tx, &member(&team, "ada"), &user).await.unwrap();
    tx.commit().await.unwrap();
    (team, user)
}

both! {
    async fn nobody_is_a_member_twice(db: Db) {
        let (_test, database) = fresh(db).await;
        let (team, _) = acme(&database).await;
        let tx = database.begin().await.unwrap();
        assert_duplicate(members::insert(&tx, &member(&team, "ada"), &user("ada")).await, Constraint::Membership);
    }

    async fn a_member_is_a_user_in_a_team(db: Db) {
        let (_test, database) = fresh(db).await;
        let (acme, _) = acme(&database).await;
        let tx = database.begin().await.unwrap();
        assert_dangling(members::insert(&tx, &member(&acme, "nobody"), &user("nobody")).await);
        tx.rollback().await.unwrap();
        let tx = database.begin().await.unwrap();
        assert_dangling(members::insert(&tx, &member(&team(2), "ada"), &user("ada")).await);
        tx.rollback().await.unwrap();
        let tx = database.begin().await.unwrap();
        assert_dangling(invitations::insert(&tx, &[invitation(1, &team(2), "bob")]).await);
    }

    async fn an_address_has_one_open_invitation_of_a_team(db: Db) {
        let (_test, database) = fresh(db).await;
        let (acme, _) = acme(&database).await;
        let other = rows::team(2);
        let mut tx = database.begin().await.unwrap();
        teams::insert(&mut tx, &other).await.unwrap();
        let open = [invitation(1, &acme, "bob"), invitation(2, &acme, "carol"), invitation(3, &other, "bob")];
        invitations::insert(&tx, &open).await.unwrap();
        invitations::insert(&tx, &[canceled(4, &acme, "bob"), canceled(5, &acme, "bob")]).await.unwrap();
        tx.commit().await.unwrap();
        let tx = database.begin().await.unwrap();
        let second = invitations::insert(&tx, &[invitation(6, &acme, "bob")]).await;
        assert_duplicate(second, Constraint::PendingInvitation);
        tx.rollback().await.unwrap();
        // Opening a closed one again is the same as a second one.
        let tx = database.begin().await.unwrap();
        let reopened = invitations::update(&tx, &canceled(4, &acme, "bob"), &invitation(4, &acme, "bob")).await;
        assert_duplicate(reopened, Constraint::PendingInvitation);
    }

    async fn a_version_is_made_once(db: Db) {
        let (_test, database) = fresh(db).await;
        let (acme, ada) = acme(&database).await;
        for (version, refused) in [(1, false), (2, false), (2, true), (1, true), (3, false)] {
            let mut tx = database.begin().await.unwrap();
            let made = change_team(&mut tx, &acme, version).await;
            end(tx, made, refused).await;
            let mut tx = database.begin().await.unwrap();
            let made = change_user(&mut tx, &ada, version).await;
            end(tx, made, refused).await;
        }
    }

    async fn a_position_is_given_once(db: Db) {
        let (_test, database) = fresh(db).await;
        let (acme, _) = acme(&database).await;
        for version in 1..=2 {
            let mut tx = database.begin().await.unwrap();
            change_team(&mut tx, &acme, version).await.unwrap();
            tx.commit().await.unwrap();
        }
        assert_eq!(sequence::advance(&database, 10).await.unwrap(), (2, 2));
        let tx = database.begin().await.unwrap();
        let again = tx.connection().execute_unprepared("UPDATE events SET position = 1 WHERE position = 2").await;
        assert_duplicate(again.map_err(Error::from), Constraint::EventPosition);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_migrators_at_once_all_succeed() {
    let (test, database) = fresh(Db::Postgres).await;
    database.close().await.unwrap();
    let admin = sea_orm::Database::connect(&test.url).await.unwrap();
    admin.execute_unprepared("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();
    let migrate = || async {
        let database = open(&test.url).await?;
        schema::up(&database).await?;
        Ok::<_, Error>(database)
    };
    let migrated = futures::future::join_all((0..4).map(|_| migrate())).await;
    let migrated: Vec<Database> = migrated.into_iter().map(Result::unwrap).collect();
    let steps = steps(&migrated[0]).await;
    let recorded = catalog::rows(&migrated[0], "SELECT count(*) AS n FROM seaql_migrations").await;
    assert_eq!(catalog::get::<i64>(&recorded[0], "n"), i64::from(steps));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlite_file_has_one_owner() {
    let (test, database) = fresh(Db::Sqlite).await;
    let second = open(&test.url).await;
    assert!(matches!(second, Err(Error::Locked(_))), "{second:?}");

    let status = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_roster"));
        program.args(["migrate", "status"]).env_clear().env("ROSTER_DATABASE__URL", &test.url).output().unwrap()
    };
    let refused = status();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("another process uses"), "{refused:?}");

    // Every clone holds the lock, and so does what is made of it.
    let clone = database.clone();
    database.close().await.unwrap();
    assert!(matches!(open(&test.url).await, Err(Error::Locked(_))));
    drop(clone);
    let allowed = status();
    assert!(allowed.status.success(), "{allowed:?}");
    open(&test.url).await.unwrap();
}

#[tokio::test]
async fn postgres_sessions_are_bounded() {
    let (_test, database) = fresh(Db::Postgres).await;
    for (setting, wanted) in [
        ("application_name", "roster"),
        ("statement_timeout", "10s"),
        ("lock_timeout", "3s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("client_min_messages", "error"),
    ] {
        assert_eq!(asked(&database, &format!("SHOW {setting}")).await, wanted, "{setting}");
    }
}

#[tokio::test]
async fn sqlite_sessions_are_safe() {
    let (_test, database) = fresh(Db::Sqlite).await;
    for (setting, writer, reader) in
        [("foreign_keys", 1, 1), ("synchronous", 2, 2), ("busy_timeout", 5000, 5000), ("query_only", 0, 1)]
    {
        let tx = database.begin().await.unwrap();
        let statement = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {setting}"));
        let row = tx.connection().query_one_raw(statement).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), writer, "{setting} of the writer");
        let row = catalog::rows(&database, &format!("PRAGMA {setting}")).await;
        assert_eq!(row[0].try_get_by_index::<i64>(0).unwrap(), reader, "{setting} of a reader");
    }
    assert_eq!(asked(&database, "PRAGMA journal_mode").await, "wal");
}

/// What one row of one column says.
async fn asked(database: &Database, sql: &str) -> String {
    catalog::rows(database, sql).await[0].try_get_by_index(0).unwrap()
}

/// Keys are compared byte by byte, or two databases would sort and find them differently.
#[tokio::test]
async fn text_keys_have_no_locale() {
    let (_test, database) = fresh(Db::Postgres).await;
    let schema = catalog::read(&database).await;
    let columns = "SELECT table_name::text AS owner, column_name::text AS name, \
                   coalesce(collation_name::text, 'the locale''s') AS collation FROM information_schema.columns \
                   WHERE table_schema = 'public' AND data_type = 'text'";
    let mut keys = 0;
    for row in catalog::rows(&database, columns).await {
        let (owner, name): (String, String) = (catalog::get(&row, "owner"), catalog::get(&row, "name"));
        let table = &schema[&owner];
        let indexed = table.indexes.values().flat_map(|index| &index.columns);
        let referring = table.foreign_keys.iter().flat_map(|key| &key.columns);
        if table.primary_key.iter().chain(indexed).chain(referring).any(|column| *column == name) {
            keys += 1;
            assert_eq!(catalog::get::<String>(&row, "collation"), "C", "{owner}.{name}");
        }
    }
    assert!(keys >= 8, "only {keys} text columns are in keys");
}
