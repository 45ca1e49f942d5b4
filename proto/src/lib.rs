//! The published contract of Roster: the messages and services of `roster.v1`, the events of `roster.events.v1`, and
//! the descriptors that describe them. Generated at build time from the `.proto` files beside this crate, whose comments
//! are the documentation; there is no hand-written code here.
#![expect(clippy::large_enum_variant, reason = "generated")]

/// The API.
pub mod v1 {
    tonic::include_proto!("roster.v1");
}

/// The published events.
pub mod events {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("roster.events.v1");
    }
}

/// The encoded `google.protobuf.FileDescriptorSet` of all of it, custom options and comments included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));
