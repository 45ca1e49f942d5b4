//! What tests share: servers with a clock of their own, databases, callers, and how answers are looked at.

pub mod acts;
pub mod caller;
pub mod clock;
pub mod collector;
pub mod database;
pub mod envoy;
pub mod frames;
pub mod http;
pub mod issuer;
pub mod jwks;
pub mod log;
pub mod outcome;
pub mod parts;
pub mod pki;
pub mod process;
pub mod proxy;
pub mod reader;
pub mod replay;
pub mod rpc;
pub mod scene;
pub mod scrape;
pub mod server;
pub mod session;
pub mod sink;
pub mod storm;
pub mod write;

pub use caller::Caller;
pub use database::Db;
pub use outcome::Outcome;
pub use scene::Scene;
pub use server::TestServer;

/// Makes each test twice: on SQLite and on PostgreSQL.
///
/// ```ignore
/// both! {
///     async fn the_owner_stays(db: Db) { … }
/// }
/// ```
#[macro_export]
macro_rules! both {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident: Db) $body:block)+) => {
        $(
            $(#[$meta])*
            mod $name {
                use super::*;

                async fn test($db: Db) $body

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() {
                    test(Db::Sqlite).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() {
                    test(Db::Postgres).await;
                }
            }
        )+
    };
}
