//! A consumer of Roster's events: keeps in a file who is in which team, and goes on where it was whenever it is started
//! again.
//!
//!     cargo run -p roster-client --example members -- http://127.0.0.1:50051 members.json [TOKEN]

use std::{error::Error, path::PathBuf};

use roster_client::{Roster, consumer::Consumer};
use view::Members;

mod view;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("expected the address of Roster and a file, and a token if one is needed".into());
    };
    let mut roster = Roster::at(address);
    if let Some(token) = arguments.next() {
        roster = roster.token(token);
    }
    let view = Members::open(PathBuf::from(file))?;
    for (team, members) in view.teams() {
        println!("{team}: {} members so far", members.len());
    }
    match Consumer::new(roster.connect_lazy()?, view).follow().await? {}
}
