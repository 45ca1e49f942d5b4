//! A client for Roster that gets right what every caller has to: each write has a `request_id` that it keeps over all its
//! attempts, a call is repeated only where that is safe and only until its deadline, a server that asks for patience gets
//! it, and errors are told as Roster means them ([`Details`]).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use roster_client::{Details as _, Roster, proto::v1::{AddMemberRequest, ErrorReason}};
//!
//! let roster = Roster::at("http://127.0.0.1:50051").token("rst_…").connect_lazy()?;
//! let request = AddMemberRequest { team_id: "…".into(), user_id: "bob".into(), ..Default::default() };
//! match roster.acting_for("ada").teams().add_member(request).await {
//!     Ok(response) => println!("{:?}", response.into_inner().member),
//!     Err(status) if status.reason() == Some(ErrorReason::AlreadyMember) => println!("nothing to do"),
//!     Err(status) => return Err(status.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Calls are made with the generated clients of `roster-proto`, over [`Calls`], which does all this for every RPC there is
//! by what the API's descriptors say of it. [`consumer`] follows the events. What is not here: caching, and waiting for a
//! server to come up.

mod calls;
mod connect;
pub mod consumer;
mod deadline;
mod details;
mod frame;
mod identity;
mod method;
mod retry;
mod trace;

pub use calls::Calls;
pub use connect::{Builder, Roster};
pub use details::Details;
pub use retry::{Budget, Retries};
/// The messages and clients, generated from the API's definition.
pub use roster_proto as proto;
