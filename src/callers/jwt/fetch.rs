//! Fetching a key set over HTTP, within a time and a size. Redirects are not followed: who may say what the keys are is
//! configured.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header::ACCEPT};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::callers::files::Cause;

/// How long it may take as a whole.
const TIME: Duration = Duration::from_secs(5);
/// The most bytes of a key set.
const SIZE: usize = 256 << 10;

/// Fetches one address.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    uri: Uri,
}

impl Fetcher {
    /// From this address, trusting these authorities or else the system's.
    ///
    /// # Errors
    /// If the authorities, in PEM, cannot be read.
    pub(super) fn new(url: &str, authorities: Option<&[u8]>) -> Result<Self, Cause> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = match authorities {
            None => builder.with_native_roots()?.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for authority in CertificateDer::pem_slice_iter(pem) {
                    roots.add(authority?)?;
                }
                if roots.is_empty() {
                    return Err("it has no certificate".into());
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        // Minutes lie between one fetch and the next.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { client, uri: url.parse()? })
    }

    /// Fetches it.
    pub(super) async fn fetch(&self) -> Result<Bytes, Cause> {
        timeout(TIME, self.get()).await.map_err(|_| "it took longer than 5 s")?
    }

    async fn get(&self) -> Result<Bytes, Cause> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"));
        let response = self.client.request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(format!("the answer is {}", response.status()).into());
        }
        Ok(Limited::new(response.into_body(), SIZE).collect().await?.to_bytes())
    }
}
