//! The `smtp` transport: hands messages to a mail server.
//!
//! The protocol is lettre's; the pool is not. lettre puts a connection back after an attempt that was abandoned half-way,
//! for instance on a timeout, and the next message would then read the replies that were meant for this one. Here a
//! connection is taken out of the pool by value and goes back only after a message was accepted, so an abandoned attempt
//! closes it. lettre's `tracing` feature must stay off: it logs whole messages, which hold links.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, Certificate, TlsParameters},
    extension::ClientId,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Semaphore, time::timeout};

use super::{MailTransport, Rendered, SendError, reply};
use crate::config::{Smtp, SmtpSecurity};

/// How long a connection from the pool may take to show that it is still alive.
const LIVENESS: Duration = Duration::from_secs(5);

/// Sends messages through one mail server, over at most `pool_size` connections at a time. Connections stay open between
/// messages until the server closes them.
pub struct SmtpTransport {
    server: Server,
    /// One permit per connection that may be in use.
    permits: Semaphore,
    idle: Mutex<Vec<AsyncSmtpConnection>>,
    /// Limit of one attempt, from connecting to the final reply.
    limit: Duration,
}

/// Why the transport could not be set up. All of these are mistakes in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSetupError {
    /// The file of additional certificate authorities cannot be read.
    #[error("cannot read the certificate authorities in {}", path.display())]
    CaFile {
        /// The configured file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file holds no certificate, or one that cannot be used.
    #[error("{} holds no usable PEM certificate", path.display())]
    Certificate {
        /// The configured file.
        path: PathBuf,
    },
    /// TLS cannot be set up with these certificates.
    #[error("TLS cannot be set up")]
    Tls(#[source] Error),
}

impl SmtpTransport {
    /// A transport for the configured server. Reads the file of certificate authorities; connects only with the first
    /// message.
    ///
    /// # Errors
    ///
    /// [`SmtpSetupError`] when the certificate authorities cannot be used.
    pub fn new(settings: &Smtp) -> Result<Self, SmtpSetupError> {
        let connections = usize::try_from(settings.pool_size).unwrap_or(usize::MAX);
        Ok(Self {
            server: Server::new(settings)?,
            permits: Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)),
            idle: Mutex::new(Vec::new()),
            limit: settings.timeout,
        })
    }

    /// Connects and logs in as for a message, and hangs up.
    ///
    /// # Errors
    ///
    /// [`SendError`] with what the server or the way to it failed with.
    pub async fn reach(&self) -> Result<(), SendError> {
        let mut connection = self.limited(self.connection()).await?;
        // It has answered; what it says to the farewell changes nothing.
        let _ = timeout(LIVENESS, connection.quit()).await;
        Ok(())
    }

    async fn attempt(&self, message: &Rendered) -> Result<(), SendError> {
        let mut connection = self.connection().await?;
        connection.send(message.envelope(), &message.raw()).await.map_err(|error| reply::about_message(&error))?;
        // Nothing is awaited from here on: once accepted, a message must not be reported as timed out.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(())
    }

    /// A connection that answers: one from the pool, or else a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, SendError> {
        while let Some(mut idle) = self.take_idle() {
            if timeout(LIVENESS, idle.test_connected()).await == Ok(true) {
                return Ok(idle);
            }
        }
        self.server.connect().await.map_err(|error| reply::about_server(&error))
    }

    /// lettre limits connecting only; a server that stops answering would hold what waits for it for ever.
    async fn limited<T>(&self, work: impl Future<Output = Result<T, SendError>>) -> Result<T, SendError> {
        timeout(self.limit, work).await.unwrap_or_else(|_| {
            Err(SendError::transient(format!("the mail server did not answer within {:?}", self.limit)))
        })
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl MailTransport for SmtpTransport {
    fn send<'a>(&'a self, message: &'a Rendered) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let Ok(_permit) = self.permits.acquire().await else {
                return Err(SendError::transient("the mail transport is closed"));
            };
            self.limited(self.attempt(message)).await
        })
    }
}

/// Where the mail server is and how to be let in.
struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<(String, SecretString)>,
    /// Limit of connecting to one of the host's addresses, so short that a second address gets its turn.
    connect_limit: Duration,
}

enum Encryption {
    /// TLS from the first byte.
    Immediate(TlsParameters),
    /// STARTTLS before anything else; a server that does not offer it gets no mail.
    Upgrade(TlsParameters),
    None,
}

impl Server {
    fn new(settings: &Smtp) -> Result<Self, SmtpSetupError> {
        let parameters = || tls_parameters(&settings.host, settings.ca_file.as_deref());
        let encryption = match settings.security {
            SmtpSecurity::Tls => Encryption::Immediate(parameters()?),
            SmtpSecurity::StartTls => Encryption::Upgrade(parameters()?),
            SmtpSecurity::Plaintext => Encryption::None,
        };
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port,
            encryption,
            credentials: settings.username.clone().zip(settings.password.clone()),
            connect_limit: settings.timeout / 3,
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let name = ClientId::default();
        let immediate = match &self.encryption {
            Encryption::Immediate(tls) => Some(tls.clone()),
            Encryption::Upgrade(_) | Encryption::None => None,
        };
        let address = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.connect_limit), &name, immediate, None).await?;
        if let Encryption::Upgrade(tls) = &self.encryption {
            connection.starttls(tls.clone(), &name).await?;
        }
        if let Some((user, password)) = &self.credentials {
            let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }
}

/// TLS that trusts the system's certificate authorities and those in `ca_file`.
fn tls_parameters(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, SmtpSetupError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        builder = builder.add_root_certificate(read_certificates(path)?);
    }
    builder.build().map_err(SmtpSetupError::Tls)
}

fn read_certificates(path: &Path) -> Result<Certificate, SmtpSetupError> {
    let pem = fs::read(path).map_err(|source| SmtpSetupError::CaFile { path: path.to_owned(), source })?;
    // A file without any certificate would parse, as none at all.
    let named = String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----");
    match Certificate::from_pem(&pem) {
        Ok(certificate) if named => Ok(certificate),
        _ => Err(SmtpSetupError::Certificate { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
