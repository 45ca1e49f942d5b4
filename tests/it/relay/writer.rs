//! Writes events, without the service around them.

use std::sync::Arc;

use roster::{
    domain::{
        Actor, Cause, Change, Email, Event, EventId, Team, TeamId, TeamPolicy, User, Version,
        label::Labels,
        profile::Notifications,
        text::{DisplayName, TeamName},
        user::Profile,
    },
    env::Env,
    repository::{Database, Tx, events, sequence, teams},
};
use sea_orm::ConnectionTrait as _;
use tokio::sync::Notify;

use crate::support::{
    Db,
    database::{TestDatabase, open},
    server::eventually,
};

/// The trace that every event belongs to.
pub(super) const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A database, and a hand that writes into it.
pub(super) struct Writer {
    pub(super) env: Env,
    /// Signals every write.
    pub(super) written: Arc<Notify>,
    database: Database,
    shared: TestDatabase,
    db: Db,
}

impl Writer {
    pub(super) async fn new(db: Db) -> Self {
        let shared = TestDatabase::new(db).await;
        let database = open(&shared.url).await;
        Self { env: Env::system(), written: Arc::default(), database, shared, db }
    }

    /// The database as another instance opens it; SQLite has a single one.
    pub(super) async fn open(&self) -> Database {
        match self.db {
            Db::Sqlite => self.database.clone(),
            Db::Postgres => open(&self.shared.url).await,
        }
    }

    /// Writes the first event of a new team.
    pub(super) async fn create_team(&self) -> TeamId {
        let (id, now) = (TeamId(self.env.id()), self.env.now());
        let team = Team {
            id,
            ancestors: Vec::new(),
            name: TeamName::parse("acme").unwrap(),
            slug: None,
            labels: Labels::default(),
            policy: TeamPolicy::default(),
            version: Version(0),
            changed: Version(0),
            create_time: now,
            update_time: now,
            disable_time: None,
            disabled_by: None,
        };
        let mut tx = self.database.begin().await.unwrap();
        teams::insert(&mut tx, &team).await.unwrap();
        let slot = tx.next(id);
        tx.record(slot, Cause::Direct, Change::TeamCreated(team));
        self.commit(tx).await;
        id
    }

    /// Writes one more event of a team.
    pub(super) async fn change_team(&self, id: TeamId) {
        let mut tx = self.database.begin().await.unwrap();
        let team = teams::lock(&mut tx, id).await.unwrap().unwrap();
        let slot = tx.next(id);
        tx.record(slot, Cause::Direct, Change::TeamDeleted(team));
        self.commit(tx).await;
    }

    /// Writes the event of a new user.
    pub(super) async fn create_user(&self, id: &str) {
        let now = self.env.now();
        let user = User {
            id: id.parse().unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            email_verified: true,
            display_name: DisplayName::default(),
            version: Version(1),
            create_time: now,
            profile: Profile::default(),
            notifications: Notifications::default(),
            home: None,
            update_time: now,
        };
        let mut tx = self.database.begin().await.unwrap();
        let slot = tx.next_of_user(&user.id, Version(0));
        tx.record(slot, Cause::Direct, Change::UserCreated(user));
        self.commit(tx).await;
    }

    /// Waits until nothing is left to be published.
    pub(super) async fn all_published(&self) {
        let reader = self.database.reader();
        eventually("all events are marked", async || {
            // What has no position is not asked for; so that there is none is seen by giving none.
            let (given, _) = sequence::advance(&self.database, 1).await.unwrap();
            (given == 0 && events::unpublished(&reader, &[], 1).await.unwrap().is_empty()).then_some(())
        })
        .await;
    }

    /// Does what the documentation tells an operator to do when the stream lost its events.
    pub(super) async fn forget_published(&self) {
        let connection = sea_orm::Database::connect(&self.shared.url).await.unwrap();
        connection.execute_unprepared("UPDATE events SET publish_time = NULL").await.unwrap();
        connection.close().await.unwrap();
    }

    /// Ends the database session by which the leader leads. PostgreSQL only.
    pub(super) async fn depose_leader(&self) {
        let connection = sea_orm::Database::connect(&self.shared.url).await.unwrap();
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = \
                   (SELECT oid FROM pg_database WHERE datname = current_database())";
        connection.execute_unprepared(sql).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn commit(&self, mut tx: Tx) {
        tx.finish(|recorded| Event {
            id: EventId(self.env.id()),
            subject: recorded.subject,
            version: recorded.version,
            occur_time: self.env.now(),
            actor: Actor::System { name: "test".to_owned() },
            cause: recorded.cause,
            request_id: "request".to_owned(),
            traceparent: Some(TRACEPARENT.to_owned()),
            change: recorded.change,
        })
        .await
        .unwrap();
        tx.commit().await.unwrap();
        self.written.notify_one();
    }
}
