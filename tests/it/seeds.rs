//! What the four products that Roster was made for must be able to do; each test is named after its row.

mod s0;
mod s1;
mod s2;
mod s3;

use roster_proto::v1::{self as wire, InvitationState, ListInvitationsRequest, PreviewInvitationRequest, TeamPolicy};

use crate::support::{Outcome as _, Scene};

impl Scene {
    /// The team's invitations in one state, newest first.
    async fn invitations(&self, state: InvitationState) -> Vec<wire::Invitation> {
        let request =
            ListInvitationsRequest { team_id: self.team.clone(), states: vec![state.into()], ..Default::default() };
        self.person("ada").invitations().list_invitations(request).await.done().invitations
    }

    async fn state(&self, token: &str) -> InvitationState {
        let request = PreviewInvitationRequest { token: token.to_owned() };
        self.service().invitations().preview_invitation(request).await.done().preview.unwrap().state()
    }

    async fn set_ttl(&self, days: i64) {
        let policy = TeamPolicy {
            invitation_ttl: Some(prost_types::Duration { seconds: days * 86_400, nanos: 0 }),
            ..Default::default()
        };
        let team = wire::Team { id: self.team.clone(), policy: Some(policy), ..Default::default() };
        let request = wire::UpdateTeamRequest { team: Some(team), ..Default::default() };
        self.person("ada").teams().update_team(request).await.done();
    }
}
