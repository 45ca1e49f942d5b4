//! TLS: who is served over it, how certificates are replaced, and how health is asked over it.

use std::path::Path;

use rcgen::ExtendedKeyUsagePurpose;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Error};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::support::{
    Db, Outcome as _, TestServer,
    pki::{Authority, Issued},
    process::{Served, printed, replace, roster, run},
    server::eventually,
};

/// A server with a certificate.
async fn server(issued: &Issued) -> TestServer {
    TestServer::with(Db::Sqlite, |config| config.server.tls = issued.served_from(&config.data_dir)).await
}

/// A connection that is there, or why not.
async fn connect(server: &TestServer, tls: ClientTlsConfig) -> Result<Channel, Error> {
    Endpoint::from_shared(format!("https://{}", server.address())).unwrap().tls_config(tls)?.connect().await
}

async fn serving(channel: Channel) -> bool {
    let health = HealthClient::new(channel).check(HealthCheckRequest::default()).await.done();
    health.status() == ServingStatus::Serving
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_trusts_its_authority_is_served_and_nobody_in_the_clear() {
    let [ours, theirs] = [Authority::new(), Authority::new()];
    let server = server(&ours.server()).await;
    assert!(serving(connect(&server, ours.trusting()).await.unwrap()).await);
    connect(&server, theirs.trusting()).await.unwrap_err();
    connect(&server, ours.trusting().domain_name("other.example.com")).await.unwrap_err();
    // The test's own connection is a plain one.
    assert!(HealthClient::new(server.channel()).check(HealthCheckRequest::default()).await.is_err());
    let mut plain = TcpStream::connect(server.address()).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // It may be reset, since nobody reads what was sent.
    let _ = plain.read_to_end(&mut answer).await;
    // An alert at the most.
    assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_do_not_get_on_hold_nobody_up() {
    let authority = Authority::new();
    let mut server = server(&authority.server()).await;
    let mut stalled = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        // The beginning of a greeting that never comes to its end.
        stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00]).await.unwrap();
        stalled.push(stream);
    }
    assert!(serving(connect(&server, authority.trusting()).await.unwrap()).await);
    server.stop().await;
}

/// `roster serve` with the files of a folder.
async fn served(folder: &Path, more: &[(&str, &str)]) -> Served {
    let path = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let files = [("ROSTER_SERVER__TLS__CERTIFICATE_FILE", &*certificate), ("ROSTER_SERVER__TLS__KEY_FILE", &*key)];
    Served::start(folder, &[&files, more].concat()).await
}

/// Whether who trusts this authority is served over a new connection.
async fn serves(served: &Served, authority: &Authority) -> bool {
    let endpoint = Endpoint::from_shared(format!("https://{}", served.address)).unwrap();
    endpoint.tls_config(authority.trusting()).unwrap().connect().await.is_ok()
}

fn count(served: &Served, text: &str) -> usize {
    served.process.lines().iter().filter(|line| line.contains(text)).count()
}

const TAKEN: &str = "took over what has changed";
const REFUSED: &str = "cannot take over what has changed";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_without_a_restart_and_the_last_good_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let [first, second, third] = [(); 3].map(|()| Authority::new());
    first.server().write(folder);
    let served = served(folder, &[("ROSTER_AUTH__RELOAD_INTERVAL", "20ms")]).await;
    let kept = Endpoint::from_shared(format!("https://{}", served.address)).unwrap();
    let kept = kept.tls_config(first.trusting()).unwrap().connect().await.unwrap();

    second.server().write(folder);
    eventually("the second certificate", async || serves(&served, &second).await.then_some(())).await;
    assert!(!serves(&served, &first).await);
    assert!(serving(kept.clone()).await, "a connection that is there goes on");

    // One after the other, until nothing of the second is left: all are told, and none is taken.
    let other_key = third.server().key;
    let refusals = [
        ("tls.key", other_key.as_str()),
        ("tls.crt", ""),
        ("tls.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("tls.key", "no key"),
    ];
    for (refused, (name, content)) in (count(&served, REFUSED) + 1..).zip(refusals) {
        replace(&folder.join(name), content);
        eventually(name, async || (count(&served, REFUSED) >= refused).then_some(())).await;
        assert!(serves(&served, &second).await, "{name}: {content}");
    }
    std::fs::remove_file(folder.join("tls.key")).unwrap();
    eventually("no key", async || (count(&served, "cannot read") > 0).then_some(())).await;
    assert!(serves(&served, &second).await);

    third.server().write(folder);
    eventually("the third certificate", async || serves(&served, &third).await.then_some(())).await;
    let refusals = served.process.lines().into_iter().filter(|line| line.contains(REFUSED));
    let mut told: Vec<_> = refusals.filter(|line| line.contains("no private key")).collect();
    assert_eq!(told.len(), 1, "told once, however often it was looked at: {told:?}");
    let line = told.remove(0);
    assert!(line.contains("ERROR") && line.contains("server.tls"), "{line}");
    assert!(!served.process.lines().concat().contains("PRIVATE KEY"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_has_the_files_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [Authority::new(), Authority::new()];
    first.server().write(folder.path());
    let served = served(folder.path(), &[("ROSTER_AUTH__RELOAD_INTERVAL", "1h")]).await;
    // The first look is at once; what is written after it waits for the signal.
    second.server().write(folder.path());
    eventually("the second certificate", async || {
        served.process.signal("HUP");
        serves(&served, &second).await.then_some(())
    })
    .await;
    assert!(count(&served, TAKEN) >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_does_not_start_with_files_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let issued = Authority::new().server();
    issued.write(folder);
    std::fs::write(folder.join("tls.key"), Authority::new().server().key).unwrap();
    std::fs::write(folder.join("keys.json"), "{}").unwrap();
    std::fs::write(folder.join("ca.pem"), "none").unwrap();
    let variables = [
        ("ROSTER_MAIL__TRANSPORT", "smtp"),
        ("ROSTER_MAIL__SMTP__HOST", "smtp.example.com"),
        ("ROSTER_MAIL__SMTP__CA_FILE", "ca.pem"),
        ("ROSTER_SERVER__LISTEN", "127.0.0.1:0"),
        ("ROSTER_SERVER__TLS__CERTIFICATE_FILE", "tls.crt"),
        ("ROSTER_SERVER__TLS__KEY_FILE", "tls.key"),
        ("ROSTER_AUTH__MODE", "credentials"),
        ("ROSTER_AUTH__JWT__ISSUER", "https://id.example.com/"),
        ("ROSTER_AUTH__JWT__AUDIENCE", "roster"),
        ("ROSTER_AUTH__JWT__ALGORITHMS", "[\"ES256\"]"),
        ("ROSTER_AUTH__JWT__JWKS_FILE", "keys.json"),
    ];
    let ended = run(roster(folder, &[], &variables)).await;
    let told = printed(&ended);
    assert_eq!(ended.status.code(), Some(2), "{told}");
    // All at once, each under its key, and before anything was made.
    assert!(told.contains("server.tls: cannot use tls.crt, tls.key: "), "{told}");
    assert!(told.contains("auth.jwt.jwks_file: cannot use keys.json: it has no list of keys"), "{told}");
    assert!(told.contains("mail.smtp: "), "{told}");
    assert!(!folder.join("data").exists(), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_asked_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let [ours, theirs] = [Authority::new(), Authority::new()];
    // Its name is not the address that it is asked by on its own machine.
    ours.issue(&["roster.example.com", "localhost"], ExtendedKeyUsagePurpose::ServerAuth).write(folder);
    for (name, authority) in [("ours.pem", &ours), ("theirs.pem", &theirs)] {
        std::fs::write(folder.join(name), authority.pem()).unwrap();
    }
    let served = served(folder, &[]).await;
    let listen = served.address.to_string();
    let check = async |arguments: &[&str]| {
        let variables = [
            ("ROSTER_SERVER__LISTEN", listen.as_str()),
            ("ROSTER_SERVER__TLS__CERTIFICATE_FILE", "tls.crt"),
            ("ROSTER_SERVER__TLS__KEY_FILE", "tls.key"),
        ];
        let ended = run(roster(folder, &[&["healthcheck"], arguments].concat(), &variables)).await;
        (ended.status.code(), printed(&ended))
    };
    let well = (Some(0), "SERVING\n".to_owned());
    assert_eq!(check(&[]).await, well);
    assert_eq!(check(&["--live"]).await, well);
    let by_name = format!("https://localhost:{}", served.address.port());
    let by_address = format!("https://{listen}");
    assert_eq!(check(&["--endpoint", &by_name, "--ca-file", "ours.pem"]).await, well);
    for wrong in [
        &["--endpoint", &by_name][..],
        &["--endpoint", &by_name, "--ca-file", "theirs.pem"],
        &["--endpoint", &by_address, "--ca-file", "ours.pem"],
        &["--endpoint", &by_name, "--ca-file", "nowhere.pem"],
        &["--endpoint", &format!("http://{listen}")],
    ] {
        let (status, told) = check(wrong).await;
        assert_eq!(status, Some(1), "{wrong:?}: {told}");
    }
    // A new certificate that cannot be used leaves the server as well as it was.
    replace(&folder.join("tls.key"), "no key");
    assert_eq!(check(&[]).await, well);
    drop(served);
    let (status, told) = check(&[]).await;
    assert_eq!(status, Some(1), "{told}");
}
