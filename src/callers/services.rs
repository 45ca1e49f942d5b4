//! The services that may call, by what each is known by.

use std::collections::HashMap;

use super::{
    Certificate, Holder, Identity,
    files::{Files, Live},
};
use crate::{
    config::{self, San, TokenDigest},
    domain::permission::Scopes,
};

/// A service that may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: String,
    scopes: Scopes,
    act_for_users: bool,
}

impl Service {
    /// Who that is.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            service: self.name.clone(),
            scopes: self.scopes.clone(),
            of: Holder::Service { act_for_users: self.act_for_users },
        }
    }
}

/// All of them.
///
/// The look-up compares digests and may take a time that depends on them: it tells at the most a digest, and a token
/// cannot be made from its digest.
#[derive(Debug, Default)]
pub(super) struct Services {
    by_token: HashMap<TokenDigest, Service>,
    by_san: HashMap<San, Service>,
}

impl Services {
    /// The service with this token.
    pub(super) fn by_token(&self, digest: &TokenDigest) -> Option<&Service> {
        self.by_token.get(digest)
    }

    /// The service that a certificate stands for. One that stands for several is nobody's.
    pub(super) fn by_certificate(&self, certificate: &Certificate) -> Option<&Service> {
        let mut named = certificate.names().iter().filter_map(|name| self.by_san.get(name));
        let service = named.next()?;
        named.all(|other| other == service).then_some(service)
    }
}

impl From<config::Services> for Services {
    fn from(lists: config::Services) -> Self {
        let service =
            |name, scopes: Vec<_>, act_for_users| Service { name, scopes: scopes.into_iter().collect(), act_for_users };
        let tokens = lists.tokens.into_iter();
        let certificates = lists.certificates.into_iter();
        Self {
            by_token: tokens.map(|t| (t.sha256, service(t.name, t.scopes, t.act_for_users))).collect(),
            by_san: certificates.map(|c| (c.san, service(c.name, c.scopes, c.act_for_users))).collect(),
        }
    }
}

/// The services of the configuration, with those of the file that it names.
pub(super) fn read(auth: &config::Auth, files: &mut Files) -> Option<Live<Services>> {
    let own = auth.services();
    match &auth.callers_file {
        None => Some(Live::new(own.into())),
        Some(path) => files.read("auth.callers_file", [path], move |[text]| {
            let more = config::Services::parse(text)?;
            Ok(own.clone().and(more)?.into())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceCertificate;

    fn services(entries: &[(&str, &str)]) -> Services {
        let certificate = |(name, san): &(&str, &str)| ServiceCertificate {
            name: (*name).to_owned(),
            san: san.parse().unwrap(),
            ..Default::default()
        };
        let certificates = entries.iter().map(certificate).collect();
        config::Services { certificates, ..Default::default() }.into()
    }

    #[test]
    fn a_certificate_stands_for_one_service_or_for_none() {
        let services = services(&[
            ("billing", "billing.internal"),
            ("billing", "spiffe://example.org/billing"),
            ("shop", "shop.internal"),
        ]);
        let found =
            |sans: &[San]| services.by_certificate(&Certificate::with_names(sans)).map(|service| service.name.clone());
        let (billing, shop) = (San::dns("Billing.Internal"), San::dns("shop.internal"));
        assert_eq!(found(std::slice::from_ref(&billing)).as_deref(), Some("billing"));
        assert_eq!(found(&[billing.clone(), San::uri("spiffe://example.org/billing")]).as_deref(), Some("billing"));
        assert_eq!(found(&[San::dns("node-7.internal"), shop.clone()]).as_deref(), Some("shop"));
        assert_eq!(found(&[billing, shop]), None);
        assert_eq!(found(&[San::dns("*.internal")]), None);
        assert_eq!(found(&[San::uri("spiffe://example.org/Billing")]), None);
        assert_eq!(found(&[]), None);
    }
}
