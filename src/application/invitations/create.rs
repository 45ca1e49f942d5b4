//! Inviting one address, or many at once.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Invite, Offering};
use crate::{
    application::{Command, Error, Result, Work, authorize::teams_open_to},
    domain::{Broken, Email, Invitation, InvitationId, address_list::Entry, permission::ReadInvitations},
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
    /// It is the inviter's own.
    OwnAddress,
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
        let mut open = readable(work, &verdicts).await?;
        let good = emails.into_iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_ok());
        let good = good.map(|(email, _)| email).collect();
        let mut sent: VecDeque<_> = invite.send(work, &self.offering, good).await?.into();
        let mut tried = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let outcome = match entry {
                Entry::Unreadable { why, .. } => Outcome::Refused(Refusal::InvalidEmail, why.to_string()),
                Entry::Address(_) => match verdicts.pop_front() {
                    Some(Err(rule)) => refused(rule, &mut open)?,
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
        let against = |entry: &Entry| match entry {
            Entry::Unreadable { why, .. } => Some(why.to_string()),
            Entry::Address(_) => verdicts.next()?.as_ref().err().map(ToString::to_string),
        };
        let whys: Vec<Option<String>> = self.entries.iter().map(against).collect();
        let refused = whys.iter().flatten().count();
        if refused == 0 {
            return Ok(());
        }
        let all = self.entries.iter().zip(whys);
        let bad = all.filter_map(|(entry, why)| Some((entry.text().to_owned(), why?)));
        Err(Broken::BatchRefused { refused, first: bad.take(NAMED).collect() }.into())
    }
}

/// The outcome for an address that a rule stands against. `open` are the invitations that may be shown.
fn refused(rule: Broken, open: &mut BTreeMap<InvitationId, Invitation>) -> Result<Outcome> {
    let refusal = match rule {
        Broken::InvitationPending { invitation } => {
            return Ok(Outcome::AlreadyInvited(invitation, open.remove(&invitation).map(Box::new)));
        }
        Broken::OwnRole => Refusal::OwnAddress,
        Broken::AlreadyMember => Refusal::AlreadyMember,
        Broken::DomainNotAllowed { .. } => Refusal::DomainNotAllowed,
        Broken::MemberElsewhere => Refusal::MemberElsewhere,
        Broken::SeatsExhausted { .. } => Refusal::SeatsExhausted,
        Broken::PendingInvitationsExhausted { .. } => Refusal::PendingInvitationsExhausted,
        other => return Err(other.into()),
    };
    Ok(Outcome::Refused(refusal, rule.to_string()))
}

/// The open invitations that stand against some of the addresses, as far as the caller may read them.
async fn readable(
    work: &Work<'_>,
    verdicts: &VecDeque<std::result::Result<(), Broken>>,
) -> Result<BTreeMap<InvitationId, Invitation>> {
    let pending = verdicts.iter().filter_map(|verdict| match verdict {
        Err(Broken::InvitationPending { invitation }) => Some(*invitation),
        _ => None,
    });
    let found = invitations::get_many(work.tx, pending).await?;
    let teams = found.iter().map(|invitation| invitation.team_id);
    let open = teams_open_to::<ReadInvitations>(work.tx, work.cx, work.roles, work.now, teams).await?;
    let readable = found.into_iter().filter(|invitation| open.contains(&invitation.team_id));
    Ok(readable.map(|invitation| (invitation.id, invitation)).collect())
}
