//! Field masks.

use prost_types::FieldMask;

use super::Violations;

/// Which of a message's mutable fields a mask names, in full; without one, those that are not empty (AIP-134). A field
/// `a.b` is also named by `a`, and all are by `*`. What is no field, or cannot be changed, is refused by name.
pub(in crate::grpc) fn paths(
    violations: &mut Violations,
    asked: Option<&FieldMask>,
    mutable: &[&'static str],
    immutable: &[&str],
    populated: &[bool],
    what: &str,
) -> Vec<&'static str> {
    let Some(asked) = asked.filter(|mask| !mask.paths.is_empty()) else {
        let set = mutable.iter().zip(populated).filter(|(_, populated)| **populated);
        return set.map(|(path, _)| *path).collect();
    };
    let mut chosen = Vec::new();
    for path in &asked.paths {
        let names = |known: &&&str| {
            path == "*"
                || **known == path
                || known.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        let found: Vec<&'static str> = mutable.iter().filter(names).copied().collect();
        if found.is_empty() {
            let why = if immutable.contains(&path.as_str()) { "cannot be changed" } else { "is no field of" };
            let why = if why.ends_with("of") { format!("{why} {what}") } else { why.to_owned() };
            violations.add("update_mask", format_args!("{path} {why}"));
        }
        chosen.extend(found);
    }
    chosen
}
