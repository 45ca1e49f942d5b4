//! The real parts that tests run against, as the environment names them. A missing one is a failure, never a skip.

/// What the environment says, or how to get it.
#[expect(clippy::disallowed_methods, reason = "the tests' one look at the environment")]
fn required(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `make test`, or `tools/with-servers cargo test`"))
}

/// A PostgreSQL server on which databases can be made.
pub fn postgres_url() -> String {
    required("ROSTER_TEST_POSTGRES_URL")
}

/// A NATS server with JetStream.
pub fn nats_url() -> String {
    required("ROSTER_TEST_NATS_URL")
}

/// The program that serves NATS, for tests that start and stop one of their own.
pub fn nats_server() -> String {
    required("ROSTER_TEST_NATS_SERVER")
}

/// The program Envoy.
pub fn envoy() -> String {
    required("ROSTER_TEST_ENVOY")
}

/// The program that validates OpenAPI documents.
pub fn openapi_validator() -> String {
    required("ROSTER_TEST_OPENAPI_VALIDATOR")
}

/// The program Schemathesis.
pub fn schemathesis() -> String {
    required("ROSTER_TEST_SCHEMATHESIS")
}

/// The program grpcurl.
pub fn grpcurl() -> String {
    required("ROSTER_TEST_GRPCURL")
}

/// PostgreSQL's program for backups.
pub fn pg_dump() -> String {
    required("ROSTER_TEST_PG_DUMP")
}

/// PostgreSQL's program that makes a database of such a backup.
pub fn pg_restore() -> String {
    required("ROSTER_TEST_PG_RESTORE")
}

/// A Python with the packages of `tools/requirements.txt`.
pub fn python() -> String {
    required("ROSTER_TEST_PYTHON")
}

/// The program buf.
pub fn buf() -> String {
    required("ROSTER_TEST_BUF")
}

/// The folder that `tools/setup` installs into.
pub fn tools() -> std::path::PathBuf {
    let bin = std::path::PathBuf::from(buf());
    bin.parent().and_then(std::path::Path::parent).expect("buf is in the folder bin of the tools").to_owned()
}

/// Where programs are found.
pub fn path() -> String {
    required("PATH")
}

/// The linter of Dockerfiles.
pub fn hadolint() -> String {
    required("ROSTER_TEST_HADOLINT")
}

/// The program of an older version, if there is one to be tried.
#[expect(clippy::disallowed_methods, reason = "the tests' one look at the environment")]
pub fn older_roster() -> Option<String> {
    std::env::var("ROSTER_TEST_OLDER_ROSTER").ok()
}

/// Whether the heavy counts are asked for (`make torture`).
#[expect(clippy::disallowed_methods, reason = "the tests' one look at the environment")]
pub fn torture() -> bool {
    std::env::var_os("ROSTER_TORTURE").is_some()
}

/// How much of something to do: a little in every run, all of it under `make torture`.
pub fn count(quick: usize, full: usize) -> usize {
    if torture() { full } else { quick }
}

/// What has the program wait for as long as it takes, but at full length: on a machine that is busy with other tests, how
/// long calls take is not what is looked for.
pub fn patience() -> &'static [(&'static str, &'static str)] {
    if torture() { &[] } else { &[("ROSTER_DATABASE__ACQUIRE_TIMEOUT", "2m"), ("ROSTER_SERVER__MAX_DEADLINE", "2m")] }
}

/// Lets this process have so many files and connections open.
pub fn allow_open_files(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    assert!(allowed >= count, "{count} files have to be open at a time, and `ulimit -Hn` allows {allowed}");
    if limit.current.is_some_and(|current| current < count) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(count), ..limit }).unwrap();
    }
}
