//! What the service says when it is up.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use super::Running;
use crate::config::{AuthMode, Config, MailTransportKind};

/// Says what is served and where data lies. In development mode also how to make the first calls, for whoever sits in
/// front of it, on standard output; the log is for machines.
pub(super) fn print(config: &Config, running: &Running) {
    let address = running.local_addr();
    let mode = match config.auth.mode {
        AuthMode::Development => "development",
        AuthMode::Credentials => "credentials",
    };
    let admin = running.admin_addr().map(tracing::field::display);
    let tls = config.server.tls.certificate_file.is_some();
    tracing::info!(%address, admin, tls, auth = mode, database = %config.database.url, "serving");
    if config.auth.mode == AuthMode::Development {
        // Nobody may be reading.
        let _ = write!(io::stdout(), "{}", text(config, address));
    }
}

fn text(config: &Config, address: SocketAddr) -> String {
    let mails = match config.mail.transport {
        MailTransportKind::File => format!("files in {}", config.mail.file.folder.display()),
        MailTransportKind::Smtp => format!("by SMTP through {}", config.mail.smtp.host),
    };
    let reflection = if config.server.reflection { ", with reflection" } else { "" };
    let connect = if config.server.tls.certificate_file.is_some() { "-insecure" } else { "-plaintext" };
    format!(
        r#"
Roster serves gRPC on {address}{reflection}.
  database   {database}
  mails      {mails}

  DEVELOPMENT MODE: there is no authentication. Whoever reaches this address may do everything,
  and is the service `dev`; the metadata `roster-actor: user:<id>` makes a call that of a person.
  The service listens on loopback only. For anything else set auth.mode = "credentials".

Try:
  grpcurl {connect} {address} list
  grpcurl {connect} -d '{{"userId":"me","email":"me@example.com"}}' {address} roster.v1.UserService/CreateUser
  grpcurl {connect} -d '{{"name":"My team","ownerUserId":"me"}}' {address} roster.v1.TeamService/CreateTeam

"#,
        database = config.database.url,
    )
}
