//! What an invited person may know of an invitation.

use roster_proto::v1::{self as wire, InvitationAction as Action};

use super::{invitation, timestamp};
use crate::{application::queries::Preview, domain::invitation::State, grpc::status::reason_of};

pub(in crate::grpc) fn message(preview: &Preview) -> wire::InvitationPreview {
    let invitation = &preview.invitation;
    let grants = preview.grants.iter();
    wire::InvitationPreview {
        state: invitation::state(&preview.state).into(),
        team_name: preview.team_name.clone(),
        inviter_display_name: preview.inviter_name.clone().unwrap_or_default(),
        masked_email: invitation.email.masked(),
        grants: grants
            .map(|(team, roles)| wire::PreviewedGrant { team_name: team.clone(), role_names: roles.clone() })
            .collect(),
        expire_time: Some(timestamp(invitation.expire_time)),
        message: invitation.message.to_string(),
        next_actions: next_actions(preview).into_iter().map(Into::into).collect(),
        blocked_by: preview.blocked_by.as_ref().map(reason_of).unwrap_or_default().into(),
    }
}

fn next_actions(preview: &Preview) -> Vec<Action> {
    if preview.replaced {
        return vec![Action::UseLatestLink];
    }
    match (&preview.state, &preview.blocked_by) {
        (State::Pending, None) => vec![Action::Accept, Action::Decline],
        (State::Pending, Some(_)) => vec![Action::AskInviter, Action::Decline],
        (State::Expired, _) => vec![Action::RequestNew],
        (State::Accepted { .. }, _) => vec![Action::LogIn],
        (State::Declined { .. } | State::Canceled { .. }, _) => vec![Action::AskInviter],
    }
}
