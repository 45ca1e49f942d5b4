//! Many addresses from one text, as people paste them: out of a mail client, a spreadsheet, a chat.
//!
//! Nothing here asks whether an address exists or may be invited. What cannot be read is kept with its reason, so that
//! whoever pasted it sees what became of every piece.

use std::collections::BTreeSet;

use super::{Email, Invalid, email};

/// The different addresses of a list, and what could not be read, in the order in which they first appear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressList {
    entries: Vec<Entry>,
    seen: BTreeSet<String>,
}

/// One piece of what was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An address, in its normal form.
    Address(Email),
    /// What is no address.
    Unreadable {
        /// The piece without what surrounds it, cut to [`AddressList::MAX_PIECE`] characters.
        text: String,
        /// Why it is none.
        why: Invalid,
    },
}

/// More different entries than a list may have, [`AddressList::MAX_ENTRIES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must hold at most {max} different addresses", max = AddressList::MAX_ENTRIES)]
pub struct TooMany;

impl AddressList {
    /// How many different entries a list has at most, counting those that cannot be read.
    pub const MAX_ENTRIES: usize = 1_000;

    /// How many characters of a piece are looked at: no address has more.
    pub const MAX_PIECE: usize = 320;

    /// Reads addresses that were given one by one, and then a pasted text.
    ///
    /// White space, commas and semicolons separate. `Ada <ada@example.com>`, `"Last, First" <ada@example.com>` and
    /// `mailto:ada@example.com` are understood; quotes and brackets around an address, and a dot after it, are not part
    /// of it. Words right before an address in angle brackets are its owner's name, up to the comma, semicolon or end
    /// of line before them; every other word that is no address is [`Entry::Unreadable`], unless it holds neither a
    /// letter nor a digit. An element of `addresses` that is an address as it stands is taken as it stands; any other is
    /// read like a text. Takes time linear in what it is given, whatever that is.
    pub fn parse(addresses: &[String], text: &str) -> Result<Self, TooMany> {
        let mut list = Self::default();
        for address in addresses {
            match parse_bounded(address.trim()) {
                Ok(email) => list.add(Entry::Address(email))?,
                Err(_) => list.read(address)?,
            }
        }
        list.read(text)?;
        Ok(list)
    }

    /// The entries, each once, in the order in which they first appear.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes the entries out.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    fn read(&mut self, text: &str) -> Result<(), TooMany> {
        // Words that may turn out to be the name before an address in brackets.
        let mut words = Vec::new();
        let mut rest = text;
        while let Some((token, after)) = next_token(rest) {
            rest = after;
            match token {
                Token::Word(word) if !word.contains('@') => words.push(word),
                Token::Word(word) => {
                    self.read_pieces(words.drain(..))?;
                    self.read_piece(word)?;
                }
                Token::Bracketed(inside) => {
                    words.clear();
                    self.read_pieces(inside.split(|c| is_space(c) || is_break(c)))?;
                }
                Token::Break => self.read_pieces(words.drain(..))?,
            }
        }
        self.read_pieces(words.into_iter())
    }

    fn read_pieces<'a>(&mut self, mut pieces: impl Iterator<Item = &'a str>) -> Result<(), TooMany> {
        pieces.try_for_each(|piece| self.read_piece(piece))
    }

    fn read_piece(&mut self, piece: &str) -> Result<(), TooMany> {
        let piece = bare(piece);
        match parse_bounded(piece) {
            Ok(email) => self.add(Entry::Address(email)),
            // A dash before each address of a list is nothing that anybody would miss.
            Err(_) if !piece.contains(|c: char| c == '@' || c.is_alphanumeric()) => Ok(()),
            Err(why) => self.add(Entry::Unreadable { text: piece.chars().take(Self::MAX_PIECE).collect(), why }),
        }
    }

    fn add(&mut self, entry: Entry) -> Result<(), TooMany> {
        let key = match &entry {
            Entry::Address(email) => email.as_str(),
            Entry::Unreadable { text, .. } => text,
        };
        if self.seen.contains(key) {
            return Ok(());
        }
        if self.entries.len() == Self::MAX_ENTRIES {
            return Err(TooMany);
        }
        self.seen.insert(key.to_owned());
        self.entries.push(entry);
        Ok(())
    }
}

/// [`Email::parse`], for a piece of any length.
fn parse_bounded(piece: &str) -> Result<Email, Invalid> {
    // Whoever pastes a megabyte without a space does not make IDNA work on it.
    let fits = piece.chars().nth(AddressList::MAX_PIECE).is_none();
    if fits { Email::parse(piece) } else { Err(email::NOT_AN_ADDRESS) }
}

enum Token<'a> {
    /// What stands between white space.
    Word(&'a str),
    /// What stands in `<…>` and holds an `@`.
    Bracketed(&'a str),
    /// The end of a line, a comma or a semicolon: no name goes on behind it.
    Break,
}

/// The first token of a text and what follows it. A quoted name before an address in brackets is passed over.
fn next_token(mut text: &str) -> Option<(Token<'_>, &str)> {
    loop {
        let first = text.chars().next()?;
        let after = &text[first.len_utf8()..];
        text = match first {
            c if is_break(c) => return Some((Token::Break, after)),
            c if is_space(c) => after,
            '<' => match bracketed(text) {
                Some((inside, after)) => return Some((Token::Bracketed(inside), after)),
                None => after,
            },
            '"' | '\'' => after_name(after, first).unwrap_or(after),
            _ => {
                let end = text.find(|c| c == '<' || is_space(c) || is_break(c)).unwrap_or(text.len());
                return Some((Token::Word(&text[..end]), &text[end..]));
            }
        };
    }
}

/// What stands in the brackets with which a text begins, and what follows them. Looks no further than the next bracket
/// or the end of the line, so that brackets that are never closed cost no more than those that are.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('<')?;
    let end = inside.find(|c| matches!(c, '<' | '>') || is_line_end(c))?;
    let (inside, rest) = inside.split_at(end);
    Some((inside, rest.strip_prefix('>')?)).filter(|(inside, _)| inside.contains('@'))
}

/// What follows a name whose opening quote was just passed, if it is closed in its line and right before an address in
/// brackets. Commas in between belong to the name; what looks like more than one name is none, so that a stray quote
/// swallows no address.
fn after_name(text: &str, quote: char) -> Option<&str> {
    let mut escaped = false;
    let end = text.find(|c| {
        let plain = !escaped;
        escaped = plain && c == '\\';
        is_line_end(c) || plain && c == quote
    })?;
    let (name, after) = (&text[..end], text[end..].strip_prefix(quote)?);
    if name.contains('<') || name.contains('@') && name.contains(is_break) {
        return None;
    }
    let next = after.find(|c| matches!(c, '<' | '@' | '"' | '\'') || is_break(c))?;
    bracketed(&after[next..]).map(|_| after)
}

/// A piece without `mailto:` and without what people and programs put around an address. An apostrophe, a backtick or
/// a brace may by the letter begin an address; in a list it is there to quote it.
fn bare(piece: &str) -> &str {
    let wrapping = |c: char| "\"'`()[]{}<>\\‘’‚“”„‹›«»".contains(c) || is_invisible(c);
    let mut piece = piece.trim_start_matches(wrapping);
    while let Some((scheme, rest)) = piece.split_at_checked("mailto:".len())
        && scheme.eq_ignore_ascii_case("mailto:")
    {
        let address = rest.split_once('?').map_or(rest, |(address, _)| address);
        piece = address.trim_start_matches(wrapping);
    }
    piece.trim_end_matches(|c| wrapping(c) || ".:!?".contains(c))
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_break(c: char) -> bool {
    is_line_end(c) || matches!(c, ',' | ';' | '，' | '；' | '、')
}

/// White space within a line, and the marks without width that count as such when text is copied.
fn is_space(c: char) -> bool {
    !is_line_end(c) && c.is_whitespace() || matches!(c, '\u{200B}' | '\u{FEFF}')
}

/// Marks of direction that come along when an address is copied from a table.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The list as one line: addresses as they are, what could not be read behind an exclamation mark.
    fn told(list: &AddressList) -> String {
        let entries = list.entries().iter().map(|entry| match entry {
            Entry::Address(email) => email.to_string(),
            Entry::Unreadable { text, .. } => format!("!{text}"),
        });
        entries.collect::<Vec<_>>().join(" ")
    }

    fn read(text: &str) -> AddressList {
        AddressList::parse(&[], text).unwrap()
    }

    #[test]
    fn what_people_paste_is_read() {
        for (text, expected) in [
            // Separators.
            ("", ""),
            (" \r\n\t,;, ", ""),
            ("a@x.com,b@x.com;c@x.com d@x.com\te@x.com\nf@x.com\r\ng@x.com", "a b c d e f g"),
            ("a@x.com\u{A0}b@x.com\u{202F}c@x.com\u{3000}d@x.com\u{2028}e@x.com\u{200B}f@x.com", "a b c d e f"),
            ("a@x.com，b@x.com；c@x.com、d@x.com", "a b c d"),
            ("\u{FEFF}a@x.com", "a"),
            // Names.
            ("Ada <a@x.com>, Bob B. Builder <b@x.com>", "a b"),
            ("\"Last, First\" <a@x.com>; 'Last, First' <b@x.com>", "a b"),
            ("\"say \\\"hi, you\\\"\" <a@x.com>", "a"),
            ("\"carol@x.com\" <a@x.com>", "a"),
            ("'Tis <a@x.com>, 'Twas <b@x.com>", "a b"),
            ("\"a@x.com, b@x.com\" <c@x.com>", "a b c"),
            ("Ada<a@x.com>Bob<b@x.com>", "a b"),
            ("a@x.com <a@x.com>", "a"),
            ("Dr. \"Ada, L.\" Byron <a@x.com>", "a"),
            ("O'Brien 'the <a@x.com>", "a"),
            ("Last, First <a@x.com>", "!Last a"),
            ("Ada\n<a@x.com>", "!Ada a"),
            ("b@x.com Ada <a@x.com>", "b a"),
            ("Ada b@x.com <a@x.com>", "!Ada b a"),
            // Wrappings.
            ("<a@x.com> (b@x.com) 'c@x.com' \"d@x.com\" [e@x.com] {f@x.com} `g@x.com`", "a b c d e f g"),
            ("\"a@x.com\",\"b@x.com\"\n\"c@x.com, d@x.com\"", "a b c d"),
            ("“a@x.com” «b@x.com» <<c@x.com>> <(d@x.com)>", "a b c d"),
            ("a@x.com. b@x.com! c@x.com: (d@x.com). e@x.com?", "a b c d e"),
            ("\u{202A}a@x.com\u{202C}", "a"),
            ("<a@x.com, b@x.com c@x.com>", "a b c"),
            ("mailto:a@x.com MAILTO:b@x.com?subject=Hello <mailto:c@x.com>", "a b c"),
            ("- a@x.com\n* b@x.com\n• c@x.com", "a b c"),
            // Once each.
            ("a@x.com A@X.COM a@X.com. b@x.com a@x.com", "a b"),
            ("no no \"no\" a@x.com", "!no a"),
            // What is none.
            ("Ada, Bob", "!Ada !Bob"),
            ("Ada a@x.com Bob", "!Ada a !Bob"),
            ("a@localhost b@x.com", "!a@localhost b"),
            ("a@@x.com @ a@ @x.com", "!a@@x.com !@ !a@ !@x.com"),
            ("Ada <nobody>", "!Ada !nobody"),
            ("Ada <a@x.com", "!Ada a"),
            ("Ada a@x.com>", "!Ada a"),
            ("\"Last, First <a@x.com>", "!Last a"),
            ("Ada <a b@x.com>", "!a b"),
            ("\"a@x.com b@x.com", "a b"),
        ] {
            assert_eq!(told(&read(text)).replace("@x.com", ""), expected.replace("@x.com", ""), "{text:?}");
        }
    }

    #[test]
    fn addresses_given_one_by_one_come_first() {
        let given = ["b@x.com", " 'c@x.com", "Ada, née A <a@x.com>", "", "nobody at all", "x y@x.com"];
        let list = AddressList::parse(&given.map(str::to_owned), "a@x.com B@x.com z@x.com all").unwrap();
        assert_eq!(told(&list), "b@x.com 'c@x.com !Ada a@x.com !nobody !at !all !x y@x.com z@x.com");
    }

    #[test]
    fn a_long_piece_is_cut_and_told_with_its_reason() {
        let long = format!("{}@x.com", "é".repeat(400));
        let [Entry::Unreadable { text, why }] = &read(&long).into_entries()[..] else { panic!("one entry") };
        assert_eq!((text.chars().count(), why), (320, &email::NOT_AN_ADDRESS));
    }

    #[test]
    fn a_thousand_fit_whatever_is_repeated() {
        let text =
            |count: usize| (0..count).map(|n| format!("a{n}@x.com A{n}@x.com no")).collect::<Vec<_>>().join("\n");
        assert_eq!(read(&text(999)).entries().len(), 1_000);
        assert_eq!(AddressList::parse(&[], &text(1_000)), Err(TooMany));
        assert_eq!(TooMany.to_string(), "must hold at most 1000 different addresses");
    }

    /// What is looked for again and again takes minutes for texts of this length, instead of a moment.
    #[test]
    fn hostile_texts_are_read_in_one_go() {
        let units = [
            "<", ">", "\"", "'", "\\", "@", "a", "<@", "\"<", "\" \\\"", "' \"", "\"\" <@ ", "<a@", "a ", "\"a\" ",
            ".@", "é@", "\" <a@", "' x ", "mailto:",
        ];
        for unit in units {
            let text = unit.repeat(262_144 / unit.len());
            assert!(AddressList::parse(&[], &text).unwrap().entries().len() <= 2, "{unit:?}");
        }
    }

    fn address() -> impl Strategy<Value = String> {
        "[A-Za-z0-9é][a-zA-Z0-9!#$%&'*+/=^_|~-]{0,8}(\\.[a-zA-Zß0-9+'-]{1,5})?@([a-z0-9ü]{1,6}\\.){1,2}(com|Example|org)"
            .prop_filter("some made-up labels are none", |text| Email::parse(text).is_ok())
    }

    /// An address in one of the ways in which it is written down, with a name or without.
    fn written() -> impl Strategy<Value = (String, String)> {
        let plain = "[A-Za-zé.'-]{1,8}( [A-Za-zé.'-]{1,8}){0,2}";
        let quoted = "[A-Za-z,;>() ]{0,12}|[A-Za-z@ ]{0,12}";
        (address(), 0..8_u8, plain, quoted).prop_map(|(address, how, plain, quoted)| {
            let written = match how {
                0 => format!("{plain} <{address}>"),
                1 => format!("\"{quoted}\" <{address}>"),
                2 => format!("<{address}>"),
                3 => format!("mailto:{address}"),
                4 => format!("({address})"),
                5 => format!("'{address}'"),
                6 => format!("\"{address}\"."),
                _ => address.clone(),
            };
            (address, written)
        })
    }

    proptest! {
        #[test]
        fn a_list_that_is_written_down_is_read_back(
            given in proptest::collection::vec((written(), "[,;\n]|\r\n|, |;\t|\n\n"), 0..30)
        ) {
            let text: String = given.iter().flat_map(|((_, written), separator)| [written, separator]).cloned().collect();
            let mut expected = Vec::new();
            for ((address, _), _) in &given {
                let entry = Entry::Address(Email::parse(address).unwrap());
                if !expected.contains(&entry) {
                    expected.push(entry);
                }
            }
            prop_assert_eq!(read(&text).into_entries(), expected);
        }

        #[test]
        fn what_was_read_reads_the_same(text in "\\PC{0,80}|[a@<>\"'\\\\ ,;\n.é:?]{0,60}") {
            let list = read(&text);
            let pieces = list.entries().iter().map(|entry| match entry {
                Entry::Address(email) => email.as_str(),
                Entry::Unreadable { text, .. } => text,
            });
            let lines = pieces.collect::<Vec<_>>().join("\n");
            prop_assert_eq!(read(&lines), list, "{:?}", lines);
        }
    }
}
