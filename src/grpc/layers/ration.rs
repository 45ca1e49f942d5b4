//! Refuses a call of somebody who has made as many as they may.
//!
//! Calls are counted once it is known whose they are, whatever becomes of them. Those of nobody are not counted: there is
//! nothing to tell one caller from another by, since many can come from one address.

use std::sync::Arc;

use super::{Answer, Call, Request, Rest, Step, refuse};
use crate::{
    application::Context,
    callers::{Account, Rates},
    domain::{Principal, actor::Caller},
    env::Env,
    grpc::status::EdgeError,
};

/// See the module. Without rates nobody is refused.
#[derive(Debug, Clone)]
pub(super) struct Ration {
    pub(super) rates: Option<Arc<Rates>>,
    pub(super) env: Env,
}

impl Step for Ration {
    fn call<R: Rest>(&self, request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let principal = request.extensions().get::<Context>().map(|cx| &cx.principal);
        if let (Some(rates), Some(principal)) = (&self.rates, principal)
            && let Err(wait) = rates.take(account(principal), self.env.now())
        {
            return refuse(EdgeError::RateLimited { wait }, &Call::of(&request));
        }
        Box::pin(next(request))
    }
}

/// Whom a call counts for.
fn account(principal: &Principal) -> Account {
    match (&principal.caller, &principal.person) {
        (Caller::Client(_), Some(person)) => Account::Person(person.clone()),
        (caller, _) => Account::Service(caller.name().to_owned()),
    }
}
