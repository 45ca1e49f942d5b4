//! While a new version is rolled out, the one before works on the new schema: steps only add, and what they add is in
//! nobody's way.

use std::{collections::BTreeSet, path::Path};

use roster::repository::{Database, schema};
use roster_proto::v1::WatchRequest;

use crate::{
    both,
    e33_migrations::LINK_KEYS,
    schema::catalog::{self, Schema},
    support::{
        Caller, Db, Outcome as _,
        database::{TestDatabase, execute, open},
        outcome::kind,
        process::{Served, older_roster, printed, run},
        scene::{create_team, create_user},
        server::eventually,
    },
};

/// The last step that did not keep to the rule. It was never in use without those before it: with the first release, this
/// does not move any more.
const BASELINE: &str = "m0008_offers";

/// A step that this program does not know.
const FUTURE: &str = "m9999_future";

/// All that the next version may do to the tables: columns that may be left out, tables, indexes.
async fn apply_the_future(database: &Database) {
    for table in catalog::tables(database).await {
        execute(database, &format!("ALTER TABLE {table} ADD COLUMN future_note text")).await;
        execute(database, &format!("ALTER TABLE {table} ADD COLUMN future_count bigint NOT NULL DEFAULT 7")).await;
        execute(database, &format!("CREATE INDEX {table}_future_idx ON {table} (future_count)")).await;
    }
    let kind = if database.is_postgres() { "uuid" } else { "uuid_text" };
    execute(database, &format!("CREATE TABLE future_things (id {kind} PRIMARY KEY REFERENCES teams (id))")).await;
    execute(database, &format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{FUTURE}', 0)")).await;
}

/// The main job, as the caller of any version has it done.
async fn story(service: &Caller, name: &str) {
    let [ada, bob, carol] = ["ada", "bob", "carol"].map(|person| format!("{person}-{name}"));
    create_user(service, &ada).await;
    create_user(service, &bob).await;
    let team = create_team(service, name, &ada).await;
    let owner = service.clone().acting_for(&ada);
    owner.add(&team, &bob, &["member"]).await.done();
    let invitation = owner.invite(&team, &format!("{carol}@example.com"), &["admin"]).await.done().invitation.unwrap();
    let token = service.token(&team, &invitation.id).await;
    let mut stream = service.events().watch(WatchRequest { team_id: team.clone(), ..Default::default() }).await.done();
    stream.message().await.unwrap();
    service.accept_new(&token, &carol).await.done();
    stream.message().await.unwrap().unwrap();
    owner.set_roles(&team, &bob, &["admin"]).await.done();
    owner.transfer(&team, &bob).await.done();
    service.clone().acting_for(&bob).remove(&team, &carol).await.done();
    assert_eq!(service.members(&team).await, [format!("{ada} admin"), format!("{bob} admin+owner")]);
    // With or without that of the mail, which may have come too late to be sent.
    let kinds: BTreeSet<_> = eventually("the removal", async || {
        let kinds: BTreeSet<_> = service.events_of(&team, 9).await.iter().map(kind).collect();
        kinds.contains("member_removed").then_some(kinds)
    })
    .await;
    for expected in ["team_created", "member_added", "invitation_accepted", "ownership_transferred", "member_removed"] {
        assert!(kinds.contains(expected), "{expected} is not in {kinds:?}");
    }
}

async fn older(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let output = run(older_roster(folder, arguments, variables)).await;
    (output.status.success(), printed(&output))
}

both! {
    async fn the_version_before_works_on_the_next_ones_schema(db: Db) {
        let test = TestDatabase::new(db).await;
        let folder = test.folder.path();
        let variables = [("ROSTER_DATABASE__URL", test.url.as_str()), LINK_KEYS];
        // It is already at work when the next one comes, where two can be at work at a time.
        if db == Db::Postgres {
            let served = Served::of(older_roster, folder, &variables).await;
            story(&served.caller(), "before").await;
            apply_the_future(&open(&test.url).await).await;
            story(&served.caller(), "during").await;
        } else {
            let served = Served::of(older_roster, folder, &variables).await;
            story(&served.caller(), "before").await;
            drop(served);
            apply_the_future(&open(&test.url).await).await;
        }

        // And it can be started again, however it treats the schema.
        for (migrate, name) in [("true", "after"), ("false", "after-all")] {
            let migrate = ("ROSTER_DATABASE__MIGRATE_ON_START", migrate);
            let served = Served::of(older_roster, folder, &[&variables[..], &[migrate]].concat()).await;
            story(&served.caller(), name).await;
        }
        let expected = catalog::read(&open(&test.url).await).await;
        let (done, said) = older(folder, &["migrate", "up"], &variables).await;
        assert!(done && said.contains(&format!("newer    {FUTURE}")), "{said}");
        let (done, said) = older(folder, &["migrate", "status"], &variables).await;
        assert!(done && said.contains(&format!("newer    {FUTURE}")) && !said.contains("pending"), "{said}");
        // Only who knows a step takes it back, and nobody takes back one below it.
        let (done, said) = older(folder, &["migrate", "down"], &variables).await;
        assert!(!done && said.contains(FUTURE), "{said}");
        assert_eq!(catalog::read(&open(&test.url).await).await, expected);
    }

    async fn steps_only_add(db: Db) {
        let test = TestDatabase::new(db).await;
        let database = open(&test.url).await;
        let steps: Vec<String> = schema::status(&database).await.unwrap().into_iter().map(|(name, _)| name).collect();
        let later = steps.len() - 1 - steps.iter().position(|step| step == BASELINE).unwrap();
        let mut after = Shape::of(&database).await;
        for step in steps.iter().rev().take(later) {
            schema::down(&database, 1).await.unwrap();
            let before = Shape::of(&database).await;
            assert_eq!(broken(&before, &after), Vec::<String>::new(), "{step}");
            after = before;
        }
        assert!(later >= 2);
        // The one before them did not keep to it, and that shows.
        schema::down(&database, 1).await.unwrap();
        assert!(!broken(&Shape::of(&database).await, &after).is_empty());
    }

    async fn what_is_not_just_added_is_noticed(db: Db) {
        let postgres = db == Db::Postgres;
        let test = TestDatabase::new(db).await;
        let database = open(&test.url).await;
        let before = Shape::of(&database).await;
        apply_the_future(&database).await;
        assert_eq!(broken(&before, &Shape::of(&database).await), Vec::<String>::new());
        let mut before = Shape::of(&database).await;
        for (sql, expected, only_postgres) in [
            ("CREATE UNIQUE INDEX one ON users (display_name)", "users: the index one lets less in", false),
            ("DROP INDEX teams_slug_key", "teams: the index teams_slug_key lets more in", false),
            ("ALTER TABLE users DROP COLUMN locale", "users.locale is gone", false),
            ("ALTER TABLE users RENAME COLUMN phone TO telephone", "users.phone is gone", false),
            ("DROP TABLE expirations", "expirations is gone", false),
            ("ALTER TABLE teams ADD COLUMN must text NOT NULL", "teams.must has to be given", true),
            ("ALTER TABLE teams ALTER COLUMN slug SET NOT NULL", "teams.slug has to be given", true),
            ("ALTER TABLE mails ALTER COLUMN attempts TYPE text", "mails.attempts is of another kind", true),
            (
                "ALTER TABLE mails ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES teams (id)",
                "mails: a row has to refer to another one",
                true,
            ),
        ] {
            if only_postgres && !postgres {
                continue;
            }
            execute(&database, sql).await;
            let after = Shape::of(&database).await;
            assert_eq!(broken(&before, &after), [expected], "{sql}");
            before = after;
        }
    }
}

/// A schema, and which columns have to be given.
struct Shape {
    schema: Schema,
    required: BTreeSet<(String, String)>,
}

impl Shape {
    async fn of(database: &Database) -> Self {
        let sql = if database.is_postgres() {
            "SELECT table_name::text AS owner, column_name::text AS name FROM information_schema.columns \
             WHERE table_schema = 'public' AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'"
        } else {
            "SELECT t.name AS owner, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND c.\"notnull\" = 1 AND c.dflt_value IS NULL"
        };
        let rows = catalog::rows(database, sql).await;
        let required = rows.iter().map(|row| (catalog::get(row, "owner"), catalog::get(row, "name"))).collect();
        Self { schema: catalog::read(database).await, required }
    }
}

/// Where who knows only the schema before would fail on the one after.
fn broken(before: &Shape, after: &Shape) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, old) in &before.schema {
        let Some(new) = after.schema.get(name) else {
            broken.push(format!("{name} is gone"));
            continue;
        };
        for (column, was) in &old.columns {
            match new.columns.get(column) {
                None => broken.push(format!("{name}.{column} is gone")),
                Some(is) if is.kind != was.kind => broken.push(format!("{name}.{column} is of another kind")),
                Some(_) => {}
            }
        }
        let required = |shape: &Shape, column: &String| shape.required.contains(&(name.clone(), column.clone()));
        let demanded = new.columns.keys().filter(|column| required(after, column) && !required(before, column));
        broken.extend(demanded.map(|column| format!("{name}.{column} has to be given")));
        for (index, is) in new.indexes.iter().filter(|(_, is)| is.unique) {
            if old.indexes.get(index) != Some(is) {
                broken.push(format!("{name}: the index {index} lets less in"));
            }
        }
        for (index, was) in old.indexes.iter().filter(|(_, was)| was.unique) {
            let gone = was.columns.iter().any(|column| !new.columns.contains_key(column));
            if !gone && new.indexes.get(index) != Some(was) {
                broken.push(format!("{name}: the index {index} lets more in"));
            }
        }
        if old.primary_key != new.primary_key {
            broken.push(format!("{name} has another primary key"));
        }
        if new.foreign_keys.difference(&old.foreign_keys).next().is_some() {
            broken.push(format!("{name}: a row has to refer to another one"));
        }
    }
    broken
}
