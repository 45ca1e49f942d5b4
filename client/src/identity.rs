//! Who calls, and for whom: what goes along with every call.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::HeaderMap;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tonic::Status;

/// The metadata that names the person a service calls for.
const ACTOR: &str = "roster-actor";

type Provided = Result<String, Box<dyn Error + Send + Sync>>;

/// Where the service's token comes from.
#[derive(Clone, Default)]
pub(crate) enum Token {
    /// Roster in development mode, or behind something that adds it.
    #[default]
    None,
    /// The same for ever.
    Fixed(String),
    /// Asked for with every attempt, for tokens that run out.
    Provided(Arc<dyn Fn() -> BoxFuture<'static, Provided> + Send + Sync>),
}

/// Never shows the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Fixed(_) => "Fixed(***)",
            Self::Provided(_) => "Provided",
        })
    }
}

/// Who calls, and for whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    pub(crate) token: Token,
    /// The person's id.
    pub(crate) user: Option<String>,
}

impl Identity {
    /// Puts it into the metadata of an attempt.
    pub(crate) async fn tell(&self, headers: &mut HeaderMap) -> Result<(), Status> {
        let token = match &self.token {
            Token::None => None,
            Token::Fixed(token) => Some(token.clone()),
            Token::Provided(provide) => Some(
                provide()
                    .await
                    .map_err(|why| Status::unauthenticated(format!("there is no token to call with: {why}")))?,
            ),
        };
        if let Some(token) = token {
            let refuse = |_| Status::invalid_argument("the token holds what cannot stand in metadata");
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(refuse)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(user) = &self.user {
            let refuse = |_| Status::invalid_argument("the user id holds what cannot stand in metadata");
            headers.insert(ACTOR, HeaderValue::try_from(format!("user:{user}")).map_err(refuse)?);
        }
        Ok(())
    }
}
