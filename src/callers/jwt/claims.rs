//! What a token says, once it is known who signed it: whether it is for this service and for now, and whose it is.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::{Why, json};
use crate::{
    callers::{Holder, Identity},
    config::{Jwt, JwtClaims},
    domain::{PermissionPattern, UserId},
};

/// By how much the clocks of the issuer and of this service may differ.
const LEEWAY: TimeDelta = TimeDelta::seconds(30);

/// The most bytes of a service's name in a token.
const NAME_LENGTH: usize = 128;

/// The claims of a token whose signature is good.
pub(super) struct Claims(Value);

impl Claims {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Why> {
        json::object(text)
            .map(|claims| Self(Value::Object(claims)))
            .ok_or(Why::Malformed("the claims are no unambiguous JSON object"))
    }

    fn members(&self) -> Option<&Map<String, Value>> {
        self.0.as_object()
    }

    /// Whether they are for this service, and for now. That a token has expired is only told of one that is good otherwise.
    pub(super) fn check(&self, config: &Jwt, now: DateTime<Utc>) -> Result<(), Why> {
        let claim = |name: &str| self.members().and_then(|claims| claims.get(name));
        if claim("iss").and_then(Value::as_str) != Some(&config.issuer) {
            return Err(Why::Issuer);
        }
        let for_us = match claim("aud") {
            Some(Value::String(one)) => *one == config.audience,
            Some(Value::Array(all)) => {
                all.iter().all(Value::is_string) && all.iter().any(|one| *one == *config.audience)
            }
            _ => false,
        };
        if !for_us {
            return Err(Why::Audience);
        }
        let date = |name: &str| claim(name).map(|value| micros(value).ok_or(Why::Date)).transpose();
        let (expires, now) = (date("exp")?.ok_or(Why::Date)?, now.timestamp_micros());
        let leeway = LEEWAY.num_seconds().saturating_mul(1_000_000);
        for begins in [date("nbf")?, date("iat")?].into_iter().flatten() {
            if now.saturating_add(leeway) < begins {
                return Err(Why::TooEarly);
            }
        }
        if now >= expires.saturating_add(leeway) { Err(Why::Expired) } else { Ok(()) }
    }

    /// Whose token it is. `certified` is the service that the connection's certificate stands for.
    pub(super) fn identity(&self, config: &Jwt, certified: Option<String>) -> Result<Identity, Why> {
        let names = &config.claims;
        let user = self.text(&names.user)?;
        let service = names.service.as_deref().map_or(Ok(None), |name| self.text(name))?;
        if service.is_some_and(|name| !is_name(name)) {
            return Err(Why::Claim);
        }
        let granted = self.scopes(&names.scopes)?;
        let scopes = granted.iter().filter_map(|scope| PermissionPattern::parse(scope).ok());
        // Where a token is given to a service for itself, the standard has it be its own subject (RFC 9068, 2.2).
        if self.is_of_service(names)? || user.is_none() || user == service {
            let act = config.act_for_users_scope.as_deref();
            return Ok(Identity {
                service: service.ok_or(Why::Claim)?.to_owned(),
                scopes: scopes.collect(),
                of: Holder::Service { act_for_users: act.is_some_and(|act| granted.contains(&act)) },
            });
        }
        let user: UserId = user.and_then(|id| id.parse().ok()).ok_or(Why::Claim)?;
        Ok(Identity {
            service: service.map(str::to_owned).or(certified).unwrap_or_else(|| config.user_service.clone()),
            scopes: scopes.chain(config.user_scopes.iter().cloned()).collect(),
            of: Holder::Person(user),
        })
    }

    fn is_of_service(&self, names: &JwtClaims) -> Result<bool, Why> {
        match (&names.kind, &names.service_kind) {
            (Some(name), Some(kind)) => Ok(self.text(name)? == Some(kind)),
            _ => Ok(false),
        }
    }

    fn find(&self, name: &str) -> Option<&Value> {
        if name.starts_with('/') { self.0.pointer(name) } else { self.members()?.get(name) }
    }

    /// A claim that is a text if it is there.
    fn text(&self, name: &str) -> Result<Option<&str>, Why> {
        self.find(name).map(|value| value.as_str().filter(|text| !text.is_empty()).ok_or(Why::Claim)).transpose()
    }

    /// Scopes as OAuth 2.0 has them (RFC 6749, 3.3), or as a list.
    fn scopes(&self, name: &str) -> Result<Vec<&str>, Why> {
        match self.find(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(text.split(' ').filter(|scope| !scope.is_empty()).collect()),
            Some(Value::Array(list)) => list.iter().map(|scope| scope.as_str().ok_or(Why::Claim)).collect(),
            Some(_) => Err(Why::Claim),
        }
    }
}

/// What can be the name of a service: client ids of any issuer, without the sign that stands between a service and a person
/// where both are written together.
fn is_name(text: &str) -> bool {
    text.len() <= NAME_LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:@".contains(&b))
}

/// Seconds since 1970 (RFC 7519, 2: `NumericDate`) in microseconds.
fn micros(value: &Value) -> Option<i64> {
    if let Some(seconds) = value.as_i64() {
        return seconds.checked_mul(1_000_000);
    }
    let seconds = std::time::Duration::try_from_secs_f64(value.as_f64()?).ok()?;
    i64::try_from(seconds.as_micros()).ok()
}
