//! What an HTTP gateway and its clients are made from: the API's descriptors as one set, by which a transcoder turns HTTP
//! into calls, and the OpenAPI document that says the same for people and for generators of clients.
//!
//! Both follow from the descriptors alone: nothing is said here that the `.proto` files do not say, but for how a gateway
//! answers over HTTP, which `gateway/envoy.yaml` decides and `document` repeats. Start at `document`; `binding` reads
//! the HTTP rules, `schema` puts messages into JSON Schema as their JSON form asks. Not here: the gateway itself.

mod binding;
mod comment;
mod document;
mod failure;
mod operation;
mod schema;

use prost_reflect::{DescriptorError, DescriptorPool};

/// Why there is nothing to give: a defect of the API's definitions.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The descriptors cannot be read.
    #[error("the API's descriptors cannot be read")]
    Descriptors(#[from] DescriptorError),
    /// An HTTP rule is of a kind that is not in use.
    #[error("{0} has an HTTP rule that cannot be described")]
    Rule(String),
    /// A field's type has no form in JSON here.
    #[error("{0} is of a type that cannot be described")]
    Type(String),
    /// Two messages would be described under one name.
    #[error("{0} and {1} would both be described as {2}")]
    Clash(String, String, String),
    /// The document cannot be written.
    #[error("the document cannot be written")]
    Json(#[from] serde_json::Error),
}

/// The encoded `google.protobuf.FileDescriptorSet` of the API with all that it imports, options and comments included, and
/// of the details that errors carry.
///
/// # Errors
/// If the descriptors cannot be read: a defect.
pub fn descriptor_set() -> Result<Vec<u8>, Error> {
    Ok(pool()?.encode_to_vec())
}

/// The OpenAPI 3.1 document of the API behind a gateway, as JSON.
///
/// # Errors
/// If the API's definitions use what cannot be described: a defect.
pub fn openapi() -> Result<String, Error> {
    let document = document::of(&pool()?)?;
    Ok(serde_json::to_string_pretty(&document)?)
}

fn pool() -> Result<DescriptorPool, DescriptorError> {
    let mut pool = DescriptorPool::decode(roster_proto::DESCRIPTORS)?;
    // Without these a transcoder cannot write the details of an error.
    pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
    Ok(pool)
}
