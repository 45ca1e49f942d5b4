//! Events in protobuf's JSON form, for consumers that have no use for the generated types.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

static EVENT: LazyLock<MessageDescriptor> = LazyLock::new(descriptor);

/// An encoded event as JSON: names in `lowerCamelCase`, 64-bit numbers and times as text, absent fields left out.
pub fn to_json(encoded: &[u8]) -> Result<Vec<u8>, JsonError> {
    let message = DynamicMessage::decode(EVENT.clone(), encoded)?;
    Ok(serde_json::to_vec(&message)?)
}

/// Why an event has no JSON form: it is damaged.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// It is no event.
    #[error("the event cannot be decoded")]
    Encoding(#[from] prost::DecodeError),
    /// It holds a value that JSON cannot, such as a time beyond all years.
    #[error("the event holds a value that has no JSON form")]
    Value(#[from] serde_json::Error),
}

#[expect(clippy::expect_used, reason = "the descriptors are compiled in; without them there is nothing to go on with")]
fn descriptor() -> MessageDescriptor {
    let pool = DescriptorPool::decode(roster_proto::DESCRIPTORS).expect("the descriptors can be read");
    pool.get_message_by_name("roster.events.v1.Event").expect("the event is described")
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use roster_proto::events::v1 as wire;

    use super::*;

    #[test]
    fn an_event_has_a_json_form() {
        let event = wire::Event {
            team_version: 3,
            occur_time: Some(prost_types::Timestamp { seconds: 1_767_225_600, nanos: 0 }),
            cause: wire::Cause::Direct.into(),
            payload: Some(wire::event::Payload::TeamDeleted(wire::TeamDeleted { before: None })),
            ..wire::Event::default()
        };
        let json = String::from_utf8(to_json(&event.encode_to_vec()).unwrap()).unwrap();
        insta::assert_snapshot!(
            json,
            @r#"{"teamVersion":"3","occurTime":"2026-01-01T00:00:00Z","cause":"CAUSE_DIRECT","teamDeleted":{}}"#
        );
        assert!(to_json(b"\xff").is_err());
    }
}
