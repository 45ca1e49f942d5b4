//! The comments of the definitions, as Markdown.

use prost_reflect::{
    EnumDescriptor, EnumValueDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor, MethodDescriptor,
    ServiceDescriptor,
};

/// With these a line of an RPC's comment begins to say something of its own.
const BEGINNINGS: [&str; 4] = ["Needs ", "Fails with ", "Makes `", "Cancels "];

/// What may have a comment before it.
pub(super) trait Commented {
    /// The file that it is in, and its place there.
    fn place(&self) -> (FileDescriptor, Vec<i32>);

    /// Its comment in paragraphs; empty when there is none.
    fn comment(&self) -> String {
        let (file, path) = self.place();
        let locations = file.file_descriptor_proto().source_code_info.as_ref().map(|info| &info.location);
        let found = locations.into_iter().flatten().find(|location| location.path == path);
        paragraphs(found.and_then(|location| location.leading_comments.as_deref()).unwrap_or_default())
    }
}

macro_rules! commented {
    ($($type:ty: $parent:ident),+) => {$(
        impl Commented for $type {
            fn place(&self) -> (FileDescriptor, Vec<i32>) {
                (self.$parent().clone(), self.path().to_vec())
            }
        }
    )+};
}

commented!(MessageDescriptor: parent_file, EnumDescriptor: parent_file, ServiceDescriptor: parent_file);

impl Commented for FieldDescriptor {
    fn place(&self) -> (FileDescriptor, Vec<i32>) {
        (self.parent_message().parent_file(), self.path().to_vec())
    }
}

impl Commented for EnumValueDescriptor {
    fn place(&self) -> (FileDescriptor, Vec<i32>) {
        (self.parent_enum().parent_file(), self.path().to_vec())
    }
}

impl Commented for MethodDescriptor {
    fn place(&self) -> (FileDescriptor, Vec<i32>) {
        (self.parent_service().parent_file(), self.path().to_vec())
    }
}

/// Lines joined to paragraphs.
fn paragraphs(comment: &str) -> String {
    let mut text = String::new();
    let mut ended = true;
    for line in comment.lines().map(str::trim) {
        if line.is_empty() {
            ended = true;
            continue;
        }
        let begins = ended || BEGINNINGS.iter().any(|beginning| line.starts_with(beginning));
        if !text.is_empty() {
            text.push_str(if begins { "\n\n" } else { " " });
        }
        text.push_str(line);
        ended = false;
    }
    text
}

/// The first sentence, without its full stop, and the rest.
pub(super) fn split(comment: &str) -> (&str, &str) {
    let end = [". ", ".\n"].iter().filter_map(|end| comment.find(end)).min();
    match end {
        Some(end) => (&comment[..end], comment[end + 1..].trim_start()),
        None => (comment.trim_end_matches('.'), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_paragraphs() {
        let comment = " Gets a team,\n wherever it is.\n Needs `a.b`.\n Fails with X,\n Y.\n\n More.\n";
        assert_eq!(paragraphs(comment), "Gets a team, wherever it is.\n\nNeeds `a.b`.\n\nFails with X, Y.\n\nMore.");
    }

    #[test]
    fn the_first_sentence_is_split_off() {
        assert_eq!(split("Gets `a.b` now. And more.\n\nNeeds it."), ("Gets `a.b` now", "And more.\n\nNeeds it."));
        assert_eq!(split("Gets it.\n\nNeeds it."), ("Gets it", "Needs it."));
        assert_eq!(split("Gets it."), ("Gets it", ""));
        assert_eq!(split(""), ("", ""));
    }
}
