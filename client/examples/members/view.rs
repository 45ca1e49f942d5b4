//! Who is in which team with which roles, in a file.
//!
//! A file that is written anew with every event keeps this example short. In a service, this is some tables: the members,
//! a mark for each lane, one row for the cursor, and each method here is a transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::PathBuf,
};

use roster_client::{
    consumer::{Lane, Mark, View},
    proto::{
        events::v1::{Event, MemberState, event::Payload},
        v1::{Member, Team, member::Subject},
    },
};
use serde::{Deserialize, Serialize};

/// What the name of a person's lane begins with; that of a team is its id.
const PERSON: &str = "user:";

/// The view, and the file that it is in.
#[derive(Debug)]
pub(crate) struct Members {
    path: PathBuf,
    kept: Kept,
}

/// What the file holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    cursor: String,
    /// Version and position of what was applied last, by the name of the lane.
    marks: BTreeMap<String, (i64, String)>,
    /// The roles of each member, by team and user.
    members: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Members {
    /// The view in this file, or a new one if there is none.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let kept = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(none) if none.kind() == ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, kept })
    }

    /// The members of each team, with their roles.
    pub(crate) fn teams(&self) -> &BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
        &self.kept.members
    }

    /// All of it or nothing: the new file takes the old one's place in one step, once it is on the disk.
    fn keep(&mut self, kept: Kept) -> io::Result<()> {
        let aside = self.path.with_extension("new");
        let mut file = File::create(&aside)?;
        file.write_all(&serde_json::to_vec(&kept)?)?;
        file.sync_all()?;
        fs::rename(&aside, &self.path)?;
        self.kept = kept;
        Ok(())
    }
}

impl View for Members {
    type Error = io::Error;

    async fn cursor(&mut self) -> io::Result<String> {
        Ok(self.kept.cursor.clone())
    }

    async fn mark(&mut self, lane: &Lane) -> io::Result<Option<Mark>> {
        let mark = self.kept.marks.get(&name(lane));
        Ok(mark.map(|(version, position)| Mark { version: *version, position: position.clone() }))
    }

    async fn teams(&mut self) -> io::Result<Vec<String>> {
        Ok(self.kept.marks.keys().filter(|name| !name.starts_with(PERSON)).cloned().collect())
    }

    async fn apply(&mut self, event: &Event, lane: &Lane, mark: &Mark, cursor: Option<&str>) -> io::Result<()> {
        let mut kept = self.kept.clone();
        if let Lane::Team(team) = lane {
            change(&mut kept.members, team, event.payload.as_ref());
        }
        kept.marks.insert(name(lane), (mark.version, mark.position.clone()));
        if let Some(cursor) = cursor {
            cursor.clone_into(&mut kept.cursor);
        }
        self.keep(kept)
    }

    async fn replace(&mut self, team: &str, now: Option<(Team, Vec<Member>)>, mark: &Mark) -> io::Result<()> {
        let mut kept = self.kept.clone();
        match now {
            Some((_, members)) => {
                let roles = |member: Member| {
                    let Some(Subject::User(user)) = member.subject else { return None };
                    Some((user.id, member.role_ids.into_iter().collect()))
                };
                kept.members.insert(team.to_owned(), members.into_iter().filter_map(roles).collect());
            }
            None => {
                kept.members.remove(team);
            }
        }
        kept.marks.insert(name(&Lane::Team(team.to_owned())), (mark.version, mark.position.clone()));
        self.keep(kept)
    }

    async fn forget_people(&mut self) -> io::Result<()> {
        let mut kept = self.kept.clone();
        kept.marks.retain(|name, _| !name.starts_with(PERSON));
        self.keep(kept)
    }

    async fn advance(&mut self, cursor: &str) -> io::Result<()> {
        self.keep(Kept { cursor: cursor.to_owned(), ..self.kept.clone() })
    }
}

fn name(lane: &Lane) -> String {
    match lane {
        Lane::Team(team) => team.clone(),
        Lane::User(user) => format!("{PERSON}{user}"),
    }
}

/// What an event changes. Each holds the whole state after it.
fn change(teams: &mut BTreeMap<String, BTreeMap<String, BTreeSet<String>>>, team: &str, payload: Option<&Payload>) {
    let members = teams.entry(team.to_owned()).or_default();
    let mut put = |after: &Option<MemberState>| {
        if let Some(after) = after {
            members.insert(after.user_id.clone(), after.role_ids.iter().cloned().collect());
        }
    };
    match payload {
        Some(Payload::MemberAdded(event)) => put(&event.after),
        Some(Payload::MemberUpdated(event)) => put(&event.after),
        Some(Payload::MemberSuspended(event)) => put(&event.after),
        Some(Payload::MemberReactivated(event)) => put(&event.after),
        Some(Payload::OwnershipTransferred(event)) => {
            put(&event.former_owner_after);
            put(&event.new_owner_after);
        }
        Some(Payload::MemberRemoved(event)) => {
            members.remove(&event.before.clone().unwrap_or_default().user_id);
        }
        Some(Payload::MemberExpired(event)) => {
            members.remove(&event.before.clone().unwrap_or_default().user_id);
        }
        Some(Payload::TeamDeleted(_)) => {
            teams.remove(team);
        }
        // Nothing about members, or of a kind that is newer than this program.
        _ => {}
    }
}
