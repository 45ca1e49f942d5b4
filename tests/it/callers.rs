//! Who calls: services by token, JWT and certificate, people by JWT, and all of them at one server.

mod reload;

use std::{path::PathBuf, time::Duration};

use roster::config::{Config, JwtAlgorithm::ES256, ServiceCertificate};
use roster_proto::{
    events::v1::{Actor, actor::Principal},
    v1::{
        self as wire, CreateTeamRequest, GetUserRequest, GetUserResponse, ListEventsRequest, UpdateUserRequest,
        get_user_request::Key,
    },
};
use serde_json::{Value, json};
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::support::{
    Caller, Db, Outcome as _, TestServer,
    caller::service_token,
    issuer::{SigningKey, claims_of, key_set, take_tokens},
    outcome::violations,
    pki::{Authority, Issued},
    process::replace,
    scene::{create_team, create_user},
    server::eventually,
};

const BILLING: &str = "spiffe://example.org/billing";

/// A server that takes everything, and what is needed to call it.
struct Mixed {
    server: TestServer,
    authority: Authority,
    key: SigningKey,
}

impl Mixed {
    async fn start(configure: impl FnOnce(&mut Config)) -> Self {
        let (authority, key) = (Authority::new(), SigningKey::es256("k"));
        let server = TestServer::with(Db::Sqlite, |config| {
            take_tokens(config, &[ES256]);
            let folder = config.data_dir.clone();
            let write = |name: &str, text: &str| {
                std::fs::write(folder.join(name), text).unwrap();
                Some(folder.join(name))
            };
            config.auth.jwt.jwks_file = write("keys.json", &key_set(&[key.jwk()]));
            config.auth.tokens =
                vec![service_token("setup", &["roster.*"], true), service_token("shop", &["roster.users.*"], false)];
            config.auth.certificates = vec![certificate("billing", BILLING), certificate("mail", "mail.internal")];
            config.server.tls = authority.server().served_from(&folder);
            config.server.tls.client_ca_file = write("clients.pem", authority.pem());
            configure(config);
        })
        .await;
        let mixed = Self { server, authority, key };
        create_user(&mixed.setup().await, "ada").await;
        mixed
    }

    /// Over a connection without a client certificate.
    async fn anybody(&self) -> Caller {
        Caller::new(self.connect(None).await.unwrap())
    }

    /// Over a connection with one.
    async fn with(&self, issued: &Issued) -> Caller {
        Caller::new(self.connect(Some(issued)).await.unwrap())
    }

    async fn setup(&self) -> Caller {
        self.anybody().await.with_token("setup")
    }

    async fn connect(&self, issued: Option<&Issued>) -> Result<Channel, Status> {
        let mut tls = self.authority.trusting();
        if let Some(issued) = issued {
            tls = tls.identity(issued.identity());
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.server.address())).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect_lazy();
        // Over TLS 1.3 a client learns after its greeting that its certificate is not taken.
        HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.map(|_| channel)
    }

    fn claims(&self, user: &str) -> Value {
        let mut claims = claims_of(user, self.server.clock.env().now());
        claims["scope"] = "openid roster.users.* roster.teams.*".into();
        claims
    }

    /// A token of a person, used by a service of this name.
    fn token(&self, user: &str, service: Option<&str>) -> String {
        let mut claims = self.claims(user);
        if let Some(service) = service {
            claims["azp"] = service.into();
        }
        self.key.token(&claims)
    }

    /// Who an event says it was that created a team for ada.
    async fn actor(&self, caller: &Caller) -> Actor {
        let request =
            CreateTeamRequest { name: "Acme".to_owned(), owner_user_id: "ada".to_owned(), ..Default::default() };
        let team = caller.teams().create_team(request).await.done().team.unwrap().id;
        let setup = self.setup().await;
        eventually("the event", async || {
            let request = ListEventsRequest { team_id: team.clone(), ..Default::default() };
            let page = setup.events().list_events(request).await.done();
            page.events.into_iter().next().map(|event| event.actor.unwrap())
        })
        .await
    }
}

fn service(name: &str) -> Actor {
    Actor { principal: Some(Principal::Service(name.to_owned())), via_service: String::new() }
}

fn person(user: &str, via: &str) -> Actor {
    Actor { principal: Some(Principal::UserId(user.to_owned())), via_service: via.to_owned() }
}

fn certificate(name: &str, san: &str) -> ServiceCertificate {
    let like = service_token(name, &["roster.users.*", "roster.teams.*"], true);
    ServiceCertificate { name: like.name, san: san.parse().unwrap(), scopes: like.scopes, act_for_users: true }
}

async fn get(caller: &Caller, user: &str) -> Result<Response<GetUserResponse>, Status> {
    caller.users().get_user(GetUserRequest { key: Some(Key::UserId(user.to_owned())), ..Default::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_the_service_that_its_name_is_listed_for() {
    let m = Mixed::start(|_| {}).await;
    let billing = m.with(&m.authority.client(&[BILLING])).await;
    get(&billing, "ada").await.done();
    assert_eq!(m.actor(&billing).await, service("billing"));
    assert_eq!(m.actor(&billing.clone().acting_for("ada")).await, person("ada", "billing"));
    let beyond = billing.roles().list_permissions(wire::ListPermissionsRequest::default()).await;
    let beyond = beyond.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(beyond.metadata["permission"], "roster.roles.read");
    // Besides its own, a certificate may have names that nobody lists; letters of DNS names are all one.
    get(&m.with(&m.authority.client(&["node-7.internal", "Mail.Internal"])).await, "ada").await.done();

    for names in [
        &["node-7.internal"][..],
        &["mail.internal.example.com"],
        &["*.internal"],
        &["spiffe://example.org/billing/2"],
        &["spiffe://example.org/Billing"],
        // Two services at once are none.
        &[BILLING, "mail.internal"],
        &[],
    ] {
        let unknown = m.with(&m.authority.client(names)).await;
        get(&unknown, "ada").await.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");
    }
    // Whoever has none may ask for health, and for nothing else.
    get(&m.anybody().await, "ada").await.refused(Code::Unauthenticated, "CREDENTIALS_MISSING");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_good_gets_no_connection() {
    let m = Mixed::start(|_| {}).await;
    let forger = Authority::new();
    for (way, issued) in [
        ("of another authority", forger.client(&[BILLING])),
        ("that has expired", m.authority.expired_client(&[BILLING])),
        ("for servers", m.authority.issue(&[BILLING], rcgen::ExtendedKeyUsagePurpose::ServerAuth)),
    ] {
        assert!(m.connect(Some(&issued)).await.is_err(), "a certificate {way}");
    }
}

/// Over connections that are there and over new ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities_and_lists_of_certificates_are_exchanged() {
    let mut folder = PathBuf::new();
    let m = Mixed::start(|config| {
        folder.clone_from(&config.data_dir);
        std::fs::write(folder.join("callers.toml"), listed("archive.internal")).unwrap();
        config.auth.callers_file = Some(folder.join("callers.toml"));
        config.auth.reload_interval = Duration::from_millis(20);
    })
    .await;
    let archive = m.with(&m.authority.client(&["archive.internal"])).await;
    get(&archive, "ada").await.done();
    replace(&folder.join("callers.toml"), &listed("other.internal"));
    eventually("the name is off the list", async || get(&archive, "ada").await.err()).await;
    get(&archive, "ada").await.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");

    let next = Authority::new();
    let [before, after] = [&m.authority, &next].map(|authority| authority.client(&[BILLING]));
    assert!(m.connect(Some(&after)).await.is_err());
    replace(&folder.join("clients.pem"), next.pem());
    eventually("the next authority", async || m.connect(Some(&after)).await.ok()).await;
    get(&m.with(&after).await, "ada").await.done();
    assert!(m.connect(Some(&before)).await.is_err(), "the former one is trusted no more");
}

/// A list of callers with one certificate.
fn listed(san: &str) -> String {
    format!("[[certificates]]\nname = \"listed\"\nsan = \"{san}\"\nscopes = [\"roster.users.*\"]\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_with_a_token_is_that_person_and_nobody_else() {
    let m = Mixed::start(|config| config.auth.jwt.claims.service = Some("azp".to_owned())).await;
    create_user(&m.setup().await, "bob").await;
    let ada = m.anybody().await.with_token(&m.token("ada", None));
    get(&ada, "ada").await.done();
    get(&ada, "bob").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    for actor in ["ada", "bob"] {
        let acting = get(&ada.clone().acting_for(actor), actor).await;
        assert_eq!(acting.refused(Code::PermissionDenied, "PERMISSION_DENIED").metadata["permission"], "act_for_users");
    }
    // The scopes of the token bound what can be asked.
    let team = create_team(&ada, "Acme", "ada").await;
    let remove = wire::RemoveMemberRequest { team_id: team, user_id: "bob".to_owned(), ..Default::default() };
    let beyond = ada.teams().remove_member(remove).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(beyond.metadata["permission"], "roster.members.remove");
    // What they use: as the token says, else as the certificate does, else nothing known.
    let over_billing = m.with(&m.authority.client(&[BILLING])).await;
    let over_unknown = m.with(&m.authority.client(&["node-7.internal"])).await;
    let (plain, named) = (m.token("ada", None), m.token("ada", Some("web-App")));
    assert_eq!(m.actor(&m.anybody().await.with_token(&plain)).await, person("ada", "direct"));
    assert_eq!(m.actor(&over_unknown.with_token(&plain)).await, person("ada", "direct"));
    assert_eq!(m.actor(&over_billing.clone().with_token(&plain)).await, person("ada", "billing"));
    assert_eq!(m.actor(&over_billing.with_token(&named)).await, person("ada", "web-App"));
}

/// Nobody vouches for what a person says of themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_with_a_token_cannot_say_that_an_address_is_theirs() {
    let everything = || vec![roster::domain::PermissionPattern::parse("roster.*").unwrap()];
    let m = Mixed::start(|config| config.auth.jwt.user_scopes = everything()).await;
    let setup = m.setup().await;
    let team = create_team(&setup, "Acme", "ada").await;
    let invite = wire::CreateInvitationRequest {
        team_id: team.clone(),
        email: "eve@example.com".to_owned(),
        role_ids: vec!["member".to_owned()],
        ..Default::default()
    };
    let invitation = setup.clone().acting_for("ada").invitations().create_invitation(invite).await.done();
    let link = wire::GetInvitationLinkRequest {
        team_id: team,
        invitation_id: invitation.invitation.unwrap().id,
        ..Default::default()
    };
    let token = setup.invitations().get_invitation_link(link).await.done().token;
    let eve = m.anybody().await.with_token(&m.token("eve", None));
    let accept = |email_verified| wire::AcceptInvitationRequest {
        invitation: Some(wire::accept_invitation_request::Invitation::Token(token.clone())),
        accepter: Some(wire::accept_invitation_request::Accepter::NewUser(wire::NewUser {
            display_name: "Eve".to_owned(),
            email_verified,
            ..Default::default()
        })),
        ..Default::default()
    };
    let refused = eve.invitations().accept_invitation(accept(true)).await;
    let refused = refused.refused(Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(violations(&refused.status)[0].0, "new_user.email_verified");
    let user = wire::User { id: "ada".to_owned(), email_verified: true, ..Default::default() };
    let mask = Some(prost_types::FieldMask { paths: vec!["email_verified".to_owned()] });
    let update = UpdateUserRequest { user: Some(user), update_mask: mask, ..Default::default() };
    let ada = m.anybody().await.with_token(&m.token("ada", None));
    ada.users().update_user(update).await.refused(Code::InvalidArgument, "INVALID_FIELD");
    // Who does not claim it is let in.
    let member = eve.invitations().accept_invitation(accept(false)).await.done().member.unwrap();
    assert!(format!("{member:?}").contains("eve"), "{member:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_a_token_of_the_issuer_is_that_service() {
    let m = Mixed::start(|config| {
        let jwt = &mut config.auth.jwt;
        jwt.claims.service = Some("azp".to_owned());
        jwt.claims.scopes = "/realm/scopes".to_owned();
        (jwt.claims.kind, jwt.claims.service_kind) = (Some("gty".to_owned()), Some("client-credentials".to_owned()));
        jwt.act_for_users_scope = Some("act-for-users".to_owned());
    })
    .await;
    let token = |change: &dyn Fn(&mut Value)| {
        let mut claims = m.claims("0oa1");
        claims["realm"] = json!({"scopes": ["roster.users.*", "roster.teams.*"]});
        claims["azp"] = "0oa1".into();
        change(&mut claims);
        m.key.token(&claims)
    };
    let anybody = m.anybody().await;
    let with = |change: &dyn Fn(&mut Value)| anybody.clone().with_token(&token(change));
    // Its own subject (RFC 9068), without a subject, or of the kind that is told.
    let ways: [&dyn Fn(&mut Value); 3] =
        [&|_| {}, &|claims| drop(claims.as_object_mut().unwrap().remove("sub")), &|claims| {
            claims["sub"] = "0oa1@clients".into();
            claims["gty"] = "client-credentials".into();
        }];
    for way in ways {
        assert_eq!(m.actor(&with(way)).await, service("0oa1"));
    }
    let acting =
        get(&with(&|_| {}).acting_for("ada"), "ada").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(acting.metadata["permission"], "act_for_users");
    let may_act = with(&|claims| claims["realm"]["scopes"] = json!(["roster.teams.*", "act-for-users"]));
    assert_eq!(m.actor(&may_act.clone().acting_for("ada")).await, person("ada", "0oa1"));
    get(&may_act, "ada").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    // A person's token with that scope acts for nobody all the same.
    let ada = with(&|claims| {
        claims["sub"] = "ada".into();
        claims["realm"]["scopes"] = json!(["roster.*", "act-for-users"]);
    });
    get(&ada, "ada").await.done();
    get(&ada.acting_for("ada"), "ada").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    // Of the kind of a service, and of no service.
    let nameless = with(&|claims| {
        claims["gty"] = "client-credentials".into();
        claims.as_object_mut().unwrap().remove("azp");
    });
    get(&nameless, "ada").await.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bearer_token_decides_whatever_the_certificate_is() {
    let m = Mixed::start(|_| {}).await;
    let billing = m.with(&m.authority.client(&[BILLING])).await;
    let unknown = m.with(&m.authority.client(&["node-7.internal"])).await;
    for connection in [&billing, &unknown, &m.anybody().await] {
        assert_eq!(m.actor(&connection.clone().with_token("setup")).await, service("setup"));
        get(&connection.clone().with_token("shop"), "ada").await.done();
        // What the certificate's service may do, the token's may not.
        let beyond = connection.clone().with_token("shop").acting_for("ada");
        get(&beyond, "ada").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        let wrong = connection.clone().with_token("wrong");
        get(&wrong, "ada").await.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");
        let mut over = m.claims("ada");
        over["exp"] = 0.into();
        let over = connection.clone().with_token(&m.key.token(&over));
        get(&over, "ada").await.refused(Code::Unauthenticated, "CREDENTIALS_EXPIRED");
    }
}
