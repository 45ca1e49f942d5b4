//! Who calls: credentials in the metadata, and the [`Principal`] that they show.
//!
//! What the principal may do is checked where the answer is known: whether a service may make a call at all in
//! `layers::authenticate`, what a person may do in a team in `application::authorize`.

use std::{collections::HashMap, sync::Arc};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::status::EdgeError;
use crate::{
    config::{Auth, AuthMode, TokenDigest},
    domain::{Principal, UserId, actor::Caller, permission::Scopes},
};

/// The metadata that names the person a service acts for.
const ACTOR: &str = "roster-actor";

/// The name of every caller in development mode.
const DEVELOPER: &str = "dev";

/// Finds out who calls.
#[derive(Debug, Clone)]
pub struct Authenticator(Arc<Mode>);

#[derive(Debug)]
enum Mode {
    /// Everybody is the service `dev`.
    Development,
    /// Services by the digests of their tokens.
    ///
    /// The look-up compares digests and may take a time that depends on them: it tells at the most a digest, and a token
    /// cannot be made from its digest.
    Tokens(HashMap<TokenDigest, Service>),
}

/// A service that may call.
#[derive(Debug)]
struct Service {
    name: String,
    scopes: Scopes,
    act_for_users: bool,
}

impl Authenticator {
    /// As configured.
    pub fn new(config: &Auth) -> Self {
        Self(Arc::new(match config.mode {
            AuthMode::Development => Mode::Development,
            AuthMode::Tokens => Mode::Tokens(
                config
                    .tokens
                    .iter()
                    .map(|token| {
                        let scopes = token.scopes.iter().cloned().collect();
                        let (name, act_for_users) = (token.name.clone(), token.act_for_users);
                        (token.sha256, Service { name, scopes, act_for_users })
                    })
                    .collect(),
            ),
        }))
    }

    /// Who calls with this metadata.
    pub(super) fn authenticate(&self, metadata: &HeaderMap) -> Result<Principal, EdgeError> {
        match &*self.0 {
            Mode::Development => {
                // Whoever sends credentials expects them to be checked, which nobody does here.
                if metadata.contains_key(AUTHORIZATION) {
                    return Err(EdgeError::CredentialsUnexpected);
                }
                let caller = Caller::Service(DEVELOPER.to_owned());
                Ok(Principal { caller, scopes: Scopes::all(), person: actor(metadata)? })
            }
            Mode::Tokens(services) => {
                let service = services.get(&digest(metadata)?).ok_or(EdgeError::CredentialsInvalid)?;
                let person = actor(metadata)?;
                if person.is_some() && !service.act_for_users {
                    return Err(EdgeError::MayNotAct);
                }
                let caller = Caller::Service(service.name.clone());
                Ok(Principal { caller, scopes: service.scopes.clone(), person })
            }
        }
    }
}

/// The digest of the bearer token.
fn digest(metadata: &HeaderMap) -> Result<TokenDigest, EdgeError> {
    let value = single(metadata, AUTHORIZATION.as_str()).map_err(|Many| EdgeError::CredentialsInvalid)?;
    let value = value.ok_or(EdgeError::CredentialsMissing)?;
    let token = value.to_str().ok().and_then(|text| text.split_once(' '));
    match token {
        // The scheme's case does not matter (RFC 9110, 11.1).
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(TokenDigest::of(token)),
        _ => Err(EdgeError::CredentialsInvalid),
    }
}

/// The person a service acts for.
fn actor(metadata: &HeaderMap) -> Result<Option<UserId>, EdgeError> {
    let invalid = |why: &str| EdgeError::InvalidFields(vec![(ACTOR.to_owned(), why.to_owned())]);
    let Some(value) = single(metadata, ACTOR).map_err(|Many| invalid("must be given once"))? else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.strip_prefix("user:"));
    let id = id.ok_or_else(|| invalid("must be user: and a user's id"))?;
    id.parse().map(Some).map_err(|why: crate::domain::Invalid| invalid(&why.to_string()))
}

/// There is more than one value where there may be one.
struct Many;

/// The only value of a header, if it is there.
fn single<'a>(metadata: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, Many> {
    let mut values = metadata.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Many),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::ServiceToken, domain::PermissionPattern};

    fn tokens() -> Authenticator {
        let token = |name: &str, act_for_users| ServiceToken {
            name: name.to_owned(),
            sha256: TokenDigest::of(&format!("rst_{name}")),
            scopes: vec![PermissionPattern::parse("roster.teams.*").unwrap()],
            act_for_users,
        };
        Authenticator::new(&Auth { mode: AuthMode::Tokens, tokens: vec![token("shop", true), token("audit", false)] })
    }

    fn ask(authenticator: &Authenticator, metadata: &[(&'static str, &str)]) -> Result<Principal, EdgeError> {
        let pair = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in metadata.iter().map(pair) {
            map.append(name, value);
        }
        authenticator.authenticate(&map)
    }

    fn user(id: &str) -> UserId {
        id.parse().unwrap()
    }

    #[test]
    fn a_token_is_its_service() {
        let shop = ask(&tokens(), &[("authorization", "Bearer rst_shop")]).unwrap();
        assert_eq!((shop.caller.name(), &shop.person), ("shop", &None));
        assert!(shop.scopes.cover("roster.teams.read") && !shop.scopes.cover("roster.members.read"));
        let acting = ask(&tokens(), &[("authorization", "bearer rst_shop"), ("roster-actor", "user:ada")]).unwrap();
        assert_eq!(acting.person, Some(user("ada")));
    }

    #[test]
    fn without_a_known_token_nobody_gets_in() {
        assert_eq!(ask(&tokens(), &[]), Err(EdgeError::CredentialsMissing));
        for bad in ["", "Bearer", "Bearer ", "Bearer rst_sho", "Bearer  rst_shop", "Basic rst_shop", "rst_shop"] {
            assert_eq!(ask(&tokens(), &[("authorization", bad)]), Err(EdgeError::CredentialsInvalid), "{bad}");
        }
        let twice = [("authorization", "Bearer rst_shop"), ("authorization", "Bearer rst_shop")];
        assert_eq!(ask(&tokens(), &twice), Err(EdgeError::CredentialsInvalid));
    }

    #[test]
    fn only_a_trusted_service_acts_for_people() {
        let audit = ("authorization", "Bearer rst_audit");
        assert!(ask(&tokens(), &[audit]).is_ok());
        assert_eq!(ask(&tokens(), &[audit, ("roster-actor", "user:ada")]), Err(EdgeError::MayNotAct));
    }

    #[test]
    fn an_actor_is_a_user() {
        for authenticator in [tokens(), Authenticator::new(&Auth::default())] {
            let credentials = match *authenticator.0 {
                Mode::Development => None,
                Mode::Tokens(_) => Some(("authorization", "Bearer rst_shop")),
            };
            for bad in ["", "ada", "user:", "user:a b", "team:ada", "User:ada"] {
                let metadata: Vec<_> = credentials.into_iter().chain([("roster-actor", bad)]).collect();
                let Err(EdgeError::InvalidFields(fields)) = ask(&authenticator, &metadata) else { panic!("{bad}") };
                assert_eq!(fields[0].0, "roster-actor");
            }
            let twice = credentials.into_iter().chain([("roster-actor", "user:ada"), ("roster-actor", "user:bob")]);
            assert!(matches!(ask(&authenticator, &twice.collect::<Vec<_>>()), Err(EdgeError::InvalidFields(_))));
        }
    }

    #[test]
    fn in_development_everybody_is_dev() {
        let development = Authenticator::new(&Auth::default());
        let dev = ask(&development, &[]).unwrap();
        assert!(dev.caller.name() == "dev" && dev.scopes.cover("roster.teams.delete") && dev.person.is_none());
        assert_eq!(ask(&development, &[("roster-actor", "user:bob")]).unwrap().person, Some(user("bob")));
        let refused = ask(&development, &[("authorization", "Bearer rst_shop")]);
        assert_eq!(refused, Err(EdgeError::CredentialsUnexpected));
    }
}
