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

/// The protocol that is spoken over it (RFC 7301).
const HTTP2: &[u8] = b"h2";

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
pub(super) fn read(config: &config::Tls, files: &mut Files) -> Option<Option<Tls>> {
    let (Some(certificate), Some(key)) = (&config.certificate_file, &config.key_file) else { return Some(None) };
    let live = match &config.client_ca_file {
        None => files.read("server.tls", [certificate, key], |[certificate, key]| server(certificate, key, None)),
        Some(ca) => files
            .read("server.tls", [certificate, key, ca], |[certificate, key, ca]| server(certificate, key, Some(ca))),
    };
    live.map(|live| Some(Tls(live)))
}

fn server(certificate: &[u8], key: &[u8], client_ca: Option<&[u8]>) -> Result<Arc<ServerConfig>, Cause> {
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
    config.alpn_protocols = vec![HTTP2.to_vec()];
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
