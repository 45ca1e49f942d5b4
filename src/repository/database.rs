//! Connections: how each dialect is opened and what every session is set to.

use std::{fs::File, num::NonZero, path::Path, sync::Arc, time::Duration};

use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    IsolationLevel, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
    sqlx::{
        self, Executor as _, PgConnection, Row as _,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};

use super::{Error, Result, Tx};

/// Which database it is, and how to reach it.
#[derive(Clone)]
pub struct Options {
    /// `postgres://…` or `sqlite://PATH`. May hold a password.
    pub url: String,
    /// The most connections.
    pub max_connections: u32,
    /// How long to wait for a free connection.
    pub acquire_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
}

impl Options {
    /// How many connections read. What is read of a `SQLite` file is nearly always in memory, so that more than two for each
    /// core keep only each other, and the writer, from it.
    fn readers(&self) -> u32 {
        if is_postgres(&self.url) {
            return self.max_connections;
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        self.max_connections.min(u32::try_from(2 * cores).unwrap_or(u32::MAX))
    }
}

/// The database.
#[derive(Clone)]
pub struct Database {
    read: DatabaseConnection,
    write: DatabaseConnection,
    options: Arc<Options>,
    /// Held as long as the database is open, so that a second process does not open the same file.
    _lock: Option<Arc<File>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("dialect", &self.read.get_database_backend()).finish_non_exhaustive()
    }
}

/// How many connections a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Which pool.
    pub name: &'static str,
    /// Those that nobody uses.
    pub idle: u32,
    /// Those that somebody uses.
    pub used: u32,
    /// The most that there may be.
    pub max: u32,
}

impl Pool {
    fn new(name: &'static str, size: u32, idle: usize, max: u32) -> Self {
        let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(size);
        Self { name, idle, used: size - idle, max }
    }
}

/// A source for reads outside a transaction. Everything committed before the read began is in it.
#[derive(Debug, Clone)]
pub struct Reader(pub(super) DatabaseConnection);

impl Reader {
    /// Has several reads see the database as it is at one moment, that of the first of them.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        let postgres = self.0.get_database_backend() == DbBackend::Postgres;
        let options = TransactionOptions {
            isolation_level: postgres.then_some(IsolationLevel::RepeatableRead),
            access_mode: postgres.then_some(AccessMode::ReadOnly),
            sqlite_transaction_mode: Some(SqliteTransactionMode::Deferred),
        };
        // Dropped half-way it does no harm: nothing is written, SQLite rolls back what nobody waits for, and for
        // PostgreSQL the pool does.
        Ok(Snapshot(self.0.begin_with_options(options).await?))
    }
}

/// A source for reads that are all of one moment. See [`Reader::snapshot`].
#[derive(Debug)]
pub struct Snapshot(pub(super) DatabaseTransaction);

impl Snapshot {
    /// Gives the connection back.
    pub async fn end(self) -> Result<()> {
        Ok(self.0.rollback().await?)
    }
}

impl Database {
    /// Opens the database and checks that it answers. Creates the file and its folder for SQLite.
    pub async fn open(options: Options) -> Result<Self> {
        if is_postgres(&options.url) {
            let pool = connect(postgres(&options, options.max_connections)).await?;
            return Ok(Self { read: pool.clone(), write: pool, options: Arc::new(options), _lock: None });
        }
        let lock = lock_file(Path::new(path_of(&options.url)))?;
        // One writer: SQLite takes no second one, and queueing for a connection is fairer than retrying on "busy".
        let write = connect(sqlite(&options, 1, false)).await?;
        let read = connect(sqlite(&options, options.readers(), true)).await?;
        Ok(Self { read, write, options: Arc::new(options), _lock: Some(Arc::new(lock)) })
    }

    /// For reads outside a transaction.
    pub fn reader(&self) -> Reader {
        Reader(self.read.clone())
    }

    /// Begins a transaction that may write.
    ///
    /// Never let this future be dropped half-way: with sqlx 0.9.0 the session could go back to the pool inside an open
    /// transaction (sqlx #4385). Callers run it in a task that nothing cancels, and the pool rolls back what comes back.
    pub async fn begin(&self) -> Result<Tx> {
        let options = TransactionOptions {
            isolation_level: self.is_postgres().then_some(IsolationLevel::ReadCommitted),
            access_mode: None,
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        };
        Ok(Tx::new(self.write.begin_with_options(options).await?))
    }

    /// The connection that the schema is changed on.
    pub(super) fn writer(&self) -> &DatabaseConnection {
        &self.write
    }

    /// Whether it is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        is_postgres(&self.options.url)
    }

    /// A pool of one connection of its own, whose session no other work shares. PostgreSQL only.
    pub(super) async fn lone_session(&self) -> Result<DatabaseConnection> {
        let mut options = postgres(&self.options, 1);
        // What it holds goes with it, so that it is never replaced by another one for its age.
        options.idle_timeout(None).max_lifetime(None);
        connect(options).await
    }

    /// Tells how the connections are used, by the name of each pool. Asks nobody, so it may be called at any time; and does
    /// not hold the file, so it may outlive the database.
    pub fn pools(&self) -> impl Fn() -> Vec<Pool> + Send + Sync + 'static {
        let (read, write, max, postgres) =
            (self.read.clone(), self.write.clone(), self.options.readers(), self.is_postgres());
        move || {
            if postgres {
                let pool = read.get_postgres_connection_pool();
                return vec![Pool::new("main", pool.size(), pool.num_idle(), max)];
            }
            let (read, write) = (read.get_sqlite_connection_pool(), write.get_sqlite_connection_pool());
            vec![
                Pool::new("read", read.size(), read.num_idle(), max),
                Pool::new("write", write.size(), write.num_idle(), 1),
            ]
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        Ok(self.read.ping().await?)
    }

    /// Closes every connection.
    pub async fn close(self) -> Result<()> {
        self.read.close().await?;
        Ok(self.write.close().await?)
    }
}

async fn connect(options: ConnectOptions) -> Result<DatabaseConnection> {
    sea_orm::Database::connect(options).await.map_err(|error| match Error::from(error) {
        Error::Other(error) => Error::Unavailable(error),
        classified => classified,
    })
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn path_of(url: &str) -> &str {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    path.split_once('?').map_or(path, |(path, _)| path)
}

fn common(options: &Options, connections: u32) -> ConnectOptions {
    let mut connect = ConnectOptions::new(options.url.clone());
    connect
        .max_connections(connections)
        .acquire_timeout(options.acquire_timeout)
        // A ping before every use costs a third of the throughput; a dead connection shows itself soon enough.
        .test_before_acquire(false)
        // Statements are not logged: parameters hold addresses and other personal data.
        .sqlx_logging(false);
    connect
}

fn postgres(options: &Options, connections: u32) -> ConnectOptions {
    let statement_timeout = options.statement_timeout.as_millis().to_string();
    let mut connect = common(options, connections);
    connect
        .map_sqlx_postgres_opts(move |session| {
            session.application_name("roster").options([
                ("statement_timeout", statement_timeout.as_str()),
                ("lock_timeout", "3000"),
                ("idle_in_transaction_session_timeout", "10000"),
                // Silences the warning that the rollback below makes where there is nothing to roll back.
                ("client_min_messages", "error"),
            ])
        })
        .map_sqlx_postgres_pool_opts(|pool| {
            pool.after_connect(|session, _| Box::pin(refuse_read_only(session)))
                // The second half of the guard described at `Database::begin`: whatever happened, a session that goes
                // back to the pool is in no transaction.
                .after_release(|session, _| Box::pin(async move { session.execute("ROLLBACK").await.map(|_| true) }))
        });
    connect
}

/// While a failover is under way, an address may still lead to the server that has become a standby. A session there
/// would answer reads with what is old, refuse every write, and stay in the pool for half an hour.
async fn refuse_read_only(session: &mut PgConnection) -> sqlx::Result<()> {
    let row = session.fetch_one("SHOW transaction_read_only").await?;
    match row.try_get(0)? {
        "off" => Ok(()),
        _ => Err(sqlx::Error::Protocol("this PostgreSQL takes no writes: it is a standby".to_owned())),
    }
}

fn sqlite(options: &Options, connections: u32, read_only: bool) -> ConnectOptions {
    let mut connect = common(options, connections);
    connect.map_sqlx_sqlite_opts(move |session| {
        session
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was acknowledged survives a power failure.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .pragma("query_only", if read_only { "ON" } else { "OFF" })
    });
    connect
}

/// Copies a SQLite database as it is at one moment into a new file, also while a process works with it: it is only read,
/// and waits for nobody. What is there afterwards is whole, and on the disk.
pub async fn copy(url: &str, into: &Path) -> Result<()> {
    let refuse = |why: std::io::Error| Error::Unavailable(DbErr::Custom(format!("{}: {why}", into.display())));
    if into.exists() {
        return Err(refuse(std::io::ErrorKind::AlreadyExists.into()));
    }
    let folder = into.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // It holds what the database holds: nobody else may read it. What is half done goes with it.
    let part = tempfile::Builder::new().prefix(".roster-copy-").tempfile_in(folder).map_err(refuse)?;
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|session| session.read_only(true).busy_timeout(Duration::from_secs(5)));
    let session = connect(options).await?;
    let path = part.path().to_string_lossy();
    let copying = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [path.as_ref().into()]);
    let copied = session.execute_raw(copying).await;
    session.close().await?;
    copied?;
    part.as_file().sync_all().map_err(refuse)?;
    // A file that has come to be there meanwhile is left alone.
    part.persist_noclobber(into).map_err(|failure| refuse(failure.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(refuse)
}

/// Takes the lock beside the database file; the system releases it when the process ends, however it ends.
fn lock_file(database: &Path) -> Result<File> {
    let path = database.with_extension("lock");
    let refuse = |why: std::io::Error| Error::Unavailable(sea_orm::DbErr::Custom(format!("{}: {why}", path.display())));
    if let Some(folder) = database.parent() {
        std::fs::create_dir_all(folder).map_err(refuse)?;
    }
    let file = File::create(&path).map_err(refuse)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Locked(database.display().to_string())),
        Err(std::fs::TryLockError::Error(why)) => Err(refuse(why)),
    }
}
