//! The command line: what can be asked of `roster`, and how that is explained.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use roster::config::{InvalidText, ServiceToken};

const EXAMPLES: &str = "\
Examples:
  roster                                  serve with the defaults: SQLite and mail under ./data
  roster --config /etc/roster.toml        serve with a configuration file
  ROSTER_SERVER__LISTEN=127.0.0.1:6000 roster
  roster config                           show what is in force
  roster config check                     say what is wrong with it
  roster migrate status                   show which migrations are applied

Exit status: 0 success, 1 failure, 2 a mistake in the command line or the configuration.";

/// Owns who is in which team, with which role, and who has been invited.
#[derive(Debug, Parser)]
#[command(name = "roster", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Configuration file (TOML). Environment variables `ROSTER_SECTION__KEY` win over it.
    #[arg(long, global = true, env = "ROSTER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the gRPC API until SIGTERM or Ctrl-C (the default).
    Serve,
    /// Bring the database's schema up or down, or say where it stands.
    #[command(subcommand)]
    Migrate(Migrate),
    /// Copy the SQLite database into a new file, also while it is served.
    #[command(after_help = "\
The copy is the database as it was at one moment. To restore it, stop the server, put the copy in the place of the
database, remove what lies beside that and ends in -wal and -shm, and run `roster restored` before you start again.
For PostgreSQL use pg_dump or a base backup.")]
    Backup {
        /// The file to make. There must be none yet.
        file: PathBuf,
    },
    /// After a restore to an earlier state: make every cursor given before end with `CURSOR_EXPIRED`.
    #[command(long_about = "\
After a restore to an earlier state: make every cursor given before end with CURSOR_EXPIRED.

Consumers of events have seen changes that are undone now. Run this once, with no server running, after the
database was restored and before it is served again. Whoever reads events is then told to read everything anew,
and does not take new events for those that they know.")]
    Restored,
    /// Ask a running server for its health. Exit status 0 only if it is SERVING.
    #[command(after_help = "\
Examples:
  roster healthcheck
  roster healthcheck --live --endpoint http://127.0.0.1:50051
  roster healthcheck --endpoint https://roster.internal:50051 --ca-file /etc/roster/ca.pem")]
    Healthcheck {
        /// The server. Without it, the one that the configuration describes, on this machine; with `server.tls` it is asked
        /// over TLS, whatever names are in its certificate.
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
        /// Certificate authorities (PEM) to trust for an https endpoint, in place of the system's.
        #[arg(long, value_name = "FILE", requires = "endpoint")]
        ca_file: Option<PathBuf>,
        /// Ask whether the process lives, not whether it takes calls.
        #[arg(long)]
        live: bool,
    },
    /// Print the effective configuration as TOML, secrets masked; or check it, or explain every key.
    Config {
        #[command(subcommand)]
        what: Option<ConfigCommand>,
    },
    /// Write the API's descriptors, binary: what an HTTP gateway is configured with.
    #[command(after_help = "\
Examples:
  roster descriptor > roster.binpb
  roster descriptor --output /var/lib/envoy/roster.binpb")]
    Descriptor {
        /// The file to write, for where no shell sends it to one. Without it, standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the API as an OpenAPI 3.1 document: what an HTTP gateway offers.
    Openapi,
    /// Make a service token, and the configuration that admits its bearer.
    #[command(
        long_about = "\
Make a service token, and the configuration that admits its bearer.

The token is the first line. It is random and kept nowhere: give it to the service, which sends it as
`authorization: Bearer <token>`. The configuration holds only its hash.",
        after_help = "\
Examples:
  roster token --name billing
  roster token --name web | head -1"
    )]
    Token {
        /// The service's name.
        #[arg(long, default_value = "my-service", value_parser = service_name)]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say everything that is wrong with the configuration, or `ok`. Starts nothing and makes nothing.
    #[command(
        long_about = "\
Say everything that is wrong with the configuration, or `ok`. Starts nothing and makes nothing.

First every key is looked at, then the files and folders that are named: mail templates, certificates, keys,
credentials. Exit status 2 if anything is wrong.",
        after_help = "\
Examples:
  roster --config /etc/roster.toml config check
  roster config check --connect"
    )]
    Check {
        /// Also see whether PostgreSQL, NATS and the mail server answer and let this service in.
        #[arg(long)]
        connect: bool,
    },
    /// Print a page of every key with its variable, its default and its meaning, as Markdown.
    Reference,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    /// Apply the missing migrations. Harmless when there are none, and when several do it at once.
    Up,
    /// Revert the latest migrations. What they added is lost, with the data in it.
    Down {
        /// How many.
        #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
    },
    /// List the migrations, applied and missing.
    Status,
}

fn service_name(text: &str) -> Result<String, InvalidText> {
    ServiceToken::check_name(text).map(|()| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_file_can_be_named_after_the_command() {
        let cli = Cli::try_parse_from(["roster", "migrate", "down", "--steps", "2", "--config", "r.toml"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Migrate(Migrate::Down { steps: 2 }))));
        assert_eq!(cli.config, Some("r.toml".into()));
    }
}
