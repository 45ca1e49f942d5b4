//! The composition root: the only place that knows every type, and how they are put together.

mod greeting;
mod migrate;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    application::{InvitationLimits, Queries, Store},
    config::{self, Config, KeyFileError, LinkKey, MailTransportKind, PublisherKind},
    domain::{Role, Roles, keyring::Keyring, link::Links},
    env::Env,
    events::{NatsPublisher, NatsSetupError, Publisher, Relay},
    grpc::{
        self,
        auth::Authenticator,
        call::Api,
        events::Events,
        health::Health,
        server::{self, Panics, Parts},
    },
    lifecycle::Shutdown,
    mail::{self, FileTransport, MailTransport, RenderSetupError, Renderer, SmtpSetupError, SmtpTransport},
    repository::{self, Database, schema},
    sweeper::Sweeper,
};

pub use migrate::{Migrate, migrate};

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
    /// The key that signs links cannot be read or made.
    #[error("cannot use the key that signs links")]
    Key(#[from] KeyFileError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
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
    shutdown: Shutdown,
    serving: JoinHandle<Result<(), Error>>,
}

/// Serves until a signal asks for the end.
pub async fn serve(config: Config) -> Result<(), Error> {
    let shutdown = Shutdown::default();
    let work = async {
        let running = App::start_with(config.clone(), Env::system(), shutdown.clone()).await?;
        greeting::print(&config, running.local_addr());
        running.wait().await
    };
    Box::pin(shutdown.on_signals(work)).await.map_err(Error::Signals)?
}

impl App {
    /// Starts the service. It takes calls once this returns.
    pub async fn start(config: Config, env: Env) -> Result<Running, Error> {
        // It holds the whole configuration: better on the heap than in every future around it.
        Box::pin(Self::start_with(config, env, Shutdown::default())).await
    }

    async fn start_with(config: Config, env: Env, shutdown: Shutdown) -> Result<Running, Error> {
        let address = config.server.listen;
        let refused = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;

        // Before anything is changed: a template that cannot be used stops the start.
        let renderer = Renderer::new(&config.mail)?;
        let database = Database::open(options(&config.database)).await?;
        if config.database.migrate_on_start {
            schema::up(&database).await?;
        } else if schema::status(&database).await?.iter().any(|(_, applied)| !applied) {
            return Err(Error::SchemaBehind);
        }
        let keys = keyring(&config.links.load_keys(&config.data_dir)?);
        let links = Arc::new(Links::new(keys.clone(), config.links.accept_url.as_url().clone()));
        let roles: Arc<Roles> = Arc::new(config.roles.iter().map(Role::from).collect());

        // Writes outlive the calls that asked for them; what works in the background outlives the writes.
        let (writes, background) = (TaskTracker::new(), TaskTracker::new());
        let stop_background = CancellationToken::new();
        let limits = Arc::new(invitation_limits(&config.limits));
        let store = Store::new(database.clone(), env.clone(), roles.clone(), limits, writes.clone());
        let relay = Relay {
            database: database.clone(),
            env: env.clone(),
            written: store.written(),
            publisher: publisher(&config).await?,
            settings: config.events.clone(),
            deleted_invitations: config.links.deleted_retention,
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
        };
        worker.start(&background, head.clone(), &stop_background);

        let sweeper = Sweeper { database: database.clone(), store: store.clone(), env: env.clone() };
        sweeper.start(&background, &stop_background);

        let health = Health::new().await?;
        let queries = Queries::new(&database, env.clone(), roles, links);
        let events = Events {
            api: Api { store, queries, keys },
            head,
            checkpoint_interval: config.events.checkpoint_interval,
            tasks: background.clone(),
        };
        let parts = Parts {
            authenticator: Authenticator::new(&config.auth),
            env,
            health: health.clone(),
            panics: Panics::default(),
            routes: grpc::routes(events),
            config: config.server.clone(),
        };
        // The schema has been looked at, so the database answers: no first call is turned away.
        health.set_ready(true).await;
        let ends = Ends { shutdown: shutdown.clone(), health, database, writes, background, stop_background };
        let serving = TaskTracker::new().spawn(ends.run(listener, parts, config.server.drain_delay));
        Ok(Running { address, shutdown, serving })
    }
}

impl Running {
    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
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
        self.database.close().await?;
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

/// The first key signs, the others still verify.
fn keyring(keys: &[LinkKey]) -> Keyring {
    let pairs: Vec<(u8, &[u8])> = keys.iter().map(|key| (key.id, key.secret.expose())).collect();
    match pairs.split_first() {
        Some((signing, retired)) => Keyring::new(*signing, retired),
        None => unreachable!("a key is made where none is configured"),
    }
}

async fn publisher(config: &Config) -> Result<Option<Box<dyn Publisher>>, Error> {
    Ok(match config.events.publisher {
        PublisherKind::None => None,
        PublisherKind::Nats => {
            Some(Box::new(NatsPublisher::new(&config.events.nats, &config.telemetry.service_name).await?))
        }
    })
}

fn transport(config: &config::Mail) -> Result<Box<dyn MailTransport>, Error> {
    Ok(match config.transport {
        MailTransportKind::File => Box::new(FileTransport::new(config.file.folder.clone())),
        MailTransportKind::Smtp => Box::new(SmtpTransport::new(&config.smtp)?),
    })
}
