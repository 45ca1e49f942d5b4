//! Whether two addresses are the same is one question with one answer: in Rust, in SQLite and in PostgreSQL.
//!
//! The databases answer by what holds in earnest: the unique constraint of the table `users` and comparisons with its
//! column. Whatever two texts have in common (case, width, accents, what is not seen), a column that sees more or less in
//! it than Rust does would let somebody in twice, or lock somebody out.

use std::collections::{BTreeSet, HashMap};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use roster::domain::Email;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

use crate::support::{Db, database::TestDatabase, parts};

/// How many texts go into one statement.
const BATCH: usize = 5_000;

/// Characters that some comparison of texts takes for others.
const LOCAL: [&str; 26] = [
    "a", "A", "i", "I", "ı", "İ", "ß", "ẞ", "ss", "σ", "ς", "Σ", "é", "É", "e\u{301}", "å", "Å", "ﬁ", "ａ", "Ａ", "１",
    "ǆ", "ж", "Ж", "中", "1",
];
const PUNCTUATION: [&str; 9] = [".", "+", "-", "_", "'", "\"", "\u{200D}", "\u{AD}", "\u{200B}"];
const DOMAIN: [&str; 18] =
    ["a", "A", "b", "ü", "Ü", "u\u{308}", "ß", "ss", "σ", "ς", "ı", "i", "İ", "ａ", "ﬁ", "中", "\u{AD}", "-"];
const TOP: [&str; 7] = [".com", ".COM", ".example", "。com", "．com", ".рф", ".xn--p1ai"];

fn text(rng: &mut StdRng, length: usize, of: &[&'static str]) -> Vec<&'static str> {
    (0..rng.random_range(1..=length)).map(|_| *of.choose(rng).unwrap()).collect()
}

/// An address as somebody might type it, in pieces.
fn address(rng: &mut StdRng) -> Vec<&'static str> {
    let mut pieces = text(rng, 3, &LOCAL);
    if rng.random_bool(0.4) {
        pieces.push(PUNCTUATION.choose(rng).unwrap());
        pieces.extend(text(rng, 2, &LOCAL));
    }
    pieces.push("@");
    pieces.extend(text(rng, 3, &DOMAIN));
    pieces.push(TOP.choose(rng).unwrap());
    pieces
}

/// Pieces that are the same to one way of comparing and not to another.
const ALIKE: [&[&str]; 14] = [
    &["a", "A", "ａ", "Ａ"],
    &["b", "B"],
    &["i", "I", "ı", "İ"],
    &["ß", "ẞ", "ss"],
    &["σ", "ς", "Σ"],
    &["é", "É", "e\u{301}", "e"],
    &["å", "Å", "a\u{30A}"],
    &["ü", "Ü", "u\u{308}", "u"],
    &["ﬁ", "fi"],
    &["ǆ", "Ǆ", "ǅ"],
    &["ж", "Ж"],
    &["1", "１"],
    &["\u{AD}", "\u{200B}", "\u{200D}", ""],
    &[".com", ".COM", "。com", "．com"],
];

/// The same address, or one that is easily taken for it.
fn variant(rng: &mut StdRng, of: &[&'static str]) -> String {
    let changed = of.iter().map(|piece| match ALIKE.iter().find(|alike| alike.contains(piece)) {
        Some(alike) if rng.random_bool(0.4) => *alike.choose(rng).unwrap(),
        _ => piece,
    });
    let text: String = changed.collect();
    match Email::parse(&text) {
        // The form that a machine would give, and one that it would take.
        Ok(email) if rng.random_bool(0.2) => email.as_str().to_ascii_uppercase(),
        _ if rng.random_bool(0.1) => format!(" {text}\u{A0}"),
        _ => text,
    }
}

/// The first texts of one kind each, by where they stand, as the unique constraint has it; and all in the column's order.
struct Verdicts {
    first: HashMap<String, i64>,
    sorted: Vec<String>,
}

/// Has the database put all texts into the table of users, as far as it takes them, and then find each again.
async fn verdicts(db: Db, texts: &[String]) -> Verdicts {
    let test = TestDatabase::new(db).await;
    let database = sea_orm::Database::connect(&test.url).await.unwrap();
    let (insert, find) = match database.get_database_backend() {
        DbBackend::Postgres => (
            "INSERT INTO users (id, email, email_verified, display_name, version, create_time, update_time) \
             SELECT ($2::bigint + n)::text, email, false, '', 1, now(), now() \
             FROM json_array_elements_text($1::json) WITH ORDINALITY AS asked (email, n) ORDER BY n ON CONFLICT (email) DO NOTHING",
            "SELECT users.id FROM json_array_elements_text($1::json) WITH ORDINALITY AS asked (email, n) \
             JOIN users ON users.email = asked.email ORDER BY n",
        ),
        _ => (
            "INSERT INTO users (id, email, email_verified, display_name, version, create_time, update_time) \
             SELECT ?2 + 1 + key, value, false, '', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP \
             FROM json_each(?1) WHERE true ORDER BY key ON CONFLICT (email) DO NOTHING",
            "SELECT users.id FROM json_each(?1) AS asked JOIN users ON users.email = asked.value ORDER BY asked.key",
        ),
    };
    let statement = |sql: &str, batch: &[String], more: Option<i64>| {
        let json = serde_json::to_string(batch).unwrap();
        let values = std::iter::once(json.into()).chain(more.map(Into::into));
        Statement::from_sql_and_values(database.get_database_backend(), sql, values)
    };
    let mut first = HashMap::new();
    for (number, batch) in texts.chunks(BATCH).enumerate() {
        let before = i64::try_from(number * BATCH).unwrap();
        database.execute_raw(statement(insert, batch, Some(before))).await.unwrap();
    }
    for batch in texts.chunks(BATCH) {
        let found = database.query_all_raw(statement(find, batch, None)).await.unwrap();
        assert_eq!(found.len(), batch.len(), "each text is found once: {db:?}");
        let ids = found.iter().map(|row| row.try_get_by_index::<String>(0).unwrap().parse().unwrap());
        first.extend(batch.iter().cloned().zip(ids));
    }
    let sorted = sorted(&database).await;
    database.close().await.unwrap();
    Verdicts { first, sorted }
}

async fn sorted(database: &DatabaseConnection) -> Vec<String> {
    let all = Statement::from_string(database.get_database_backend(), "SELECT email FROM users ORDER BY email");
    let rows = database.query_all_raw(all).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e25_addresses_are_the_same_everywhere() {
    let mut rng = StdRng::seed_from_u64(25);
    let pairs: Vec<(String, String)> = (0..parts::count(2_000, 100_000))
        .map(|_| {
            let address = address(&mut rng);
            let other =
                if rng.random_bool(0.9) { variant(&mut rng, &address) } else { self::address(&mut rng).concat() };
            (address.concat(), other)
        })
        .collect();
    // What a column compares are normal forms. It is asked about what was typed as well, which holds stranger things.
    let typed = pairs.iter().flat_map(|(one, other)| [one, other]);
    let texts: Vec<String> = typed
        .flat_map(|text| Email::parse(text).map(|email| email.to_string()).into_iter().chain([text.clone()]))
        .collect();
    let (sqlite, postgres) = tokio::join!(verdicts(Db::Sqlite, &texts), verdicts(Db::Postgres, &texts));

    let (mut same, mut different) = (0, 0);
    for (one, other) in &pairs {
        let by = |of: &Verdicts, one: &str, other: &str| of.first[one] == of.first[other];
        let typed = (by(&sqlite, one, other), by(&postgres, one, other));
        assert_eq!(typed, (one == other, one == other), "{one:?} {other:?}");
        let (Ok(one), Ok(other)) = (Email::parse(one), Email::parse(other)) else { continue };
        let rust = one == other;
        let found = (by(&sqlite, one.as_str(), other.as_str()), by(&postgres, one.as_str(), other.as_str()));
        assert_eq!(found, (rust, rust), "{one} {other}");
        *(if rust { &mut same } else { &mut different }) += 1;
    }
    // Both answers were given often, or nothing was asked.
    assert!(same.min(different) > pairs.len() / 20, "{same} the same, {different} not, of {}", pairs.len());

    // Beyond pairs: as many are taken as there are in Rust, and in the same order.
    let expected: Vec<&str> = texts.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(sqlite.sorted, expected);
    assert_eq!(postgres.sorted, expected);
}
