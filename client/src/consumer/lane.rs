//! The order that events have among each other: each team, and each person, is a lane of its own.

use roster_proto::events::v1::Event;

/// What an event is about: a lane, in which versions count without a gap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// A team, by its id.
    Team(String),
    /// A person outside any team, by their id.
    User(String),
}

/// How far a lane was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The version of the event applied last.
    pub version: i64,
    /// Its place among all events: where to read on if something is missing.
    pub position: String,
}

/// What to do with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Apply it: it is the next one.
    Apply,
    /// Drop it: it was applied, and comes again.
    Drop,
    /// Read first what is missing before it.
    Gap,
}

impl Lane {
    /// The lane of an event, and where the event is in it.
    pub fn of(event: &Event) -> (Self, Mark) {
        let mark = |version| Mark { version, position: event.position.clone() };
        if event.team_id.is_empty() {
            (Self::User(event.user_id.clone()), mark(event.user_version))
        } else {
            (Self::Team(event.team_id.clone()), mark(event.team_version))
        }
    }

    /// What to do with an event of this version, when the lane was applied up to `last`.
    pub fn step(&self, last: Option<&Mark>, version: i64) -> Step {
        match (last, self) {
            (Some(last), _) if version <= last.version => Step::Drop,
            (Some(last), _) if version == last.version + 1 => Step::Apply,
            (Some(_), _) => Step::Gap,
            // Whoever meets a team in the middle of its life lacks what it was before.
            (None, Self::Team(_)) if version > 1 => Step::Gap,
            // An event about a person says all there is to know.
            (None, _) => Step::Apply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_tell_what_to_do() {
        let mark = |version| Mark { version, position: String::new() };
        let (team, user) = (Lane::Team("t".into()), Lane::User("u".into()));
        for lane in [&team, &user] {
            let step = |version| lane.step(Some(&mark(4)), version);
            assert_eq!([3, 4, 5, 6, 9].map(step), [Step::Drop, Step::Drop, Step::Apply, Step::Gap, Step::Gap]);
        }
        assert_eq!([1, 2].map(|version| team.step(None, version)), [Step::Apply, Step::Gap]);
        assert_eq!([1, 2].map(|version| user.step(None, version)), [Step::Apply, Step::Apply]);
    }
}
