//! Steps about invitations, performed.

use roster_proto::v1::{self as wire, accept_invitation_request as accepting, decline_invitation_request as declining};
use tonic::Status;

use super::{
    super::program::{Act, DOMAINS, Offer, Offers, PEOPLE, Sent, With, domain_of},
    Caller, Letter, Observed, Tree, mask, no_such, person, strings,
};

/// An address: a person's, or that of nobody who is known.
pub fn address(n: usize) -> String {
    let name = if n < PEOPLE { person(n) } else { format!("stranger-{n}") };
    format!("{name}@{}", DOMAINS[domain_of(n)])
}

impl Tree<'_> {
    pub(super) async fn act(&mut self, by: &Caller, act: &Act) -> Result<Observed, Status> {
        match act {
            Act::Invite { as_n, team, to, grants } => self.invite(by, *as_n, *team, *to, grants).await?,
            Act::Batch { as_n, team, to, grants, atomic } => {
                return self.batch(by, *as_n, *team, to, grants, *atomic).await;
            }
            Act::Accept { n, who, with } => {
                let invitation = match with {
                    With::Id => accepting::Invitation::InvitationId(self.letter(*n)),
                    With::Link | With::FirstLink => accepting::Invitation::Token(self.token(*n, *with)),
                };
                let accepter = Some(accepting::Accepter::UserId(person(*who)));
                let request =
                    wire::AcceptInvitationRequest { invitation: Some(invitation), accepter, ..Default::default() };
                drop(by.invitations().accept_invitation(request).await?);
            }
            Act::Decline { n, who, with } => {
                let (invitation, user_id) = match with {
                    With::Id => (declining::Invitation::InvitationId(self.letter(*n)), person(*who)),
                    With::Link | With::FirstLink => {
                        (declining::Invitation::Token(self.token(*n, *with)), String::new())
                    }
                };
                let request =
                    wire::DeclineInvitationRequest { invitation: Some(invitation), user_id, ..Default::default() };
                drop(by.invitations().decline_invitation(request).await?);
            }
            Act::AskAgain { n, with } => {
                let link = wire::request_new_invitation_request::Invitation::Token(self.token(*n, *with));
                let request = wire::RequestNewInvitationRequest { invitation: Some(link), ..Default::default() };
                drop(by.invitations().request_new_invitation(request).await?);
            }
            Act::Cancel(sent) => drop(by.cancel(&self.team(sent.team), &self.letter(sent.n)).await?),
            Act::Resend(sent) => {
                drop(by.resend(&self.team(sent.team), &self.letter(sent.n)).await?);
                self.fetch_link(sent.n).await;
            }
            Act::Update { sent, grants, end } => {
                let grants = grants.as_ref();
                let change = wire::Invitation {
                    id: self.letter(sent.n),
                    team_id: self.team(sent.team),
                    grants: grants.map(|grants| self.grants(grants)).unwrap_or_default(),
                    expire_time: end.map(|end| self.time(end)),
                    ..Default::default()
                };
                let update_mask = Some(mask([(grants.is_some(), "grants"), (end.is_some(), "expire_time")]));
                let invitation = Some(change);
                let request = wire::UpdateInvitationRequest { invitation, update_mask, ..Default::default() };
                drop(by.invitations().update_invitation(request).await?);
            }
            Act::Delete(Sent { n, team }) => {
                let (team_id, invitation_id) = (self.team(*team), self.letter(*n));
                let request = wire::DeleteInvitationRequest { team_id, invitation_id, ..Default::default() };
                drop(by.invitations().delete_invitation(request).await?);
            }
        }
        Ok(Observed::Done)
    }

    /// The id of an invitation, or one that no invitation has.
    fn letter(&self, n: usize) -> String {
        self.letters.get(&n).map_or_else(|| no_such(0), |letter| letter.id.clone())
    }

    fn token(&self, n: usize, with: With) -> String {
        let tokens = self.letters.get(&n).map(|letter| &letter.tokens);
        let token = tokens.and_then(|tokens| if with == With::FirstLink { tokens.first() } else { tokens.last() });
        token.cloned().unwrap_or_default()
    }

    /// What is offered, in messages.
    pub fn grants(&self, grants: &Offers) -> Vec<wire::Grant> {
        let grant = |(team, offer): (&usize, &Offer)| wire::Grant {
            team_id: self.team(*team),
            role_ids: self.role_ids(&offer.roles),
            permissions: strings(&offer.permissions),
        };
        grants.iter().map(grant).collect()
    }

    /// What the team that invites offers in itself, and what in others.
    fn split(&self, team: usize, grants: &Offers) -> (wire::Grant, Vec<wire::Grant>) {
        let mut others = grants.clone();
        let own = others.remove(&team).unwrap();
        (self.grants(&Offers::from([(team, own)])).remove(0), self.grants(&others))
    }

    async fn invite(&mut self, by: &Caller, as_n: usize, team: usize, to: usize, of: &Offers) -> Result<(), Status> {
        let (wire::Grant { team_id, role_ids, permissions }, other_grants) = self.split(team, of);
        let request = wire::CreateInvitationRequest {
            team_id,
            email: address(to),
            role_ids,
            permissions,
            other_grants,
            delivery_channel: wire::DeliveryChannel::LinkOnly.into(),
            ..Default::default()
        };
        let sent = by.invitations().create_invitation(request).await?.into_inner();
        self.keep(as_n, team, sent.invitation.unwrap().id).await;
        Ok(())
    }

    async fn batch(
        &mut self,
        by: &Caller,
        as_n: usize,
        team: usize,
        to: &[usize],
        of: &Offers,
        atomic: bool,
    ) -> Result<Observed, Status> {
        let (wire::Grant { team_id, role_ids, permissions }, other_grants) = self.split(team, of);
        let request = wire::BatchCreateInvitationsRequest {
            team_id,
            emails: to.iter().copied().map(address).collect(),
            role_ids,
            permissions,
            other_grants,
            delivery_channel: wire::DeliveryChannel::LinkOnly.into(),
            atomic,
            ..Default::default()
        };
        let results = by.invitations().batch_create_invitations(request).await?.into_inner().results;
        let mut outcomes = Vec::new();
        for (n, result) in results.into_iter().enumerate() {
            if result.outcome() == wire::BatchInvitationOutcome::Created {
                self.keep(as_n + n, team, result.invitation_id.clone()).await;
            }
            outcomes.push(result.outcome().as_str_name().trim_start_matches("BATCH_INVITATION_OUTCOME_").to_owned());
        }
        Ok(Observed::Each(outcomes))
    }

    async fn keep(&mut self, n: usize, team: usize, id: String) {
        self.letters.insert(n, Letter { team, id, tokens: Vec::new() });
        self.fetch_link(n).await;
    }

    /// Keeps the link that an open invitation has now, if it is another than before.
    async fn fetch_link(&mut self, n: usize) {
        let (team, id) = (self.team(self.letters[&n].team), self.letter(n));
        let token = self.service().token(&team, &id).await;
        let tokens = &mut self.letters.get_mut(&n).unwrap().tokens;
        if tokens.last() != Some(&token) {
            tokens.push(token);
        }
    }
}
