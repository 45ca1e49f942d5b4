//! Page tokens: where a list goes on, bound to the query that it is the next page of.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use super::status::{EdgeError, Failure};
use crate::domain::keyring::{Keyring, MAC_LEN};

/// The tokens of one kind of list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages<'a> {
    keys: &'a Keyring,
    purpose: &'static str,
}

impl<'a> Pages<'a> {
    /// Of the list that this RPC answers.
    pub(super) fn new(keys: &'a Keyring, purpose: &'static str) -> Self {
        Self { keys, purpose }
    }

    /// The place that a token stands for; `None` for the first page. `query` is the request without what may change from
    /// page to page.
    pub(super) fn open<P: DeserializeOwned>(self, query: &impl Message, token: &str) -> Result<Option<P>, Failure> {
        if token.is_empty() {
            return Ok(None);
        }
        self.read(query, token).map(Some).ok_or_else(|| EdgeError::PageTokenInvalid.into())
    }

    /// The items that fit, and the token of the next page if one more was there.
    pub(super) fn cut<T, P: Serialize>(
        self,
        query: &impl Message,
        mut items: Vec<T>,
        size: u64,
        place: impl Fn(&T) -> P,
    ) -> (Vec<T>, String) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let token = items.last().filter(|_| more).map(|last| self.seal(query, &place(last)));
        (items, token.unwrap_or_default())
    }

    /// The token of the page after this place; empty where there is none.
    pub(super) fn next(self, query: &impl Message, place: Option<&impl Serialize>) -> String {
        place.map(|place| self.seal(query, place)).unwrap_or_default()
    }

    fn seal(self, query: &impl Message, place: &impl Serialize) -> String {
        let place = serde_json::to_vec(place).unwrap_or_default();
        let (key_id, code) = self.keys.sign(self.purpose, &bound(query, &place));
        URL_SAFE_NO_PAD.encode([&[key_id][..], &code, &place].concat())
    }

    fn read<P: DeserializeOwned>(self, query: &impl Message, token: &str) -> Option<P> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (key_id, rest) = bytes.split_first()?;
        let (code, place) = rest.split_at_checked(MAC_LEN)?;
        if !self.keys.verify(*key_id, self.purpose, &bound(query, place), code) {
            return None;
        }
        serde_json::from_slice(place).ok()
    }
}

/// The query and the place, in a form that cannot be cut in two ways.
fn bound(query: &impl Message, place: &[u8]) -> Vec<u8> {
    let query = query.encode_to_vec();
    [&(query.len() as u64).to_be_bytes()[..], &query, place].concat()
}

#[cfg(test)]
mod tests {
    use roster_proto::v1::ListMembersRequest;

    use super::*;

    fn query(team: &str) -> ListMembersRequest {
        ListMembersRequest { team_id: team.to_owned(), ..Default::default() }
    }

    #[test]
    fn a_token_opens_the_next_page_of_its_own_query_only() {
        let keys = Keyring::new((1, b"key"), &[]);
        let pages = Pages::new(&keys, "ListMembers");
        let (items, token) = pages.cut(&query("a"), vec![1, 2, 3], 2, |n| *n);
        assert_eq!(items, [1, 2]);
        assert_eq!(pages.open::<i32>(&query("a"), &token).unwrap(), Some(2));
        assert!(pages.open::<i32>(&query("b"), &token).is_err());
        assert!(Pages::new(&keys, "ListTeams").open::<i32>(&query("a"), &token).is_err());
        assert_eq!(pages.cut(&query("a"), vec![1, 2], 2, |n| *n).1, "");
    }

    #[test]
    fn a_changed_token_opens_nothing() {
        let keys = Keyring::new((1, b"key"), &[]);
        let pages = Pages::new(&keys, "ListMembers");
        let (_, token) = pages.cut(&query("a"), vec![1, 2, 3], 2, |n| *n);
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(pages.open::<i32>(&query("a"), &URL_SAFE_NO_PAD.encode(changed)).is_err(), "bit {bit}");
        }
    }
}
