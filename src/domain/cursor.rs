//! Cursors: places in the order of all events, as text that callers keep and do not read.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// The first byte of every cursor, so that another form can be told apart one day.
const FORMAT: u8 = 1;

/// The cursor after the event at this position; 0 is before the first one.
pub fn encode(position: i64) -> String {
    URL_SAFE_NO_PAD.encode([&[FORMAT][..], &position.to_be_bytes()].concat())
}

/// The position that a cursor stands for, if it is one.
pub fn decode(text: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (&format, position) = bytes.split_first()?;
    let position = i64::from_be_bytes(position.try_into().ok()?);
    (format == FORMAT && position >= 0).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_stands_for_its_position() {
        assert_eq!(encode(1), "AQAAAAAAAAAB");
        for position in [0, 1, 255, 256, i64::MAX] {
            assert_eq!(decode(&encode(position)), Some(position));
        }
    }

    #[test]
    fn anything_else_is_none() {
        let other_format = URL_SAFE_NO_PAD.encode([2, 0, 0, 0, 0, 0, 0, 0, 1]);
        for text in
            ["", "1", "AQAAAAAAAAA", "AQAAAAAAAAAB=", "AQAAAAAAAAABAA", "!QAAAAAAAAAB", &encode(-1), &other_format]
        {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
