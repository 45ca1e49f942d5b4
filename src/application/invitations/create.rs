//! Inviting one address, or many at once.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Invite, Offering};
use crate::{
    application::{Command, Error, Result, Work, authorize::check_scope},
    domain::{
        Broken, Email, Invitation, InvitationId,
        address_list::Entry,
        permission::{Permission, ReadInvitations},
    },
    repository::invitations,
};

/// How many refused addresses of an atomic batch are named in the refusal.
const NAMED: usize = 10;

/// Invites an address.
#[derive(Debug, Serialize)]
pub struct CreateInvitation {
    /// The address.
    pub email: Email,
    /// What is offered.
    pub offering: Offering,
}

impl Command for CreateInvitation {
    const NAME: &'static str = "CreateInvitation";
    type Answer = Invitation;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Invitation> {
        let invite = Invite::hold(work, self.offering.team, &self.offering.grants).await?;
        send_one(work, &invite, &self.offering, &self.email).await
    }
}

/// Sends an offer to one address, or tells what stands against it.
pub(in crate::application) async fn send_one(
    work: &mut Work<'_>,
    invite: &Invite,
    offering: &Offering,
    email: &Email,
) -> Result<Invitation> {
    let emails = vec![email.clone()];
    for verdict in invite.look_at(work, &emails, None).await? {
        verdict?;
    }
    let sent = invite.send(work, offering, emails).await?.pop();
    sent.ok_or_else(|| Error::Defect("an address was invited and there is no invitation".to_owned()))
}

/// Invites many addresses to the same.
#[derive(Debug, Serialize)]
pub struct BatchCreateInvitations {
    /// The addresses, each once.
    pub entries: Vec<Entry>,
    /// What is offered.
    pub offering: Offering,
    /// Whether to invite all or nobody.
    pub atomic: bool,
}

/// What became of an entry.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tried {
    /// The address, or what was given in its place.
    pub text: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an address.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// It was invited.
    Created(Box<Invitation>),
    /// It has an open invitation, which is shown to whoever may read it.
    AlreadyInvited(InvitationId, Option<Box<Invitation>>),
    /// It was not invited.
    Refused(Refusal, String),
}

/// Why an address was not invited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It is a member's.
    AlreadyMember,
    /// It is none.
    InvalidEmail,
    /// Its domain is not admitted.
    DomainNotAllowed,
    /// It is that of a member of another team, where the rules allow one.
    MemberElsewhere,
    /// No seat is left.
    SeatsExhausted,
    /// As many invitations are open as may be.
    PendingInvitationsExhausted,
}

impl Command for BatchCreateInvitations {
    const NAME: &'static str = "BatchCreateInvitations";
    type Answer = Vec<Tried>;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Vec<Tried>> {
        let invite = Invite::hold(work, self.offering.team, &self.offering.grants).await?;
        let emails: Vec<Email> = self.entries.iter().filter_map(Entry::email).cloned().collect();
        let mut verdicts: VecDeque<_> = invite.look_at(work, &emails, None).await?.into();
        if self.atomic {
            self.check_all(&verdicts)?;
        }
        let good = emails.into_iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_ok());
        let good = good.map(|(email, _)| email).collect();
        let mut sent: VecDeque<_> = invite.send(work, &self.offering, good).await?.into();
        let mut tried = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let outcome = match entry {
                Entry::Unreadable { why, .. } => Outcome::Refused(Refusal::InvalidEmail, why.to_string()),
                Entry::Address(_) => match verdicts.pop_front() {
                    Some(Err(rule)) => refused(work, &invite, rule).await?,
                    // There is a verdict for each address, and an invitation for each that nothing stands against.
                    Some(Ok(())) | None => match sent.pop_front() {
                        Some(invitation) => Outcome::Created(Box::new(invitation)),
                        None => return Err(Error::Defect("an address was invited and there is no invitation".into())),
                    },
                },
            };
            tried.push(Tried { text: entry.text().to_owned(), outcome });
        }
        Ok(tried)
    }
}

impl BatchCreateInvitations {
    fn check_all(&self, verdicts: &VecDeque<std::result::Result<(), Broken>>) -> Result<()> {
        let mut verdicts = verdicts.iter();
        let mut bad = self.entries.clone();
        bad.retain(|entry| match entry {
            Entry::Unreadable { .. } => true,
            Entry::Address(_) => verdicts.next().is_some_and(std::result::Result::is_err),
        });
        if bad.is_empty() {
            return Ok(());
        }
        let addresses = bad.iter().take(NAMED).map(|entry| entry.text().to_owned()).collect();
        Err(Broken::BatchRefused { refused: bad.len(), addresses }.into())
    }
}

/// The outcome for an address that a rule stands against.
async fn refused(work: &Work<'_>, invite: &Invite, rule: Broken) -> Result<Outcome> {
    let refusal = match rule {
        Broken::InvitationPending { invitation } => {
            return Ok(Outcome::AlreadyInvited(invitation, readable(work, invite, invitation).await?.map(Box::new)));
        }
        Broken::AlreadyMember => Refusal::AlreadyMember,
        Broken::DomainNotAllowed { .. } => Refusal::DomainNotAllowed,
        Broken::MemberElsewhere => Refusal::MemberElsewhere,
        Broken::SeatsExhausted { .. } => Refusal::SeatsExhausted,
        Broken::PendingInvitationsExhausted { .. } => Refusal::PendingInvitationsExhausted,
        other => return Err(other.into()),
    };
    Ok(Outcome::Refused(refusal, rule.to_string()))
}

/// The invitation, where the caller may read it.
async fn readable(work: &Work<'_>, invite: &Invite, id: InvitationId) -> Result<Option<Invitation>> {
    let found = invitations::get_any(work.tx, id).await?;
    let scoped = check_scope::<ReadInvitations>(&work.cx.principal).is_ok();
    let may = |team| invite.authority(team).is_some_and(|by| by.covers(ReadInvitations::NAME));
    Ok(found.filter(|invitation| scoped && may(invitation.team_id)))
}
