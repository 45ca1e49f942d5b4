//! The command `roster`: reads the command line and the configuration, and calls the library. Nothing else is here.

mod cli;

use std::error::Error;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use roster::app;
use roster::causes::causes;
use roster::config::{self, Config, TokenDigest};
use roster::gateway;
use roster::grpc::healthcheck::{self, Trust};
use roster::telemetry;
use secrecy::ExposeSecret as _;

use cli::{Cli, Command, ConfigCommand};

/// How long a server may take to say whether it is well.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// Measured against the one of the C library: see docs/adr/0047.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(failure) => {
            report(&*failure);
            // As for a mistake in the command line: nothing was done, and trying again is no use.
            if failure.is::<config::Error>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let file = cli.config.as_deref();
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => {
            let config = Config::load(file)?;
            let resource = telemetry::resource(&config.telemetry)?;
            let telemetry = config.telemetry.clone();
            with_telemetry(&telemetry, &resource, async {
                // All of it at once, and before anything is touched.
                check(&config, app::Reach::Files).await?;
                Ok(app::serve(config, &resource).await?)
            })?;
        }
        Command::Migrate(migrate) => {
            let config = Config::load(file)?;
            print_report(&config.telemetry, app::migrate(&config, migrate.into()))?;
        }
        Command::Backup { file: into } => {
            let config = Config::load(file)?;
            print_report(&config.telemetry, app::backup(&config, &into))?;
        }
        Command::Restored => {
            let config = Config::load(file)?;
            print_report(&config.telemetry, app::restored(&config))?;
        }
        Command::Healthcheck { endpoint, ca_file, live } => return check_health(file, endpoint, ca_file, live),
        Command::Config { what: None } => print(Config::load(file)?.to_toml()?.trim_end())?,
        Command::Config { what: Some(ConfigCommand::Check { connect }) } => check_config(file, connect)?,
        Command::Config { what: Some(ConfigCommand::Reference) } => print(config::reference().trim_end())?,
        Command::Descriptor { output } => return write_descriptors(output.as_deref()),
        Command::Openapi => print(&gateway::openapi()?)?,
        Command::Token { name } => print(&token(&name)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl From<cli::Migrate> for app::Migrate {
    fn from(migrate: cli::Migrate) -> Self {
        match migrate {
            cli::Migrate::Up => Self::Up,
            cli::Migrate::Down { steps } => Self::Down { steps },
            cli::Migrate::Status => Self::Status,
        }
    }
}

/// Does what can be done in a moment, and prints what it tells.
fn print_report(
    config: &config::Telemetry,
    work: impl Future<Output = Result<String, app::Error>>,
) -> Result<(), Failure> {
    let resource = telemetry::resource(config)?;
    let report = with_telemetry(config, &resource, async { Ok(work.await?) })?;
    Ok(print(report.trim_end())?)
}

/// Runs `work`, with logs and traces from its first step to its last.
fn with_telemetry<T>(
    config: &config::Telemetry,
    resource: &telemetry::Resource,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    on_runtime(async {
        let guard = telemetry::init(config, resource)?;
        let result = work.await;
        guard.shutdown().await;
        result
    })
}

fn on_runtime<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // The work has ended in order; a blocking call that hangs must not hold up the process.
    runtime.shutdown_background();
    result
}

fn check_health(
    file: Option<&Path>,
    endpoint: Option<String>,
    ca_file: Option<PathBuf>,
    live: bool,
) -> Result<ExitCode, Failure> {
    let (endpoint, trust) = if let Some(endpoint) = endpoint {
        (endpoint, ca_file.map_or(Trust::System, Trust::Authorities))
    } else {
        let server = Config::load(file)?.server;
        let scheme = if server.tls.certificate_file.is_some() { "https" } else { "http" };
        (format!("{scheme}://{}", reachable(server.listen)), Trust::Anybody)
    };
    let service = if live { healthcheck::LIVE } else { healthcheck::READY };
    let serving = on_runtime(async { Ok(healthcheck::check(&endpoint, &trust, service, HEALTH_TIMEOUT).await?) })?;
    print(if serving { "SERVING" } else { "NOT_SERVING" })?;
    Ok(if serving { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_config(file: Option<&Path>, connect: bool) -> Result<(), Failure> {
    let config = Config::load(file)?;
    let reach = if connect { app::Reach::Servers } else { app::Reach::Files };
    on_runtime(check(&config, reach))?;
    Ok(print("ok")?)
}

/// Fails with all that is wrong with what the configuration names.
async fn check(config: &Config, reach: app::Reach) -> Result<(), Failure> {
    let problems = app::check(config, reach).await;
    if problems.as_slice().is_empty() { Ok(()) } else { Err(config::Error::Invalid(problems).into()) }
}

/// Writes bytes that no terminal can show.
fn write_descriptors(output: Option<&Path>) -> Result<ExitCode, Failure> {
    if let Some(path) = output {
        std::fs::write(path, gateway::descriptor_set()?)
            .map_err(|why| format!("cannot write {}: {why}", path.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if io::stdout().is_terminal() {
        report(&*Failure::from("the descriptors are binary: send them to a file, `roster descriptor > roster.binpb`"));
        return Ok(ExitCode::from(2));
    }
    io::stdout().write_all(&gateway::descriptor_set()?)?;
    Ok(ExitCode::SUCCESS)
}

/// An address to connect to for one to listen on: `0.0.0.0` means every address, and so also loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

fn token(name: &str) -> Result<String, Failure> {
    let token = config::new_service_token()?;
    let token = token.expose_secret();
    Ok(format!(
        "{token}\n\n\
         # The token above cannot be shown again. This admits its bearer:\n\
         [[auth.tokens]]\n\
         name = {name:?}\n\
         sha256 = \"{}\"\n\
         scopes = [\"roster.teams.read\", \"roster.members.read\"] # or [\"roster.*\"]\n\
         act_for_users = false",
        TokenDigest::of(token)
    ))
}

/// Prints to standard output. That nobody reads on (`roster config | head`) is no failure.
fn print(text: &str) -> Result<(), io::Error> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Tells people what failed, and why, down to the first cause.
fn report(failure: &(dyn Error + 'static)) {
    let mut text = format!("error: {failure}");
    for why in causes(failure) {
        text = format!("{text}\n  because {why}");
    }
    // Where standard error is closed, only the exit status is left to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
