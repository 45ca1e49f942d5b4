//! The HTTP gateway: a real Envoy with the configuration that is delivered, before a real server, called by plain HTTP.

mod contract;
mod failures;
mod story;

use serde_json::{Value, json};

use crate::support::{Db, TestServer, envoy::Envoy, http::Http};

/// A server, the gateway before it, and in it the team of Ada, with Bob and Carol who are in none.
struct Site {
    server: TestServer,
    envoy: Envoy,
    team: String,
}

impl Site {
    async fn new(db: Db) -> Self {
        let server = TestServer::start(db).await;
        let envoy = Envoy::before(server.address()).await;
        let http = envoy.http();
        for user in ["ada", "bob", "carol"] {
            let email = format!("{user}@example.com");
            http.post("/v1/users", json!({"userId": user, "email": email, "emailVerified": true})).await.done();
        }
        let team = http.post("/v1/teams", json!({"name": "Acme", "slug": "acme", "ownerUserId": "ada"})).await.done();
        Self { team: text(&team["team"]["id"]), server, envoy }
    }

    fn http(&self) -> Http {
        self.envoy.http()
    }

    /// A path below the team.
    fn at(&self, rest: &str) -> String {
        format!("/v1/teams/{}{rest}", self.team)
    }
}

/// What stands in a string.
#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).to_owned()
}
