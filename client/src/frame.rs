//! The request as it goes over the wire: one message behind five bytes, to which a request id can be added.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::encoding::{DecodeContext, WireType, decode_key, encode_key, encode_varint, skip_field};

/// Before each message: whether it is compressed, and how long it is.
const HEAD: usize = 5;

/// Whether the message has this text field, and not empty. `None` for what is no single message in plain.
pub(crate) fn has_text(frame: &Bytes, field: u32) -> Option<bool> {
    let mut rest = message(frame)?;
    while rest.has_remaining() {
        let (number, kind) = decode_key(&mut rest).ok()?;
        if number == field && kind == WireType::LengthDelimited {
            // The last one counts, but nobody sends two.
            return Some(rest.first() != Some(&0));
        }
        skip_field(kind, number, &mut rest, DecodeContext::default()).ok()?;
    }
    Some(false)
}

/// The frame with this text field added to its message.
pub(crate) fn with_text(frame: &Bytes, field: u32, text: &str) -> Option<Bytes> {
    let message = message(frame)?;
    let mut added = BytesMut::with_capacity(message.len() + text.len() + 2 * HEAD);
    added.extend_from_slice(message);
    encode_key(field, WireType::LengthDelimited, &mut added);
    encode_varint(u64::try_from(text.len()).ok()?, &mut added);
    added.extend_from_slice(text.as_bytes());
    let mut frame = BytesMut::with_capacity(HEAD + added.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(added.len()).ok()?);
    frame.extend_from_slice(&added);
    Some(frame.freeze())
}

fn message(frame: &Bytes) -> Option<&[u8]> {
    let (head, message) = frame.split_at_checked(HEAD)?;
    let (compressed, mut length) = head.split_first()?;
    (*compressed == 0 && usize::try_from(length.get_u32()) == Ok(message.len())).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use roster_proto::v1::{CreateTeamRequest, TeamPolicy};

    fn frame(message: &CreateTeamRequest) -> Bytes {
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
        message.encode(&mut frame).unwrap();
        frame.freeze()
    }

    #[test]
    fn an_id_is_added_once() {
        let mut request =
            CreateTeamRequest { name: "Acme".into(), policy: Some(TeamPolicy::default()), ..Default::default() };
        let plain = frame(&request);
        assert_eq!(has_text(&plain, 6), Some(false));
        let named = with_text(&plain, 6, "id").unwrap();
        request.request_id = "id".into();
        assert_eq!(CreateTeamRequest::decode(&named[HEAD..]).unwrap(), request);
        assert_eq!(has_text(&named, 6), Some(true));
        assert_eq!(named[1..HEAD], frame(&request)[1..HEAD]);
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        for odd in [&b""[..], &[0, 0, 0, 0, 9, 1], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 1, 0xff]] {
            assert_eq!(has_text(&Bytes::from_static(odd), 6), None, "{odd:?}");
        }
    }
}
