//! The place of a team in its tree, as a column: the ids from the root down to the team itself, 32 hexadecimal digits
//! each. A prefix finds a subtree, and the order of paths is that of a tree read from its root.

use uuid::Uuid;

use super::{Result, row::At};
use crate::domain::TeamId;

const DIGITS: usize = 32;

/// The first character after every hexadecimal digit: a path with it stands behind all that begin alike.
pub(super) const BEHIND: &str = "g";

/// The path of a team below these.
pub(super) fn encode(ancestors: &[TeamId], id: TeamId) -> String {
    ancestors.iter().chain([&id]).map(|id| id.0.as_simple().to_string()).collect()
}

/// The teams above the one that a path leads to, the root first.
pub(super) fn ancestors(at: At<'_>, path: &str) -> Result<Vec<TeamId>> {
    let above = path.len().checked_sub(DIGITS).and_then(|end| path.get(..end));
    let above = above.ok_or_else(|| at.corrupt("path", &"too short"))?;
    let id = |digits: &[u8]| Uuid::try_parse_ascii(digits).map(TeamId);
    at.check("path", above.as_bytes().chunks(DIGITS).map(id).collect())
}

/// Where the paths of a subtree begin and before what they end; its own root is the first.
pub(super) fn range(ancestors: &[TeamId], id: TeamId) -> (String, String) {
    let begin = encode(ancestors, id);
    let end = format!("{begin}{BEHIND}");
    (begin, end)
}
