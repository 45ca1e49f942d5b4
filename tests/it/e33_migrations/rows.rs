//! Many rows, as the first steps of the schema hold them.

use crate::support::Db;

/// How many members each team has.
pub const MEMBERS: usize = 5;
/// How many open invitations each team has.
pub const INVITATIONS: usize = 2;
/// How many events each team has.
const EVENTS: usize = 3;

/// What the service needs on PostgreSQL to be started.
pub const LINK_KEYS: (&str, &str) = (
    "ROSTER_LINKS__KEYS",
    "[{ id = 1, secret = \"abababababababababababababababababababababababababababababababab\" }]",
);

/// So many teams, and twice as many people, each of whom is in some of them.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    pub teams: usize,
}

impl Rows {
    /// How many rows each table has.
    pub fn counts(self) -> [(&'static str, i64); 6] {
        let of = |each: usize| i64::try_from(self.teams * each).unwrap();
        [
            ("teams", of(1)),
            ("users", of(2)),
            ("memberships", of(MEMBERS)),
            ("membership_roles", of(MEMBERS)),
            ("invitations", self.invitations()),
            ("events", of(EVENTS)),
        ]
    }

    pub fn invitations(self) -> i64 {
        i64::try_from(self.teams * INVITATIONS).unwrap()
    }

    /// How many rows there are.
    pub fn all(self) -> i64 {
        self.counts().iter().map(|(_, count)| count).sum()
    }

    /// The id of a team.
    pub fn team_id(number: usize) -> String {
        uuid::Uuid::from_u128(number as u128).to_string()
    }

    /// What makes them.
    pub fn statements(self, db: Db) -> Vec<String> {
        let teams = self.teams;
        let numbers = |count: usize| match db {
            Db::Postgres => format!("generate_series(0, {count} - 1) AS n(i)"),
            Db::Sqlite => format!(
                "(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) SELECT i FROM n) AS n"
            ),
        };
        let id = |number: &str, kind: u8| match db {
            Db::Postgres => format!("CAST('{kind:08x}' || lpad(to_hex({number}), 24, '0') AS uuid)"),
            Db::Sqlite => format!("unhex('{kind:08x}' || printf('%024x', {number}))"),
        };
        let team_text = |number: &str| match db {
            Db::Postgres => format!("CAST({} AS text)", id(number, 0)),
            Db::Sqlite => format!("'00000000-0000-0000-0000-' || printf('%012x', {number})"),
        };
        let bytes = if db == Db::Postgres { "''::bytea" } else { "x''" };
        let json = if db == Db::Postgres { "jsonb_build_object" } else { "json_object" };
        let list = if db == Db::Postgres { "'[\"member\"]'::jsonb" } else { "json('[\"member\"]')" };
        let time = "'2026-01-01T00:00:00+00:00'";
        let later = "'2036-01-01T00:00:00+00:00'";
        vec![
            format!(
                "INSERT INTO teams (id, root_id, name, labels, policy, version, changed, create_time, update_time) \
                 SELECT {id}, {id}, 'Team ' || i, '{{}}', '{{}}', {EVENTS}, 1, {time}, {time} FROM {from}",
                id = id("i", 0),
                from = numbers(teams),
            ),
            format!(
                "INSERT INTO users (id, email, email_verified, display_name, version, create_time, update_time) \
                 SELECT 'user-' || i, 'user-' || i || '@example.com', true, 'ÉMILE ' || i, 1, {time}, {time} FROM {}",
                numbers(2 * teams)
            ),
            // Number i is the member i % MEMBERS of team i / MEMBERS; its owner comes first.
            format!(
                "INSERT INTO memberships (team_id, user_id, source, join_time, changed) \
                 SELECT {team}, 'user-' || ((2 * (i / {MEMBERS}) + i % {MEMBERS}) % {people}), 'DIRECT', {time}, 1 FROM {from}",
                team = id(&format!("i / {MEMBERS}"), 0),
                people = 2 * teams,
                from = numbers(MEMBERS * teams),
            ),
            format!(
                "INSERT INTO membership_roles (team_id, user_id, role_id) \
                 SELECT {team}, 'user-' || ((2 * (i / {MEMBERS}) + i % {MEMBERS}) % {people}), \
                 CASE i % {MEMBERS} WHEN 0 THEN 'owner' ELSE 'member' END FROM {from}",
                team = id(&format!("i / {MEMBERS}"), 0),
                people = 2 * teams,
                from = numbers(MEMBERS * teams),
            ),
            format!(
                "INSERT INTO invitations (id, team_id, email, grants, state, link_version, message, metadata, \
                 create_time, expire_time, channel, delivery_state, delivery_attempts, send_count, changed) \
                 SELECT {id}, {team}, 'guest-' || i || '@example.com', {json}({key}, {list}), 'PENDING', 1, '', '{{}}', \
                 {time}, {later}, 'EMAIL', 'SENT', 1, 1, 1 FROM {from}",
                id = id("i", 1),
                team = id(&format!("i / {INVITATIONS}"), 0),
                key = team_text(&format!("i / {INVITATIONS}")),
                from = numbers(INVITATIONS * teams),
            ),
            format!(
                "INSERT INTO events (event_id, team_id, root_team_id, team_version, kind, payload, occur_time, position, \
                 publish_time) SELECT {id}, {team}, {team}, i % {EVENTS} + 1, 'team_updated', {bytes}, {time}, i + 1, {time} \
                 FROM {from}",
                id = id("i", 2),
                team = id(&format!("i / {EVENTS}"), 0),
                from = numbers(EVENTS * teams),
            ),
            format!("UPDATE event_sequence SET last_position = {}", EVENTS * teams),
        ]
    }
}
