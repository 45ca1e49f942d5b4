//! TLS: the server's certificate, and what is known of a client by its own.

use std::sync::Arc;

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::{NoServerSessionStorage, WebPkiClientVerifier},
    },
};
use webpki::EndEntityCert;

use super::files::{Cause, Files, Live};
use crate::config::{self, San};

/// The names by which client and server agree on what is spoken over it (RFC 7301).
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// What connections are secured with. The certificate is replaced under way: each connection has the one that is the latest
/// when it begins.
#[derive(Debug, Clone)]
pub struct Tls(Live<Arc<ServerConfig>>);

impl Tls {
    /// Secures a connection with the latest certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&*self.0.get()))
    }
}

/// The names in a client certificate that a trusted authority gave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate(Arc<[San]>);

impl Certificate {
    /// Of a certificate that was checked when the connection began. One that cannot be read has no names.
    pub fn of(verified: &CertificateDer<'_>) -> Self {
        let Ok(read) = EndEntityCert::try_from(verified) else { return Self(Arc::default()) };
        Self(read.valid_dns_names().map(San::dns).chain(read.valid_uri_names().map(San::uri)).collect())
    }

    pub(super) fn names(&self) -> &[San] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn with_names(names: &[San]) -> Self {
        Self(names.into())
    }
}

/// TLS, if there is a certificate. `None` if its files cannot be used.
pub(super) fn read(config: &config::Server, files: &mut Files) -> Option<Option<Tls>> {
    let config::Tls { certificate_file, key_file, client_ca_file } = &config.tls;
    let (Some(certificate), Some(key)) = (certificate_file, key_file) else { return Some(None) };
    let http1 = config.grpc_web.enabled;
    let live = match client_ca_file {
        None => files
            .read("server.tls", [certificate, key], move |[certificate, key]| server(certificate, key, None, http1)),
        Some(ca) => files.read("server.tls", [certificate, key, ca], move |[certificate, key, ca]| {
            server(certificate, key, Some(ca), http1)
        }),
    };
    live.map(|live| Some(Tls(live)))
}

fn server(certificate: &[u8], key: &[u8], client_ca: Option<&[u8]>, http1: bool) -> Result<Arc<ServerConfig>, Cause> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(pem)? {
                roots.add(authority)?;
            }
            // A client without one may have a token, and health is asked by who has neither.
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider).allow_unauthenticated().build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "there is no private key in PEM")?;
    let mut config = builder.with_single_cert(certificates(certificate)?, key)?;
    let spoken: &[_] = if http1 { &[HTTP2, HTTP1] } else { &[HTTP2] };
    config.alpn_protocols = spoken.iter().map(|name| name.to_vec()).collect();
    // A session that is taken up again would go by what was checked when it began. Connections live for long, so little
    // is gained by it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Cause> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
    if found.is_empty() { Err("there is no certificate in PEM".into()) } else { Ok(found) }
}
