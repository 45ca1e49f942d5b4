//! `AccessService`.

use std::collections::VecDeque;

use roster_proto::v1::{self as wire, ErrorReason, access_service_server::AccessService};
use tonic::{Request, Response, Status, async_trait};

use super::{
    call::{Api, serve},
    convert::{Violations, access},
};
use crate::application::queries::Check;

/// The most questions of one batch.
const MAX_CHECKS: usize = 1000;

/// Answers what somebody may do.
#[derive(Debug, Clone)]
pub struct Access(pub Api);

#[async_trait]
impl AccessService for Access {
    async fn check_access(
        &self,
        request: Request<wire::CheckAccessRequest>,
    ) -> Result<Response<wire::CheckAccessResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let fresh = self.0.consistency(&mut v, request.consistency.as_ref());
            let check = access::check(&mut v, &request.user_id, &request.team_id, &request.permission);
            let (check, fresh) = v.all((check, fresh))?;
            let answers = self.0.queries.check_access(cx, &[check], &fresh).await?;
            Ok(wire::CheckAccessResponse { allowed: answers == [true] })
        })
        .await
    }

    async fn batch_check_access(
        &self,
        request: Request<wire::BatchCheckAccessRequest>,
    ) -> Result<Response<wire::BatchCheckAccessResponse>, Status> {
        use wire::access_result::Result as Answer;

        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let fresh = self.0.consistency(&mut v, request.consistency.as_ref());
            if request.checks.is_empty() || request.checks.len() > MAX_CHECKS {
                v.add("checks", format_args!("must hold 1 to {MAX_CHECKS} questions"));
            }
            let (fresh,) = v.all((fresh,))?;
            let questions: Vec<Result<Check, wire::AccessError>> =
                request.checks.iter().map(|asked| question(cx.principal.person.as_ref(), asked)).collect();
            let asked: Vec<Check> = questions.iter().flatten().cloned().collect();
            let mut answers: VecDeque<bool> = self.0.queries.check_access(cx, &asked, &fresh).await?.into();
            let result = |question: Result<Check, wire::AccessError>| match question {
                Ok(_) => Answer::Allowed(answers.pop_front().unwrap_or_default()),
                Err(error) => Answer::Error(error),
            };
            let results = questions.into_iter().map(result);
            let results = results.map(|result| wire::AccessResult { result: Some(result) }).collect();
            Ok(wire::BatchCheckAccessResponse { results })
        })
        .await
    }

    async fn explain_access(
        &self,
        request: Request<wire::ExplainAccessRequest>,
    ) -> Result<Response<wire::ExplainAccessResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let fresh = self.0.consistency(&mut v, request.consistency.as_ref());
            let check = access::check(&mut v, &request.user_id, &request.team_id, &request.permission);
            let (check, fresh) = v.all((check, fresh))?;
            let verdict = self.0.queries.explain_access(cx, check, &fresh).await?;
            Ok(access::explanation(&verdict))
        })
        .await
    }
}

/// A question of a batch, or why it has no answer.
fn question(person: Option<&crate::domain::UserId>, asked: &wire::AccessCheck) -> Result<Check, wire::AccessError> {
    let error = |reason: ErrorReason, message: String| wire::AccessError { reason: reason.into(), message };
    let mut v = Violations::default();
    let check = access::check(&mut v, &asked.user_id, &asked.team_id, &asked.permission);
    let check = check.ok_or_else(|| error(ErrorReason::InvalidField, v.to_string()))?;
    if person.is_some_and(|person| *person != check.user) {
        let why = "a person can ask about themselves only".to_owned();
        return Err(error(ErrorReason::PermissionDenied, why));
    }
    Ok(check)
}
