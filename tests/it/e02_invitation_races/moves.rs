//! What is done to one invitation at the same moment, what may be answered, and what each answer has to have made.

use chrono::TimeDelta;
use roster::env::Clock as _;
use roster_proto::v1::{
    self as wire, AcceptInvitationRequest, AcceptInvitationResponse, CreateInvitationRequest, DeclineInvitationRequest,
    DeliveryChannel, Grant, NewUser,
    accept_invitation_request::{Accepter, Invitation as Named},
    decline_invitation_request::Invitation as Declined,
};
use tonic::Status;

use crate::support::{
    Caller,
    acts::{mask, member, stamp, texts},
    clock::TestClock,
};

/// An invitation that everybody is after.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub root: String,
    pub child: String,
    pub id: String,
    pub token: String,
    pub owner: String,
    pub inviter: String,
    /// The invited person's id, and their address before the `@`.
    pub person: String,
    /// Whether nobody knows the invited person before they accept.
    pub newcomer: bool,
    /// Whether it runs out in the midst of it.
    pub ends: bool,
}

/// One thing that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Move {
    AcceptByLink,
    AcceptById,
    /// As somebody new with the same address.
    AcceptAsAnother,
    /// As a user with another address.
    AcceptAsStranger,
    DeclineByLink,
    DeclineById,
    Cancel,
    Resend,
    /// Has it run out a moment later, and lets that moment pass.
    Expire,
    /// Grants something in the team below too.
    Widen,
    /// Grants something in the team that invites alone.
    Narrow,
    Reword,
    Delete,
    AskAnew,
    RemoveInviter,
    DemoteInviter,
    InviteAgain,
    /// To the team below alone.
    InviteBelow,
}

use Move::*;

/// How each of them ends.
const ENDS: [&str; 4] = ["INVITATION_ACCEPTED", "INVITATION_DECLINED", "INVITATION_CANCELED", "INVITATION_EXPIRED"];

impl Move {
    /// Any of them; the answers to the invitation come more often than what is done about it.
    pub fn any() -> Self {
        const CHOICE: [Move; 28] = [
            AcceptByLink,
            AcceptByLink,
            AcceptByLink,
            AcceptById,
            AcceptById,
            AcceptAsAnother,
            AcceptAsStranger,
            DeclineByLink,
            DeclineByLink,
            DeclineById,
            Cancel,
            Cancel,
            Resend,
            Resend,
            Resend,
            Resend,
            Expire,
            Expire,
            Expire,
            Widen,
            Narrow,
            Reword,
            Delete,
            AskAnew,
            AskAnew,
            InviteAgain,
            InviteBelow,
            RemoveInviter,
        ];
        // Both end what the inviter sent, so that they come rarely.
        match CHOICE[rand::random_range(0..CHOICE.len())] {
            RemoveInviter if rand::random() => DemoteInviter,
            chosen => chosen,
        }
    }

    /// What a refusal may say.
    pub fn reasons(self, case: &Case) -> Vec<&'static str> {
        let mut reasons = match self {
            AcceptByLink | DeclineByLink => vec!["LINK_REPLACED"],
            AcceptById | DeclineById => vec!["INVITATION_NOT_FOUND"],
            AcceptAsAnother => vec!["LINK_REPLACED", "EMAIL_TAKEN"],
            AcceptAsStranger => vec!["LINK_REPLACED", "EMAIL_MISMATCH"],
            Cancel | Reword | Narrow => vec!["INVITATION_NOT_FOUND", "PERMISSION_DENIED"],
            Resend | Widen => vec!["INVITATION_NOT_FOUND", "PERMISSION_DENIED", "INVITATION_PENDING"],
            Expire => vec!["INVITATION_NOT_FOUND", "PERMISSION_DENIED", "EXPIRE_TIME_PASSED"],
            Delete => return vec!["INVITATION_NOT_FOUND", "PERMISSION_DENIED"],
            AskAnew => vec!["LINK_REPLACED", "INVITATION_OPEN"],
            RemoveInviter | DemoteInviter => return vec!["MEMBER_NOT_FOUND"],
            InviteAgain | InviteBelow => return vec!["INVITATION_PENDING", "ALREADY_MEMBER"],
        };
        if case.newcomer && matches!(self, AcceptById | DeclineById) {
            reasons.push("USER_NOT_FOUND");
        }
        let ends = ENDS.iter().filter(|end| !(matches!(self, Resend | AskAnew) && **end == "INVITATION_EXPIRED"));
        reasons.extend(ends);
        reasons
    }

    /// Whether events of these kinds are what an answer to it may have made.
    pub fn is_made_of(self, kinds: &[&str]) -> bool {
        let (needed, beside): (&str, &[&str]) = match self {
            // Said again by who accepted it, it changes nothing.
            AcceptByLink | AcceptById | AcceptAsAnother if kinds.is_empty() => return true,
            AcceptByLink | AcceptById | AcceptAsAnother => {
                ("invitation_accepted", &["member_added", "user_created", "user_updated"])
            }
            AcceptAsStranger => return false,
            DeclineByLink | DeclineById => ("invitation_declined", &[]),
            Cancel => ("invitation_canceled", &[]),
            Resend => ("invitation_updated", &["invitation_expired", "invitation_delivery_requested"]),
            // What it should become it may be already.
            Widen | Narrow | Reword | Expire if kinds.is_empty() => return true,
            Widen => ("invitation_updated", &["invitation_expired"]),
            Narrow | Reword | Expire => ("invitation_updated", &[]),
            Delete => ("invitation_deleted", &["invitation_canceled", "invitation_expired"]),
            // Within a day it is passed on once.
            AskAnew if kinds.is_empty() => return true,
            AskAnew => ("invitation_renewal_requested", &["invitation_expired"]),
            RemoveInviter => ("member_removed", &["invitation_canceled", "invitation_expired"]),
            DemoteInviter if kinds.is_empty() => return true,
            DemoteInviter => ("member_updated", &["invitation_canceled", "invitation_expired"]),
            InviteAgain | InviteBelow => {
                ("invitation_created", &["invitation_expired", "invitation_delivery_requested"])
            }
        };
        let count = kinds.iter().filter(|kind| **kind == needed).count();
        count == 1 && kinds.iter().all(|kind| *kind == needed || beside.contains(kind))
    }
}

type Done = Result<Option<AcceptInvitationResponse>, Status>;

impl Case {
    /// The address, whose parts are the same on either side of the database.
    pub fn email(&self) -> String {
        format!("{}@example.com", self.person)
    }

    /// Who comes with the same address.
    pub fn another(&self) -> String {
        format!("{}-too", self.person)
    }

    /// What is granted in one team, or in both.
    pub fn grants(&self, both: bool) -> Vec<Grant> {
        let grant =
            |team: &String, role| Grant { team_id: team.clone(), role_ids: texts(&[role]), ..Default::default() };
        let all = [grant(&self.root, "member"), grant(&self.child, "admin")];
        all.into_iter().take(if both { 2 } else { 1 }).collect()
    }

    /// A request to invite the person.
    pub fn offer(&self, both: bool, request_id: &str) -> CreateInvitationRequest {
        let channels = [DeliveryChannel::LinkOnly, DeliveryChannel::Email, DeliveryChannel::External];
        CreateInvitationRequest {
            team_id: self.root.clone(),
            email: self.email(),
            role_ids: texts(&["member"]),
            other_grants: self.grants(both).split_off(1),
            delivery_channel: channels[rand::random_range(0..channels.len())].into(),
            request_id: request_id.to_owned(),
            ..Default::default()
        }
    }

    /// Makes a move, under this request id.
    pub async fn make(self, what: Move, service: Caller, clock: TestClock, request_id: String) -> Done {
        let team_side = if rand::random_ratio(1, 3) { &self.inviter } else { &self.owner };
        let person = service.clone().acting_for(team_side);
        let owner = service.clone().acting_for(&self.owner);
        let (team_id, invitation_id) = (self.root.clone(), self.id.clone());
        match what {
            AcceptByLink | AcceptById | AcceptAsAnother | AcceptAsStranger => {
                let request = self.acceptance(what, request_id);
                let accepted = service.invitations().accept_invitation(request).await?;
                return Ok(Some(accepted.into_inner()));
            }
            DeclineByLink | DeclineById => {
                let (invitation, user_id) = match what {
                    DeclineById => (Declined::InvitationId(invitation_id), self.person.clone()),
                    _ => (Declined::Token(self.token.clone()), String::new()),
                };
                let invitation = Some(invitation);
                let request = DeclineInvitationRequest { invitation, user_id, request_id, ..Default::default() };
                service.invitations().decline_invitation(request).await.map(drop)
            }
            Cancel => {
                let request =
                    wire::CancelInvitationRequest { team_id, invitation_id, request_id, ..Default::default() };
                person.invitations().cancel_invitation(request).await.map(drop)
            }
            Resend => {
                let request =
                    wire::ResendInvitationRequest { team_id, invitation_id, request_id, ..Default::default() };
                person.invitations().resend_invitation(request).await.map(drop)
            }
            Delete => {
                let request =
                    wire::DeleteInvitationRequest { team_id, invitation_id, request_id, ..Default::default() };
                person.invitations().delete_invitation(request).await.map(drop)
            }
            Expire | Widen | Narrow | Reword => {
                let end = clock.now() + TimeDelta::milliseconds(1);
                person.invitations().update_invitation(self.change(what, stamp(end), request_id)).await?;
                if what == Expire {
                    clock.advance(TimeDelta::milliseconds(2));
                }
                Ok(())
            }
            AskAnew => {
                let token = self.token.clone();
                let invitation = Some(wire::request_new_invitation_request::Invitation::Token(token));
                let request = wire::RequestNewInvitationRequest { invitation, request_id, ..Default::default() };
                service.invitations().request_new_invitation(request).await.map(drop)
            }
            RemoveInviter => {
                let user_id = self.inviter.clone();
                let request = wire::RemoveMemberRequest { team_id, user_id, request_id, ..Default::default() };
                owner.teams().remove_member(request).await.map(drop)
            }
            DemoteInviter => {
                let demoted = wire::Member { role_ids: texts(&["member"]), ..member(&team_id, &self.inviter) };
                let request = wire::UpdateMemberRequest { member: Some(demoted), request_id, ..Default::default() };
                owner.teams().update_member(request).await.map(drop)
            }
            InviteAgain => {
                owner.invitations().create_invitation(self.offer(rand::random(), &request_id)).await.map(drop)
            }
            InviteBelow => {
                let request = CreateInvitationRequest { team_id: self.child.clone(), ..self.offer(false, &request_id) };
                owner.invitations().create_invitation(request).await.map(drop)
            }
        }
        .map(|()| None)
    }

    fn acceptance(&self, what: Move, request_id: String) -> AcceptInvitationRequest {
        let new = |id: String| {
            let display_name = id.clone();
            Accepter::NewUser(NewUser { user_id: id, email_verified: true, display_name, ..Default::default() })
        };
        let accepter = match what {
            AcceptAsAnother => new(self.another()),
            AcceptAsStranger => Accepter::UserId("eve".to_owned()),
            AcceptByLink if self.newcomer => new(self.person.clone()),
            _ => Accepter::UserId(self.person.clone()),
        };
        let invitation = match what {
            AcceptById => Named::InvitationId(self.id.clone()),
            _ => Named::Token(self.token.clone()),
        };
        AcceptInvitationRequest {
            invitation: Some(invitation),
            accepter: Some(accepter),
            request_id,
            ..Default::default()
        }
    }

    fn change(&self, what: Move, end: prost_types::Timestamp, request_id: String) -> wire::UpdateInvitationRequest {
        let named = wire::Invitation { team_id: self.root.clone(), id: self.id.clone(), ..Default::default() };
        let (invitation, path) = match what {
            Expire => (wire::Invitation { expire_time: Some(end), ..named }, "expire_time"),
            Widen => (wire::Invitation { grants: self.grants(true), ..named }, "grants"),
            Narrow => (wire::Invitation { grants: self.grants(false), ..named }, "grants"),
            _ => (wire::Invitation { message: format!("Hello, {request_id}"), ..named }, "message"),
        };
        let update_mask = mask(&[path]);
        wire::UpdateInvitationRequest { invitation: Some(invitation), update_mask, request_id, ..Default::default() }
    }
}
