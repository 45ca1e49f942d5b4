//! The composition root: the only place that knows every type, and how they are put together.

mod check;
mod descriptors;
mod greeting;
mod migrate;
mod restore;

use std::{convert::Infallible, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    admin::{Admin, Port},
    application::{InvitationLimits, Queries, Store},
    callers::{self, Callers, Rates},
    config::{self, AuthMode, Config, KeyFileError, LinkKey, MailTransportKind, PublisherKind},
    domain::{Role, Roles, keyring::Keyring, link::Links},
    env::Env,
    events::{NatsPublisher, NatsSetupError, Publisher, Relay},
    grpc::{
        self,
        auth::Authenticator,
        call::Api,
        events::Events,
        health::Health,
        server::{self, Parts},
    },
    lifecycle::Shutdown,
    mail::{self, FileTransport, MailTransport, RenderSetupError, Renderer, SmtpSetupError, SmtpTransport},
    metrics::{self, Metrics},
    repository::{self, Database, schema},
    sweeper::Sweeper,
    telemetry::{self, Meters, Resource},
};

pub use check::{Reach, check};
pub use migrate::{Migrate, migrate};
pub use restore::{backup, restored};

/// How long the writes, and then the work in the background, may take to end once the last call has ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be used.
    #[error("cannot use the database")]
    Database(#[from] repository::Error),
    /// The schema lacks steps, and the configuration says not to apply them.
    #[error("the database lacks steps of the schema: run `roster migrate up`, or set database.migrate_on_start")]
    SchemaBehind,
    /// Steps of the schema are not taken back.
    #[error("the schema stays as it is")]
    Down(#[from] schema::DownError),
    /// PostgreSQL has tools of its own for backups.
    #[error("`roster backup` is for SQLite: back up PostgreSQL with pg_dump or a base backup")]
    BackupOfPostgres,
    /// There is no database.
    #[error("there is no database at {}", .0.display())]
    NothingToBackUp(PathBuf),
    /// The key that signs links cannot be read or made.
    #[error("cannot use the key that signs links")]
    Key(#[from] KeyFileError),
    /// What callers and connections are checked with cannot be used.
    #[error(transparent)]
    Callers(#[from] callers::Unusable),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The address for those who look after the service cannot be listened on.
    #[error("cannot listen on {address}, the value of telemetry.admin_listen")]
    AdminListen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Nothing can be measured.
    #[error("cannot measure")]
    Telemetry(#[from] telemetry::Error),
    /// Mails cannot be written.
    #[error("cannot write mails")]
    Mail(#[from] RenderSetupError),
    /// Mails cannot be sent.
    #[error("cannot use the mail server")]
    Smtp(#[from] SmtpSetupError),
    /// Events cannot be published.
    #[error("cannot publish events")]
    Nats(#[from] NatsSetupError),
    /// The gRPC server failed.
    #[error("cannot serve")]
    Server(#[from] server::Error),
    /// Signals cannot be listened to.
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
    /// Something that works in the background has ended; the log says why.
    #[error("something that the service cannot do without has ended")]
    Broken,
    /// The server stopped in a way that it never should.
    #[error("the server stopped unexpectedly")]
    Stopped(#[from] tokio::task::JoinError),
}

impl From<prost_reflect::DescriptorError> for Error {
    fn from(error: prost_reflect::DescriptorError) -> Self {
        Self::Server(error.into())
    }
}

/// The service, ready to be started.
#[derive(Debug)]
pub struct App;

/// The running service.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    shutdown: Shutdown,
    serving: JoinHandle<Result<(), Error>>,
}

/// Serves until a signal asks for the end, and reports as `resource`.
pub async fn serve(config: Config, resource: &Resource) -> Result<(), Error> {
    descriptors::raise(&config);
    let shutdown = Shutdown::default();
    let work = async {
        let running = App::start_with(config.clone(), Env::system(), resource, shutdown.clone()).await?;
        greeting::print(&config, &running);
        running.wait().await
    };
    Box::pin(shutdown.on_signals(work)).await.map_err(Error::Signals)?
}

impl App {
    /// Starts the service. It takes calls once this returns.
    pub async fn start(config: Config, env: Env) -> Result<Running, Error> {
        let resource = telemetry::resource(&config.telemetry)?;
        // It holds the whole configuration: better on the heap than in every future around it.
        Box::pin(Self::start_with(config, env, &resource, Shutdown::default())).await
    }

    async fn start_with(config: Config, env: Env, resource: &Resource, shutdown: Shutdown) -> Result<Running, Error> {
        let address = config.server.listen;
        let refused = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let health = Health::new().await?;
        let meters = Meters::new(&config.telemetry, resource)?;
        // Before the database is: it may take its time, and the process is alive meanwhile.
        let (admin_address, admin) = admin(config.telemetry.admin_listen, &health, &meters).await?.unzip();

        // Before anything is changed: a template that cannot be used stops the start.
        let renderer = Renderer::new(&config.mail)?;
        let database = Database::open(options(&config.database)).await?;
        if config.database.migrate_on_start {
            schema::up(&database).await?;
        } else if schema::status(&database).await?.iter().any(|(_, step)| *step == schema::Step::Pending) {
            return Err(Error::SchemaBehind);
        }
        let keys = keyring(&config.links.load_keys(&config.data_dir)?);
        let links = Arc::new(Links::new(keys.clone(), config.links.accept_url.as_url().clone()));
        let roles: Arc<Roles> = Arc::new(config.roles.iter().map(Role::from).collect());

        // Writes outlive the calls that asked for them; what works in the background outlives the writes.
        let (writes, background) = (TaskTracker::new(), TaskTracker::new());
        let stop_background = CancellationToken::new();
        let started = Callers::start(&config.auth, &config.server, &env, &background, &stop_background)?;
        let limits = Arc::new(invitation_limits(&config.limits));
        let metrics = measure(&meters, &health, &database);
        let store = Store::new(database.clone(), env.clone(), roles.clone(), limits, writes.clone(), metrics.clone());
        let relay = Relay {
            database: database.clone(),
            env: env.clone(),
            written: store.written(),
            publisher: publisher(&config, &metrics).await?,
            settings: config.events.clone(),
            deleted_invitations: config.links.deleted_retention,
            metrics: metrics.clone(),
        };
        let head = relay.start(&background, &stop_background);
        let worker = mail::Worker {
            database: database.clone(),
            store: store.clone(),
            env: env.clone(),
            letters: mail::Letters { reader: database.reader(), roles: roles.clone(), links: links.clone() },
            renderer,
            transport: transport(&config.mail)?,
            settings: mail::Settings {
                poll_interval: config.mail.poll_interval,
                max_attempts: config.mail.max_attempts,
                attempt_timeout: config.mail.attempt_timeout,
            },
            metrics: metrics.clone(),
        };
        worker.start(&background, head.clone(), &stop_background);

        let sweeper = Sweeper { database: database.clone(), store: store.clone(), env: env.clone() };
        sweeper.start(&background, &stop_background);

        let queries = Queries::new(&database, env.clone(), roles, links, metrics.clone());
        let events = Events {
            api: Api { store, queries, keys },
            head,
            checkpoint_interval: config.events.checkpoint_interval,
            tasks: background.clone(),
            metrics: metrics.clone(),
        };
        let parts = Parts {
            tls: started.tls,
            authenticator: match config.auth.mode {
                AuthMode::Development => Authenticator::Development,
                AuthMode::Credentials => Authenticator::Credentials(started.callers),
            },
            rates: config.limits.calls_per_caller.limit().map(Rates::new),
            env,
            health: health.clone(),
            metrics,
            routes: grpc::routes(events),
            max_writes: config.max_writes(),
            config: config.server.clone(),
        };
        // The schema has been looked at, so the database answers: no first call is turned away.
        health.set_ready(true).await;
        let shared = shutdown.clone();
        let ends =
            Ends { shutdown: shared, health, database, writes, background, stop_background, meters, _admin: admin };
        let serving = TaskTracker::new().spawn(ends.run(listener, parts, config.server.drain_delay));
        Ok(Running { address, admin_address, shutdown, serving })
    }
}

impl Running {
    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The address for those who look after the service, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Asks for the end, as SIGTERM does, and waits for it.
    pub async fn shutdown(self) -> Result<(), Error> {
        self.shutdown.request();
        self.wait().await
    }

    /// Waits for the end.
    pub async fn wait(self) -> Result<(), Error> {
        self.serving.await?
    }
}

/// What has to come to an end, and in which order.
struct Ends {
    shutdown: Shutdown,
    health: Health,
    database: Database,
    writes: TaskTracker,
    background: TaskTracker,
    stop_background: CancellationToken,
    meters: Meters,
    /// Answers to the last.
    _admin: Option<AbortOnDropHandle<Infallible>>,
}

impl Ends {
    async fn run(self, listener: TcpListener, parts: Parts, drain_delay: Duration) -> Result<(), Error> {
        let served = tokio::select! {
            served = server::serve(listener, parts, self.shutdown.draining().clone()) => served,
            never = self.accompany(drain_delay) => match never {},
        };
        let broken = self.stop_background.is_cancelled();
        // A write goes on when its call was cut off, and its events want to be published.
        end_of("writes", &self.writes).await;
        self.stop_background.cancel();
        end_of("background", &self.background).await;
        let closed = self.database.close().await;
        self.meters.shutdown().await;
        closed?;
        served?;
        if broken { Err(Error::Broken) } else { Ok(()) }
    }

    /// Keeps health in step while the server serves, and asks for the end when something essential has ended.
    async fn accompany(&self, drain_delay: Duration) -> Infallible {
        let ping = || self.database.ping();
        let lookout = async {
            self.stop_background.cancelled().await;
            tracing::error!("something that works in the background has ended: stopping");
            self.shutdown.request();
        };
        tokio::join!(
            self.shutdown.conduct(drain_delay, self.health.stop()),
            self.health.follow(ping, self.stop_background.clone()),
            lookout,
        );
        std::future::pending().await
    }
}

/// Waits for tasks, but not for ever.
async fn end_of(what: &str, tasks: &TaskTracker) {
    tasks.close();
    if tokio::time::timeout(PATIENCE, tasks.wait()).await.is_err() {
        tracing::warn!(what, "stopping although not everything has come to its end");
    }
}

fn options(config: &config::Database) -> repository::database::Options {
    repository::database::Options {
        url: config.url.expose().to_owned(),
        max_connections: config.max_connections,
        acquire_timeout: config.acquire_timeout,
        statement_timeout: config.statement_timeout,
    }
}

fn invitation_limits(config: &config::Limits) -> InvitationLimits {
    InvitationLimits {
        per_inviter: config.invitations_per_inviter.limit(),
        per_team: config.invitations_per_team.limit(),
        per_recipient: config.invitations_per_recipient.limit(),
    }
}

/// Opens the port for those who look after the service, if there is to be one.
async fn admin(
    listen: Option<SocketAddr>,
    health: &Health,
    meters: &Meters,
) -> Result<Option<(SocketAddr, AbortOnDropHandle<Infallible>)>, Error> {
    let Some(address) = listen else { return Ok(None) };
    let port = Port::open(address).await.map_err(|source| Error::AdminListen { address, source })?;
    let (address, admin) = (port.address(), Admin { ready: health.ready(), meters: meters.clone() });
    Ok(Some((address, AbortOnDropHandle::new(TaskTracker::new().spawn(port.serve(admin))))))
}

/// Everything that is measured.
fn measure(meters: &Meters, health: &Health, database: &Database) -> Metrics {
    let (meter, ready, pools) = (meters.meter(), health.ready(), database.pools());
    metrics::watch_readiness(&meter, move || *ready.borrow());
    metrics::watch_pools(&meter, move || {
        let pools = pools().into_iter();
        pools.map(|pool| metrics::Pool { name: pool.name, idle: pool.idle, used: pool.used, max: pool.max }).collect()
    });
    Metrics::new(&meter)
}

/// The first key signs, the others still verify.
fn keyring(keys: &[LinkKey]) -> Keyring {
    let pairs: Vec<(u8, &[u8])> = keys.iter().map(|key| (key.id, key.secret.expose())).collect();
    match pairs.split_first() {
        Some((signing, retired)) => Keyring::new(*signing, retired),
        None => unreachable!("a key is made where none is configured"),
    }
}

async fn publisher(config: &Config, metrics: &Metrics) -> Result<Option<Box<dyn Publisher>>, Error> {
    Ok(match config.events.publisher {
        PublisherKind::None => None,
        PublisherKind::Nats => {
            let source = &config.telemetry.service_name;
            Some(Box::new(NatsPublisher::new(&config.events.nats, source, metrics.clone()).await?))
        }
    })
}

fn transport(config: &config::Mail) -> Result<Box<dyn MailTransport>, Error> {
    Ok(match config.transport {
        MailTransportKind::File => Box::new(FileTransport::new(config.file.folder.clone())),
        MailTransportKind::Smtp => Box::new(SmtpTransport::new(&config.smtp)?),
    })
}
