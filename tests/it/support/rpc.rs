//! Calls of any RPC, by its name and with a request as JSON: for tests that are about all of them.

use std::collections::BTreeMap;

use bytes::{Buf as _, BufMut as _};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use tokio_stream::StreamExt as _;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use super::Caller;
use crate::contract::api::{RPCS, Rpc};

/// A request that the caller named in the scene of a test may make, for every RPC. What stands in braces is a name that
/// the test puts an id in for.
pub const REQUESTS: [(&str, &str); 72] = [
    ("CreateTeam", r#"{"name": "Below", "parentTeamId": "{team}"}"#),
    ("GetTeam", r#"{"teamId": "{team}"}"#),
    ("ListTeams", r#"{"parentTeamId": "{team}"}"#),
    ("UpdateTeam", r#"{"team": {"id": "{team}", "name": "Other"}}"#),
    ("DisableTeam", r#"{"teamId": "{team}"}"#),
    ("EnableTeam", r#"{"teamId": "{team}"}"#),
    ("DeleteTeam", r#"{"teamId": "{team}", "cascade": true}"#),
    ("AddMember", r#"{"teamId": "{team}", "userId": "{newcomer}", "roleIds": ["{role}"]}"#),
    ("GetMember", r#"{"teamId": "{team}", "userId": "{target}"}"#),
    ("BatchGetMembers", r#"{"teamId": "{team}", "userIds": ["{target}"]}"#),
    ("ListMembers", r#"{"teamId": "{team}", "roleId": "{role}"}"#),
    (
        "UpdateMember",
        r#"{"member": {"teamId": "{team}", "user": {"id": "{target}"}, "roleIds": ["{role}", "member"]}}"#,
    ),
    ("SuspendMember", r#"{"teamId": "{team}", "userId": "{target}"}"#),
    ("ReactivateMember", r#"{"teamId": "{team}", "userId": "{target}"}"#),
    ("RemoveMember", r#"{"teamId": "{team}", "userId": "{target}"}"#),
    ("LeaveTeam", r#"{"teamId": "{team}"}"#),
    ("TransferOwnership", r#"{"teamId": "{team}", "newOwnerUserId": "{target}"}"#),
    (
        "SetUserAccess",
        r#"{"userId": "{target}", "grants": [{"teamId": "{child}", "roleIds": ["{role}"]}], "removeTeamIds": ["{team}"]}"#,
    ),
    ("ListRoster", r#"{"teamId": "{team}"}"#),
    (
        "CreateRole",
        r#"{"role": {"teamId": "{team}", "key": "new", "name": "New", "permissions": ["roster.teams.read"]}}"#,
    ),
    ("GetRole", r#"{"teamId": "{team}", "roleId": "{role}"}"#),
    ("ListRoles", r#"{"teamId": "{team}"}"#),
    ("UpdateRole", r#"{"role": {"teamId": "{team}", "id": "{role}", "name": "Other"}}"#),
    ("DeleteRole", r#"{"teamId": "{team}", "roleId": "{role}", "replacementRoleId": "{replacement}"}"#),
    ("ListPermissions", "{}"),
    ("CreateUser", r#"{"email": "new@example.com"}"#),
    ("GetUser", r#"{"userId": "{target}"}"#),
    ("UpdateUser", r#"{"user": {"id": "{target}", "displayName": "Other"}, "teamId": "{team}"}"#),
    ("DeleteUser", r#"{"userId": "{target}", "teamId": "{team}"}"#),
    ("GetNotificationPreferences", r#"{"userId": "{target}"}"#),
    ("UpdateNotificationPreferences", r#"{"notificationPreferences": {"userId": "{target}"}}"#),
    ("CreateInvitation", r#"{"teamId": "{team}", "email": "new@example.com", "roleIds": ["{role}"]}"#),
    ("GetInvitation", r#"{"teamId": "{team}", "invitationId": "{invitation}"}"#),
    ("ListInvitations", r#"{"teamId": "{team}"}"#),
    ("ResendInvitation", r#"{"teamId": "{team}", "invitationId": "{invitation}"}"#),
    ("GetInvitationLink", r#"{"teamId": "{team}", "invitationId": "{invitation}"}"#),
    ("CancelInvitation", r#"{"teamId": "{team}", "invitationId": "{invitation}"}"#),
    (
        "BatchCreateInvitations",
        r#"{"teamId": "{team}", "text": "new@example.com", "roleIds": ["{role}"], "otherGrants": [{"teamId": "{child}", "roleIds": ["{given}"]}]}"#,
    ),
    ("ListMyInvitations", r#"{"userId": "{target}"}"#),
    ("UpdateInvitation", r#"{"invitation": {"teamId": "{team}", "id": "{invitation}", "message": "Hello"}}"#),
    ("DeleteInvitation", r#"{"teamId": "{team}", "invitationId": "{invitation}"}"#),
    (
        "ReportDelivery",
        r#"{"teamId": "{team}", "invitationId": "{outside}", "state": "DELIVERY_STATE_FAILED", "error": "no such mailbox"}"#,
    ),
    ("PreviewInvitation", r#"{"token": "{token}"}"#),
    ("AcceptInvitation", r#"{"token": "{token}", "userId": "{invited}"}"#),
    ("DeclineInvitation", r#"{"token": "{token}"}"#),
    ("RequestNewInvitation", r#"{"token": "{expired}"}"#),
    ("CheckAccess", r#"{"userId": "{target}", "teamId": "{team}", "permission": "a.b"}"#),
    ("BatchCheckAccess", r#"{"checks": [{"userId": "{target}", "teamId": "{team}", "permission": "a.b"}]}"#),
    ("ExplainAccess", r#"{"userId": "{target}", "teamId": "{team}", "permission": "a.b"}"#),
    ("ListEvents", r#"{"teamId": "{team}"}"#),
    ("Watch", r#"{"teamId": "{team}", "fromBeginning": true}"#),
    // The same RPCs in the other ways in which they can be asked.
    ("CreateTeam", r#"{"name": "Own", "ownerUserId": "{target}"}"#),
    ("GetTeam", r#"{"slug": "acme"}"#),
    ("ListTeams", r#"{"ancestorTeamId": "{team}"}"#),
    ("ListTeams", r#"{"userId": "{target}"}"#),
    ("GetUser", r#"{"email": "carol@example.com"}"#),
    (
        "UpdateInvitation",
        r#"{"invitation": {"teamId": "{team}", "id": "{invitation}", "grants": [{"teamId": "{granted}", "roleIds": ["{role}"]}]}}"#,
    ),
    ("AcceptInvitation", r#"{"invitationId": "{invitation}", "userId": "{invited}"}"#),
    ("DeclineInvitation", r#"{"invitationId": "{invitation}", "userId": "{invited}"}"#),
    ("RequestNewInvitation", r#"{"invitationId": "{invitation}", "userId": "{invited}"}"#),
    ("ListEvents", "{}"),
    ("Watch", r#"{"fromBeginning": true}"#),
    (
        "CreateTeam",
        r#"{"name": "Charged", "parentTeamId": "{team}", "personInCharge": {"email": "new@example.com", "roleIds": ["{role}"]}}"#,
    ),
    (
        "AddMember",
        r#"{"teamId": "{team}", "userId": "{newcomer}", "roleIds": ["{role}"], "roleExpireTimes": {"{timed}": "2100-01-01T00:00:00Z"}}"#,
    ),
    (
        "UpdateMember",
        r#"{"member": {"teamId": "{team}", "user": {"id": "{target}"}, "roleIds": ["{role}"], "roleExpireTimes": {"{timed}": "2100-01-01T00:00:00Z"}}}"#,
    ),
    (
        "SetUserAccess",
        r#"{"userId": "{target}", "grants": [{"teamId": "{team}", "roleIds": ["{role}"], "roleExpireTimes": {"{timed}": "2100-01-01T00:00:00Z"}}]}"#,
    ),
    ("CreateUser", r#"{"email": "new@example.com", "userId": "{fresh}", "homeTeamId": "{team}"}"#),
    ("UpdateUser", r#"{"user": {"id": "{target}", "homeTeamId": "{team}"}}"#),
    (
        "CreateInvitation",
        r#"{"teamId": "{team}", "email": "new@example.com", "roleIds": ["{role}"], "otherGrants": [{"teamId": "{child}", "roleIds": ["{given}"]}]}"#,
    ),
    ("ListInvitations", r#"{"teamId": "{team}", "inviterUserId": "{target}"}"#),
    (
        "ReportDelivery",
        r#"{"teamId": "{team}", "invitationId": "{outside}", "deliveryId": "{delivery}", "state": "DELIVERY_STATE_SENT"}"#,
    ),
    ("AcceptInvitation", r#"{"token": "{token}", "newUser": {"userId": "{fresh}"}}"#),
];

/// The RPC with this name.
pub fn rpc(name: &str) -> &'static Rpc {
    RPCS.iter().find(|rpc| rpc.name == name).unwrap_or_else(|| panic!("there is no RPC {name}"))
}

/// A request with ids in place of names: of all names.
pub fn filled(template: &str, ids: &BTreeMap<&str, String>) -> String {
    let text = ids.iter().fold(template.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id));
    let left = text.split('{').skip(1).find(|rest| rest.starts_with(char::is_alphabetic));
    assert_eq!(left, None, "nothing stands for a name in {template}");
    text
}

impl Caller {
    /// Calls an RPC with a request as JSON. Of a stream, the first message counts.
    pub async fn call(&self, rpc: &Rpc, json: &str) -> Result<Vec<u8>, Status> {
        let message = DynamicMessage::deserialize(rpc.input.clone(), &mut serde_json::Deserializer::from_str(json));
        let message = message.unwrap_or_else(|why| panic!("{}: {why}: {json}", rpc.name));
        let path = format!("/{}/{}", rpc.service, rpc.name).parse().unwrap();
        let mut client = Grpc::new(self.connection());
        client.ready().await.unwrap();
        let request = Request::new(message.encode_to_vec());
        let mut answers = client.server_streaming(request, path, Plain).await?.into_inner();
        answers.next().await.unwrap_or_else(|| Ok(Vec::new()))
    }
}

/// Messages as the bytes that they are.
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length).to_vec()))
    }
}
