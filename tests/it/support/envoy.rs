//! Envoy with the gateway's own configuration, changed in nothing but where it listens, where Roster is, and where the
//! descriptors are.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    http::Http,
    parts,
    process::{Process, file, roster, run, steady_port},
    server::eventually,
};
use crate::architecture::source;

/// A running gateway.
pub struct Envoy {
    pub process: Process,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Envoy {
    /// In front of a Roster, and ready.
    pub async fn before(upstream: SocketAddr) -> Self {
        let envoy = Self::start(upstream, |configuration| configuration).await;
        let http = envoy.http();
        eventually("the gateway is ready", async || (http.get("/healthz").await.status == 200).then_some(())).await;
        envoy
    }

    /// With one more change, in front of anything; it listens, and may not be ready.
    pub async fn start(upstream: SocketAddr, change: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let descriptors = descriptors(folder.path()).await;
        let port = steady_port();
        let configuration = std::fs::read_to_string(source::root().join("gateway/envoy.yaml")).unwrap();
        let configuration = [
            ("port_value: 9901", format!("port_value: {}", steady_port())),
            ("port_value: 8081", format!("port_value: {port}")),
            ("port_value: 50051", format!("port_value: {}", upstream.port())),
            ("proto_descriptor: roster.binpb", format!("proto_descriptor: {}", descriptors.display())),
        ]
        .into_iter()
        .fold(configuration, |text, (from, to)| replaced(&text, from, &to));
        let configuration = file(folder.path(), "envoy.yaml", &change(configuration));
        let mut command = Command::new(parts::envoy());
        command.arg("--config-path").arg(configuration);
        // Several run side by side, each on one thread; what is logged is looked at.
        command.args(["--disable-hot-restart", "--concurrency", "1", "--file-flush-interval-msec", "50"]);
        let mut process = Process::start(command);
        process
            .wait_for("the gateway serves", |line| line.contains("all dependencies initialized").then_some(()))
            .await;
        Self { process, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), _folder: folder }
    }

    /// Somebody who calls through it.
    pub fn http(&self) -> Http {
        Http::new(self.address)
    }
}

/// A text with something in it replaced, which is there once.
#[track_caller]
pub fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from}");
    text.replace(from, to)
}

/// The file that `roster descriptor` writes.
async fn descriptors(folder: &Path) -> PathBuf {
    let output = run(roster(folder, &["descriptor"], &[])).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = folder.join("roster.binpb");
    std::fs::write(&path, output.stdout).unwrap();
    path
}
