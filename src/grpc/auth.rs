//! Who calls: the credentials in the metadata and of the connection, and the [`Principal`] that they show.
//!
//! Whether credentials are good is known elsewhere (`callers`). What the principal may do is checked where the answer is
//! known: whether a call may be made at all in `layers::permit`, what a person may do in a team in
//! `application::authorize`.

use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::status::EdgeError;
use crate::{
    callers::{Callers, Certificate, Decision, Holder, Identity, Refusal},
    domain::{Principal, UserId, actor::Caller, permission::Scopes},
};

/// The metadata that names the person a service acts for.
const ACTOR: &str = "roster-actor";

/// The name of every caller in development mode.
const DEVELOPER: &str = "dev";

/// Finds out who calls.
#[derive(Debug, Clone)]
pub enum Authenticator {
    /// Everybody is the service `dev`.
    Development,
    /// Who has good credentials.
    Credentials(Callers),
}

/// Who calls, or why nobody does: at once, unless something has to be fetched first.
pub(super) enum Decided {
    /// Known.
    Now(Result<Principal, EdgeError>),
    /// Known in a moment.
    Later(BoxFuture<'static, Result<Principal, EdgeError>>),
}

impl Authenticator {
    /// Who calls with this metadata, over a connection with this client certificate.
    pub(super) fn authenticate(&self, metadata: &HeaderMap, certificate: Option<&Certificate>) -> Decided {
        match self {
            Self::Development => Decided::Now(develop(metadata)),
            Self::Credentials(callers) => {
                let bearer = match bearer(metadata) {
                    Ok(bearer) => bearer,
                    Err(error) => return Decided::Now(Err(error)),
                };
                // Read before the credentials are, and told of after them: who is not known is told nothing else.
                let actor = actor(metadata);
                match callers.identify(bearer, certificate) {
                    Decision::Now(known) => Decided::Now(principal(known, actor)),
                    Decision::Later(known) => Decided::Later(known.map(|known| principal(known, actor)).boxed()),
                }
            }
        }
    }
}

fn develop(metadata: &HeaderMap) -> Result<Principal, EdgeError> {
    // Whoever sends credentials expects them to be checked, which nobody does here.
    if metadata.contains_key(AUTHORIZATION) {
        return Err(EdgeError::CredentialsUnexpected);
    }
    Ok(Principal { caller: Caller::Service(DEVELOPER.to_owned()), scopes: Scopes::all(), person: actor(metadata)? })
}

/// Who that is, acting for this person.
fn principal(
    known: Result<Identity, Refusal>,
    actor: Result<Option<UserId>, EdgeError>,
) -> Result<Principal, EdgeError> {
    let Identity { service, scopes, of } = known?;
    let actor = actor?;
    let (caller, person) = match of {
        // A person's own token says who they are, and nobody acts for anybody by it.
        Holder::Person(_) | Holder::Service { act_for_users: false } if actor.is_some() => {
            return Err(EdgeError::MayNotAct);
        }
        Holder::Person(person) => (Caller::Client(service), Some(person)),
        Holder::Service { .. } => (Caller::Service(service), actor),
    };
    Ok(Principal { caller, scopes, person })
}

impl From<Refusal> for EdgeError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::CredentialsMissing,
            Refusal::Invalid => Self::CredentialsInvalid,
            Refusal::Expired => Self::CredentialsExpired,
            Refusal::Unverifiable => Self::KeysUnavailable,
        }
    }
}

/// The bearer token, if there are credentials in the metadata.
fn bearer(metadata: &HeaderMap) -> Result<Option<&str>, EdgeError> {
    let value = single(metadata, AUTHORIZATION.as_str()).map_err(|Many| EdgeError::CredentialsInvalid)?;
    let Some(value) = value else { return Ok(None) };
    match value.to_str().ok().and_then(|text| text.split_once(' ')) {
        // The scheme's case does not matter (RFC 9110, 11.1).
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token)),
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
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    use super::*;
    use crate::{
        config::{Auth, AuthMode, Server, ServiceToken, TokenDigest},
        domain::PermissionPattern,
        env::Env,
    };

    fn tokens() -> Authenticator {
        let token = |name: &str, act_for_users| ServiceToken {
            name: name.to_owned(),
            sha256: TokenDigest::of(&format!("rst_{name}")),
            scopes: vec![PermissionPattern::parse("roster.teams.*").unwrap()],
            act_for_users,
        };
        let tokens = vec![token("shop", true), token("audit", false)];
        let auth = Auth { mode: AuthMode::Credentials, tokens, ..Auth::default() };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let started = Callers::start(&auth, &Server::default(), &Env::system(), &tasks, &stop).unwrap();
        Authenticator::Credentials(started.callers)
    }

    fn ask(authenticator: &Authenticator, metadata: &[(&'static str, &str)]) -> Result<Principal, EdgeError> {
        let pair = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in metadata.iter().map(pair) {
            map.append(name, value);
        }
        match authenticator.authenticate(&map, None) {
            Decided::Now(decided) => decided,
            Decided::Later(_) => panic!("nothing is to be fetched"),
        }
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
        for authenticator in [tokens(), Authenticator::Development] {
            let credentials = match authenticator {
                Authenticator::Development => None,
                Authenticator::Credentials(_) => Some(("authorization", "Bearer rst_shop")),
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
    fn a_person_with_a_token_of_their_own_acts_for_nobody() {
        let identity = |of| Identity { service: "web".to_owned(), scopes: Scopes::all(), of };
        let ada = principal(Ok(identity(Holder::Person(user("ada")))), Ok(None)).unwrap();
        assert_eq!((ada.caller, ada.person), (Caller::Client("web".to_owned()), Some(user("ada"))));
        for actor in ["ada", "bob"] {
            let acting = principal(Ok(identity(Holder::Person(user("ada")))), Ok(Some(user(actor))));
            assert_eq!(acting, Err(EdgeError::MayNotAct), "{actor}");
        }
    }

    #[test]
    fn in_development_everybody_is_dev() {
        let development = Authenticator::Development;
        let dev = ask(&development, &[]).unwrap();
        assert!(dev.caller.name() == "dev" && dev.scopes.cover("roster.teams.delete") && dev.person.is_none());
        assert_eq!(ask(&development, &[("roster-actor", "user:bob")]).unwrap().person, Some(user("bob")));
        let refused = ask(&development, &[("authorization", "Bearer rst_shop")]);
        assert_eq!(refused, Err(EdgeError::CredentialsUnexpected));
    }
}
