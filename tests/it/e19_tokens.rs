//! The secret in a link: nothing that is not just it will do, and it is nowhere but in the mail.

mod canary;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use chrono::TimeDelta;
use roster::{
    config::{Config, LinkKey},
    domain::keyring::Keyring,
};
use roster_proto::v1::{
    self as wire, InvitationAction, InvitationState, PreviewInvitationRequest, RequestNewInvitationRequest,
};
use tonic::{Code, Response, Status};

use crate::{
    both,
    support::{Caller, Db, Outcome as _, Scene, TestServer, log::Log, outcome::assert_says, storm},
};

/// The key that signs, and the one that did before it.
const KEYS: [(u8, &str); 2] = [(7, "5e"), (3, "0c")];
/// What a key signs in a link.
const PURPOSE: &str = "invitation-link";
/// Key number, invitation id, link version.
const CLAIM: std::ops::Range<usize> = 1..21;

fn keys(config: &mut Config) {
    let key =
        |(id, digits): &(u8, &str)| LinkKey { id: *id, secret: digits.repeat(32).parse().unwrap(), secret_file: None };
    config.links.keys = KEYS.iter().map(key).collect();
}

/// The bytes of a token.
fn bytes(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token).unwrap()
}

/// A token with these claims, as the key would sign it.
fn signed(key: (u8, &str), purpose: &str, claim: &[u8]) -> String {
    let secret = vec![u8::from_str_radix(key.1, 16).unwrap(); 32];
    let (id, code) = Keyring::new((key.0, &secret), &[]).sign(purpose, claim);
    URL_SAFE_NO_PAD.encode([&[id], claim, &code].concat())
}

/// An open invitation and one that ran out, so that each of the RPCs has something that it could do.
struct Ground {
    scene: Scene,
    open: (String, String),
    expired: (String, String),
    services: Vec<Caller>,
}

impl Ground {
    async fn new(db: Db) -> Self {
        let scene = Scene::on(TestServer::with(db, keys).await).await;
        let invite = async |email: &str| {
            let id = scene.person("ada").invite_outside(&scene.team, email).await;
            let token = scene.token(&id).await;
            (id, token)
        };
        let (open, expired) = (invite("dan@example.com").await, invite("eve@example.com").await);
        let end = scene.after(TimeDelta::minutes(1));
        scene.person("ada").end_invitation_at(&scene.team, &expired.0, end).await.done();
        scene.server.clock.advance(TimeDelta::minutes(2));
        // It is told of first, so that nothing but a call changes anything from here on.
        crate::support::server::eventually("it is recorded", async || {
            let told = scene.told(&["invitation_expired"]).await;
            (!told.is_empty()).then_some(())
        })
        .await;
        let services = storm::services(scene.server.address(), 16);
        Self { scene, open, expired, services }
    }

    /// Each of these tokens is refused as none of ours by each of the RPCs, and nothing comes of it. What is made of the
    /// token of the open invitation could be accepted, declined and looked at; what is made of the other's could ask for
    /// a new one.
    async fn assert_refused(&self, made_of_open: Vec<String>, made_of_expired: Vec<String>) -> usize {
        let before = self.everything().await;
        let answering = made_of_open
            .into_iter()
            .flat_map(|token| [Rpc::Preview, Rpc::Accept, Rpc::Decline].map(|rpc| (rpc, token.clone())));
        let asking = made_of_expired.into_iter().map(|token| (Rpc::AskAnew, token));
        let calls: Vec<_> = answering.chain(asking).collect();
        let count = calls.len();
        for some in calls.chunks(400) {
            let calls = some.iter().cloned().zip(self.services.iter().cycle().cloned());
            let calls: Vec<_> = calls
                .map(|((rpc, token), service)| async move {
                    let result = rpc.call(&service, &token).await;
                    (rpc, token, result)
                })
                .collect();
            for (rpc, token, result) in storm::at_once(calls).await {
                let status = result.expect_err(&format!("{rpc:?} took {token:?}"));
                assert_says(&status, Code::InvalidArgument, "TOKEN_INVALID");
                // It is not told back, whatever it was.
                assert!(token.len() < 8 || !format!("{status:?}").contains(&token), "{status:?}");
            }
        }
        assert_eq!(self.everything().await, before);
        count
    }

    /// Whatever a call could have changed.
    async fn everything(&self) -> Vec<String> {
        let s = &self.scene;
        let mut everything = s.members().await;
        for id in [&self.open.0, &self.expired.0] {
            everything.push(format!("{:?}", invitation(s, id).await));
        }
        let log = Log::read(&s.service()).await;
        let events = log.events.iter().filter(|event| !event.user_id.starts_with("marker"));
        everything.extend(events.map(|event| event.event_id.clone()));
        everything
    }
}

async fn invitation(scene: &Scene, id: &str) -> wire::Invitation {
    let (team_id, invitation_id) = (scene.team.clone(), id.to_owned());
    let request = wire::GetInvitationRequest { team_id, invitation_id, ..Default::default() };
    scene.service().invitations().get_invitation(request).await.done().invitation.unwrap()
}

/// What takes a token.
#[derive(Debug, Clone, Copy)]
enum Rpc {
    Preview,
    Accept,
    Decline,
    AskAnew,
}

impl Rpc {
    async fn call(self, service: &Caller, token: &str) -> Result<(), Status> {
        match self {
            Self::Preview => preview(service, token).await.map(drop),
            Self::Accept => service.accept_new(token, "dan").await.map(drop),
            Self::Decline => service.decline(token).await.map(drop),
            Self::AskAnew => ask_anew(service, token).await.map(drop),
        }
    }
}

type Answer<T> = Result<Response<T>, Status>;

async fn preview(service: &Caller, token: &str) -> Answer<wire::PreviewInvitationResponse> {
    service.invitations().preview_invitation(PreviewInvitationRequest { token: token.to_owned() }).await
}

async fn ask_anew(service: &Caller, token: &str) -> Answer<wire::RequestNewInvitationResponse> {
    let invitation = Some(wire::request_new_invitation_request::Invitation::Token(token.to_owned()));
    let request = RequestNewInvitationRequest { invitation, ..Default::default() };
    service.invitations().request_new_invitation(request).await
}

/// Every text that differs from a token in one bit, of what it stands for or of its own letters.
fn flipped(token: &str) -> Vec<String> {
    let flip = |bytes: &[u8], bit: usize| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    };
    let inside = bytes(token);
    let of_bytes = (0..inside.len() * 8).map(|bit| URL_SAFE_NO_PAD.encode(flip(&inside, bit)));
    let of_text = (0..token.len() * 8).filter_map(|bit| String::from_utf8(flip(token.as_bytes(), bit)).ok());
    of_bytes.chain(of_text).collect()
}

/// Texts that hold all of a token, or nearly.
fn misshapen(token: &str) -> Vec<String> {
    let inside = bytes(token);
    let mut texts = vec![
        URL_SAFE.encode(&inside),
        STANDARD.encode(&inside),
        format!("{token}="),
        format!("{token}=="),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\n"),
        format!("{token}\0"),
        format!("{token}A"),
        format!("A{token}"),
        format!("{token}{token}"),
        format!("{token}.{token}"),
        format!("{}\n{}", &token[..40], &token[40..]),
        format!("http://localhost:8080/invitations/accept?token={token}"),
        token.to_ascii_lowercase(),
        token.to_ascii_uppercase(),
        token.chars().rev().collect(),
        inside.iter().map(|byte| format!("{byte:02x}")).collect(),
        URL_SAFE_NO_PAD.encode(token),
        URL_SAFE_NO_PAD.encode([&inside[..], &[0]].concat()),
        URL_SAFE_NO_PAD.encode([&[0], &inside[..]].concat()),
        URL_SAFE_NO_PAD.encode([&inside[..], &inside[..]].concat()),
        "A".repeat(token.len()),
        "A".repeat(100_000),
    ];
    // Only where it has letters that differ between the alphabets is the other alphabet another text.
    texts.extend(Some(STANDARD_NO_PAD.encode(&inside)).filter(|other| other != token));
    // The last letter says less than it could: the bits that it does not need have to be none.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.iter().position(|letter| token.as_bytes().last() == Some(letter)).unwrap();
    let spare = 1 << (token.len() * 6 - inside.len() * 8);
    texts.extend((1..spare).map(|bits| format!("{}{}", &token[..token.len() - 1], char::from(alphabet[last + bits]))));
    texts.extend((0..token.len()).map(|length| token[..length].to_owned()));
    texts.extend((1..token.len()).map(|from| token[from..].to_owned()));
    texts.extend((0..inside.len()).map(|length| URL_SAFE_NO_PAD.encode(&inside[..length])));
    texts
}

/// Tokens that somebody could sign who has one key too many, or one part of two tokens.
fn forged(token: &str, other: &str) -> Vec<String> {
    let (inside, other) = (bytes(token), bytes(other));
    let [signing, retired] = KEYS;
    let claim = &inside[CLAIM];
    let next = {
        let mut claim = claim.to_vec();
        *claim.last_mut().unwrap() += 1;
        claim
    };
    let nobodys = [&[0x01; 16], &claim[16..]].concat();
    vec![
        // The claim of one and the code of another, and the other way around.
        URL_SAFE_NO_PAD.encode([&inside[..CLAIM.end], &other[CLAIM.end..]].concat()),
        URL_SAFE_NO_PAD.encode([&other[..CLAIM.end], &inside[CLAIM.end..]].concat()),
        // A link that was never made, and one of an invitation that was never made.
        signed(signing, PURPOSE, &next),
        signed(retired, PURPOSE, &next),
        signed(signing, PURPOSE, &nobodys),
        // For another purpose, of another key, and of a key that goes by another's number.
        signed(signing, "page", claim),
        signed(signing, "", claim),
        signed((signing.0, "77"), PURPOSE, claim),
        signed((99, signing.1), PURPOSE, claim),
        signed((retired.0, signing.1), PURPOSE, claim),
        // Without the version, and with more than it.
        signed(signing, PURPOSE, &claim[..16]),
        signed(signing, PURPOSE, &[claim, &[0]].concat()),
    ]
}

both! {
    async fn a_token_with_one_bit_changed_is_refused(db: Db) {
        let g = Ground::new(db).await;
        let count = g.assert_refused(flipped(&g.open.1), flipped(&g.expired.1)).await;
        println!("e19 {db:?}: {count} calls with one bit changed were refused");
    }

    async fn a_token_in_another_form_is_refused(db: Db) {
        let g = Ground::new(db).await;
        let count = g.assert_refused(misshapen(&g.open.1), misshapen(&g.expired.1)).await;
        println!("e19 {db:?}: {count} calls with tokens in other forms were refused");
    }

    async fn a_token_that_was_not_handed_out_is_refused(db: Db) {
        let g = Ground::new(db).await;
        let (open, expired) = (&g.open.1, &g.expired.1);
        g.assert_refused(forged(open, expired), forged(expired, open)).await;
        // It is signed just as the real ones are, or all of this would say nothing.
        assert_eq!(&signed(KEYS[0], PURPOSE, &bytes(open)[CLAIM]), open);
        for rpc in [Rpc::Preview, Rpc::Accept] {
            rpc.call(&g.scene.service(), open).await.unwrap();
        }
    }

    /// Whoever has somebody else's link cannot do with it what it was not sent for.
    async fn the_token_of_another_invitation_opens_that_one_alone(db: Db) {
        let g = Ground::new(db).await;
        let (s, service) = (&g.scene, g.scene.service());
        let before = g.everything().await;
        service.accept(&g.open.1, "eve").await.refused(Code::FailedPrecondition, "EMAIL_MISMATCH");
        service.accept(&g.expired.1, "eve").await.refused(Code::FailedPrecondition, "INVITATION_EXPIRED");
        service.decline(&g.expired.1).await.refused(Code::FailedPrecondition, "INVITATION_EXPIRED");
        ask_anew(&service, &g.open.1).await.refused(Code::FailedPrecondition, "INVITATION_OPEN");
        assert_eq!(g.everything().await, before);
        service.decline(&g.open.1).await.done();
        assert_eq!(invitation(s, &g.open.0).await.state(), InvitationState::Declined);
        assert_eq!(invitation(s, &g.expired.0).await.state(), InvitationState::Expired);
    }

    async fn a_link_that_was_replaced_is_dead(db: Db) {
        let g = Ground::new(db).await;
        let (s, service) = (&g.scene, g.scene.service());
        let (id, older) = &g.expired;
        s.person("ada").resend(&s.team, id).await.done();
        let newer = s.token(id).await;
        assert_ne!(&newer, older);
        let before = g.everything().await;
        service.accept(older, "eve").await.refused(Code::FailedPrecondition, "LINK_REPLACED");
        service.decline(older).await.refused(Code::FailedPrecondition, "LINK_REPLACED");
        ask_anew(&service, older).await.refused(Code::FailedPrecondition, "LINK_REPLACED");
        let actions = preview(&service, older).await.done().preview.unwrap().next_actions;
        assert_eq!(actions, [i32::from(InvitationAction::UseLatestLink)]);
        assert_eq!(g.everything().await, before);
        // What is made of the newer one does not come to the older one either.
        g.assert_refused(flipped(&newer), Vec::new()).await;
        // Sent again while it is open, it keeps its link.
        s.person("ada").resend(&s.team, id).await.done();
        assert_eq!(s.token(id).await, newer);
        service.accept(&newer, "eve").await.done();
        service.accept(older, "eve").await.refused(Code::FailedPrecondition, "LINK_REPLACED");
    }

    /// A key can be replaced: what it signed lives until it is taken away.
    async fn a_token_of_a_retired_key_is_taken_until_the_key_is_gone(db: Db) {
        let mut g = Ground::new(db).await;
        let claim = bytes(&g.open.1)[CLAIM].to_vec();
        let [signing, retired] = KEYS;
        preview(&g.scene.service(), &signed(retired, PURPOSE, &claim)).await.done();
        g.scene.server.restart_with(|config| config.links.keys.truncate(1)).await;
        g.services = storm::services(g.scene.server.address(), 16);
        g.assert_refused(vec![signed(retired, PURPOSE, &claim)], Vec::new()).await;
        preview(&g.scene.service(), &signed(signing, PURPOSE, &claim)).await.done();
    }
}
