//! Compiles the protobuf definitions without an installed `protoc`, and keeps the encoded descriptor set.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

/// Every file that is not reached by an import from another.
const ROOTS: [&str; 6] = [
    "roster/v1/access_service.proto",
    "roster/v1/event_service.proto",
    "roster/v1/invitation_service.proto",
    "roster/v1/role_service.proto",
    "roster/v1/team_service.proto",
    "roster/v1/user_service.proto",
];

#[expect(clippy::disallowed_methods, reason = "a build script is told where to write by the environment")]
fn main() -> Result<(), Box<dyn Error>> {
    for folder in ["google", "roster"] {
        println!("cargo:rerun-if-changed={folder}");
    }

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(ROOTS)?;
    // The encoded set keeps the custom method options, which the decoded one would drop.
    let encoded = compiler.encode_file_descriptor_set();
    let path = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.binpb");
    fs::write(path, &encoded)?;

    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .btree_map(".")
        .compile_fds(prost_types::FileDescriptorSet::decode(encoded.as_slice())?)?;
    Ok(())
}
