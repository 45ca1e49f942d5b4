//! How many files and connections this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// What the process needs beside connections: files, listeners, the mail server, the broker, the collector.
const REST: u64 = 64;

/// Asks for as many as the system allows: the usual soft limit of 1024 is there for programs that cannot count further.
/// Says so where that is less than the configuration asks for.
pub(super) fn raise(config: &Config) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, ..limit };
    // Refused, it stays as it was.
    let _ = setrlimit(Resource::Nofile, wanted);
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = config.server.max_connections as u64 + u64::from(config.database.max_connections) + REST;
    if allowed < needed {
        tracing::warn!(allowed, needed, "fewer connections can be open than server.max_connections: raise `ulimit -n`");
    }
}
