//! The main job, end to end: a team, an invitation, a mail, a member, an event, a removal, a refusal.

use roster_proto::events::v1::event::Payload;
use tonic::Code;

use crate::{
    both,
    support::{Db, Outcome as _, Scene},
};

both! {
    async fn from_the_invitation_to_the_removal(db: Db) {
        let s = Scene::new(db).await;
        let ada = s.person("ada");
        let invitation = ada.invite(&s.team, "Dan@Example.com", &["member"]).await.done().invitation.unwrap();
        assert_eq!(invitation.email, "dan@example.com");

        let mails = s.server.wait_for_mails("dan@example.com", 1).await;
        let link = mails[0].split_whitespace().find(|word| word.contains("token=")).unwrap();
        let token = link.split_once("token=").unwrap().1;
        let accepted = s.service().accept_new(token, "dan").await.done();
        assert_eq!(accepted.member.unwrap().role_ids, ["member"]);
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member", "dan member"]);
        s.person("dan").list(&s.team).await.done();

        let events = s.service().events_of(&s.team, 7).await;
        let added = events.iter().filter_map(|event| match event.payload.as_ref().unwrap() {
            Payload::MemberAdded(added) => Some(added.after.as_ref().unwrap().user_id.as_str()),
            _ => None,
        });
        assert_eq!(added.collect::<Vec<_>>(), ["ada", "bob", "carol", "dan"]);

        ada.remove(&s.team, "dan").await.done();
        s.person("dan").list(&s.team).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member"]);
    }
}
