//! Events.

use roster_proto::events::v1 as wire;

use crate::{application::Error, contract, domain::cursor, repository::events::StoredEvent};

pub(in crate::grpc) fn message(event: &StoredEvent) -> Result<wire::Event, Error> {
    let message = contract::decode(&event.payload, cursor::encode(event.position));
    message.map_err(|why| Error::Defect(format!("event {} cannot be decoded: {why}", event.id)))
}
