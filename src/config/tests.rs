use super::*;

const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Config, Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), toml).unwrap();
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::load_with(Some(file.path()), variables)
}

/// The problems, one a line, as `key: message`.
fn problems(toml: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match load(toml, variables) {
        Err(Error::Invalid(problems)) => {
            problems.as_slice().iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
        }
        other => panic!("expected problems, got {other:?}"),
    }
}

fn keys(toml: &str, variables: &[(&str, &str)]) -> Vec<String> {
    problems(toml, variables).into_iter().map(|line| line.split(": ").next().unwrap().to_owned()).collect()
}

#[test]
fn the_defaults_are_valid_and_survive_a_round_trip() {
    let defaults = Config::load_with(None, []).unwrap().to_toml().unwrap();
    assert_eq!(defaults, Config::default().to_toml().unwrap());
    assert_eq!(load(&defaults, &[]).unwrap().to_toml().unwrap(), defaults);
}

#[test]
fn the_production_example_in_the_documentation_is_valid() {
    let text = include_str!("../../docs/configuration.md");
    let example = text.split("```").find_map(|part| part.strip_prefix("toml\n# Production")).unwrap();
    let secrets = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("database-url", "postgres://roster:hunter2@db/roster"),
        ("link-key-2", &"ab".repeat(32)),
        ("link-key-1", &"cd".repeat(32)),
        ("smtp-password", "hunter2"),
    ] {
        std::fs::write(secrets.path().join(name), content).unwrap();
    }
    let example = example.replace("/run/secrets/roster", secrets.path().to_str().unwrap());
    let config = load(&format!("#{example}"), &[]).unwrap();
    assert!(config.database.url.is_postgres());
    assert_eq!(config.mail.transport, MailTransportKind::Smtp);
    assert_eq!(config.events.publisher, PublisherKind::Nats);
}

#[test]
fn variables_win_over_the_file_key_by_key() {
    let config = load(
        "[server]\nlisten = \"127.0.0.1:1\"\nmax_in_flight = 7",
        &[
            ("ROSTER_SERVER__LISTEN", "127.0.0.1:2"),
            ("ROSTER_SERVER__REFLECTION", "false"),
            ("ROSTER_SERVER__MAX_DEADLINE", "1500ms"),
            ("ROSTER_TELEMETRY__SAMPLE_RATIO", "0.25"),
            ("ROSTER_MAIL__SMTP__PORT", ""),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.max_in_flight, 7);
    assert!(!config.server.reflection);
    assert_eq!(config.server.max_deadline.as_millis(), 1500);
    assert!((config.telemetry.sample_ratio - 0.25).abs() < f64::EPSILON);
    assert_eq!(config.mail.smtp.port, 587, "an empty variable is no variable");
}

#[test]
fn writes_take_as_many_places_as_can_be_served() {
    let max_writes = |max_in_flight, max_connections, url| {
        let mut config = Config::default();
        config.server.max_in_flight = max_in_flight;
        (config.database.max_connections, config.database.url) = (max_connections, url);
        config.max_writes()
    };
    let (sqlite, postgres) = (Config::default().database.url, "postgres://db/roster".parse::<DatabaseUrl>().unwrap());
    assert_eq!(Config::default().max_writes(), 16);
    assert_eq!((max_writes(160, 10, postgres.clone()), max_writes(1, 10, postgres)), (80, 1));
    assert_eq!((max_writes(160, 1, sqlite.clone()), max_writes(4, 10, sqlite)), (80, 1));
}

#[test]
fn a_variable_can_hold_a_list() {
    let tokens = format!("[{{ name = \"billing\", sha256 = \"{DIGEST}\", scopes = [\"roster.*\"] }}]");
    let config = load("auth.mode = \"credentials\"", &[("ROSTER_AUTH__TOKENS", &tokens)]).unwrap();
    assert_eq!(config.auth.tokens[0].sha256, TokenDigest::of("test"));
    assert_eq!(problems("", &[("ROSTER_ROLES", "owner")]).len(), 1);
}

#[test]
fn a_password_of_digits_stays_a_text() {
    use secrecy::ExposeSecret as _;
    let variables = [("ROSTER_MAIL__SMTP__PASSWORD", "0123"), ("ROSTER_MAIL__SMTP__USERNAME", "true")];
    let smtp = load("", &variables).unwrap().mail.smtp;
    assert_eq!(smtp.password.unwrap().expose_secret(), "0123");
    assert_eq!(smtp.username.as_deref(), Some("true"));
}

#[test]
fn every_problem_is_told_at_once_under_its_key() {
    let toml = format!(
        r#"
        colour = "red"
        [server]
        listen = "everywhere"
        max_in_flight = 0
        max_deadline = "soon"
        [database]
        url = "mysql://root@db/roster"
        max_conections = 3
        [auth]
        mode = "credentials"
        [[auth.tokens]]
        name = "Billing"
        sha256 = "abc"
        scopes = ["roster.*", "No!"]
        [[auth.tokens]]
        name = "ok"
        sha256 = "{DIGEST}"
        [[auth.tokens]]
        name = "ok"
        sha256 = "{DIGEST}"
        scopes = ["*"]
        [telemetry]
        log_filter = "roster=loud"
        sample_ratio = 2
        "#
    );
    insta::assert_snapshot!(problems(&toml, &[("ROSTER_EVENTS__RETENTION", "6days")]).join("\n"), @r#"
    auth.tokens[1].scopes: is required
    auth.tokens[0].scopes: "No!" must be dotted names of a-z, 0-9, _ and -, such as catalog.products.write or catalog.*
    auth.tokens[0].sha256: expected SHA-256 as 64 hexadecimal digits
    colour: is not a known key; known here: data_dir, server, database, auth, links, limits, mail, events, telemetry, roles
    database.max_conections: is not a known key; known here: url, url_file, max_connections, acquire_timeout, statement_timeout, migrate_on_start
    database.url: expected sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME
    server.listen: expected an address and a port such as "127.0.0.1:50051"
    server.max_deadline: expected a duration such as "500ms", "30s" or "14days"
    server.max_in_flight: must be at least 1
    auth.tokens[0].name: must be 1 to 63 of a-z, 0-9, '-', '_' and '.'
    auth.tokens[2].sha256: is the hash of another entry's token
    events.retention: must be at least 7days
    telemetry.log_filter: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5
    telemetry.sample_ratio: must be 0 to 1
    "#);
}

#[test]
fn a_problem_names_the_variable_behind_it() {
    let error = load("", &[("ROSTER_MAIL__MAX_ATTEMPTS", "many")]).unwrap_err();
    insta::assert_snapshot!(error, @"
    the configuration has a problem:
      mail.max_attempts: expected a whole number (set by ROSTER_MAIL__MAX_ATTEMPTS)
    ");
}

#[test]
fn an_unknown_variable_is_a_problem() {
    assert_eq!(keys("", &[("ROSTER_SERVER__PORT", "1")]), ["server.port"]);
    assert_eq!(keys("", &[("ROSTER_SERVERS__LISTEN", "1")]), ["servers"]);
}

#[test]
fn secrets_are_masked_in_every_print() {
    let canary = "hunter2";
    let toml = r#"
        database.url = "postgres://roster:hunter2@db/roster"
        links.keys = [{ id = 1, secret = "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnRlcjI=" }]
        events.nats.url = "nats://hunter2@nats:4222"
        mail.smtp = { username = "u", password = "hunter2" }
    "#;
    let config = load(toml, &[]).unwrap();
    let printed = config.to_toml().unwrap();
    assert!(printed.contains("postgres://roster:***@db/roster"), "{printed}");
    for text in [printed, format!("{config:?}")] {
        assert!(!text.contains(canary) && !text.contains("aHVudGVy"), "{text}");
    }
}

#[test]
fn no_error_repeats_a_secret() {
    let canary = "hunter2";
    for toml in [
        "database.url = \"hunter2\"",
        "links.keys = \"hunter2\"",
        "links.keys = [\"hunter2\"]",
        "links.keys = [{ id = 1, secret = \"hunter2\" }]",
        "mail.smtp.password = [\"hunter2\"]",
        "events.nats.url = \"hunter2\"",
        "mail.smtp.password = \"hunter2",
    ] {
        let error = load(toml, &[]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(canary), "{toml}: {error}");
    }
    let error = load("", &[("ROSTER_LINKS__KEYS", "[hunter2")]).unwrap_err();
    assert!(!error.to_string().contains(canary), "{error}");
}

#[test]
fn a_secret_can_come_from_a_file_but_not_from_two_places() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "postgres://roster:hunter2@db/roster\n").unwrap();
    let path = file.path().to_str().unwrap();
    let config = load("", &[("ROSTER_DATABASE__URL_FILE", path)]).unwrap();
    assert_eq!(config.database.url.expose(), "postgres://roster:hunter2@db/roster");
    let printed = config.to_toml().unwrap();
    assert!(printed.contains(path) && !printed.contains("hunter2"), "{printed}");
    assert_eq!(load(&printed, &[]).unwrap().to_toml().unwrap(), printed, "what is printed can be loaded again");

    let both = "[database]\nurl = \"sqlite://roster.db\"";
    assert_eq!(
        problems(both, &[("ROSTER_DATABASE__URL_FILE", path)]),
        ["database.url: give this or url_file, not both"]
    );
    let missing = "[[links.keys]]\nid = 1\nsecret_file = \"/nonexistent\"";
    assert_eq!(keys(missing, &[]), ["links.keys[0].secret_file"]);
}

#[test]
fn the_data_directory_takes_its_contents_along() {
    let config = load("data_dir = \"/var/lib/roster\"", &[]).unwrap();
    assert_eq!(config.database.url.to_string(), "sqlite:///var/lib/roster/roster.db");
    assert_eq!(config.mail.file.folder, Path::new("/var/lib/roster/mail"));
}

#[test]
fn development_mode_is_for_loopback_only() {
    assert_eq!(keys("server.listen = \"0.0.0.0:50051\"", &[]), ["auth.mode"]);
    assert!(load("server.listen = \"[::1]:50051\"", &[]).is_ok());
}

#[test]
fn replicas_must_share_their_keys() {
    let toml = format!(
        "database.url = \"postgres://db/roster\"\n[auth]\nmode = \"credentials\"\n\
         tokens = [{{ name = \"a\", sha256 = \"{DIGEST}\", scopes = [\"*\"] }}]"
    );
    assert_eq!(keys(&toml, &[]), ["links.keys"]);
}

#[test]
fn credentials_are_of_somebody() {
    assert_eq!(keys("auth.mode = \"credentials\"", &[]), ["auth.mode"]);
}

#[test]
fn tokens_of_an_issuer_are_checked_as_a_whole() {
    let good = r#"
        auth.mode = "credentials"
        [auth.jwt]
        issuer = "https://id.example.com/"
        audience = "roster"
        algorithms = ["ES256", "ES384"]
        jwks_url = "https://id.example.com/keys"
        user_scopes = ["roster.teams.*"]
        claims = { service = "azp", kind = "gty", service_kind = "client-credentials" }
    "#;
    let config = load(good, &[]).unwrap();
    assert_eq!(load(&config.to_toml().unwrap(), &[]).unwrap().auth.jwt.claims.service.as_deref(), Some("azp"));
    let variables = [
        ("ROSTER_AUTH__MODE", "credentials"),
        ("ROSTER_AUTH__JWT__ISSUER", "https://id.example.com/"),
        ("ROSTER_AUTH__JWT__AUDIENCE", "roster"),
        ("ROSTER_AUTH__JWT__ALGORITHMS", "[\"RS256\", \"PS256\"]"),
        ("ROSTER_AUTH__JWT__JWKS_URL", "http://127.0.0.1:8080/keys"),
    ];
    assert_eq!(load("", &variables).unwrap().auth.jwt.algorithms.len(), 2);

    let bare = "auth.mode = \"credentials\"\n[auth.jwt]\nissuer = \"https://id.example.com/\"";
    insta::assert_snapshot!(problems(bare, &[]).join("\n"), @r"
    auth.jwt.audience: is required with auth.jwt.issuer
    auth.jwt.algorithms: at least one is required with auth.jwt.issuer
    auth.jwt.jwks_url: this or jwks_file is required with auth.jwt.issuer
    ");
    let mixed = r#"
        [auth.jwt]
        issuer = "https://id.example.com/"
        audience = "roster"
        algorithms = ["RS256", "EdDSA"]
        jwks_url = "https://id.example.com/keys"
        jwks_file = "keys.json"
        refresh_interval = "0s"
        user_service = "The Web"
        claims = { user = "", kind = "gty" }
    "#;
    insta::assert_snapshot!(problems(mixed, &[]).join("\n"), @r"
    auth.jwt.algorithms: must be of one family: RS* and PS*, or ES*, or EdDSA and Ed25519
    auth.jwt.jwks_url: give this or jwks_file, not both
    auth.jwt.refresh_interval: must be longer than 0s
    auth.jwt.user_service: must be 1 to 63 of a-z, 0-9, '-', '_' and '.'
    auth.jwt.claims.user: must not be empty
    auth.jwt.claims.kind: goes together with service_kind
    auth.jwt.claims.service: is required with kind: it names the service
    ");
    for symmetric in ["HS256", "none", "es256"] {
        let toml = good.replace("ES384", symmetric);
        assert_eq!(keys(&toml, &[]), ["auth.jwt.algorithms[1]"], "{symmetric}");
    }
    for url in ["http://id.example.com/keys", "ftp://id.example.com", "https://user:hunter2@id.example.com", "keys"] {
        let toml = good.replace("https://id.example.com/keys", url);
        let told = problems(&toml, &[]);
        assert!(
            told.len() == 1 && told[0].starts_with("auth.jwt.jwks_url: ") && !told[0].contains("hunter2"),
            "{told:?}"
        );
    }
    assert_eq!(keys("auth.jwt.audience = \"roster\"", &[]), ["auth.jwt.issuer"]);
}

#[test]
fn entries_of_one_service_agree() {
    let entry = |list: &str, known: &str, scopes: &str| {
        format!("[[auth.{list}]]\nname = \"shop\"\n{known}\nscopes = {scopes}\n")
    };
    let token = |text: &str| format!("sha256 = \"{}\"", TokenDigest::of(text));
    let (old, new) = (token("old"), token("new"));
    let (read, all) = ("[\"roster.teams.read\"]", "[\"roster.*\"]");
    let tls = "[server.tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\nclient_ca_file = \"a\"\n";
    let san = "san = \"spiffe://example.org/shop\"";
    let rotated = entry("tokens", &old, read) + &entry("tokens", &new, read) + &entry("certificates", san, read) + tls;
    assert_eq!(load(&rotated, &[]).unwrap().auth.tokens.len(), 2);
    let differs = entry("tokens", &old, read) + &entry("tokens", &new, all) + &entry("certificates", san, all) + tls;
    assert_eq!(keys(&differs, &[]), ["auth.tokens[1].scopes", "auth.certificates[0].scopes"]);
    let acts = entry("tokens", &old, read) + &entry("tokens", &new, read) + "act_for_users = true\n";
    assert_eq!(keys(&acts, &[]), ["auth.tokens[1].act_for_users"]);
}

#[test]
fn certificates_need_an_authority_and_an_authority_needs_certificates() {
    let certificate =
        |san: &str| format!("[[auth.certificates]]\nname = \"shop\"\nsan = \"{san}\"\nscopes = [\"roster.*\"]\n");
    assert_eq!(keys(&certificate("shop.internal"), &[]), ["server.tls.client_ca_file"]);
    let tls = "[server.tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\nclient_ca_file = \"a\"\n";
    assert_eq!(keys(tls, &[]), ["auth.certificates"]);
    assert_eq!(keys("server.tls.key_file = \"k\"", &[]), ["server.tls.certificate_file"]);
    assert_eq!(keys("server.tls.certificate_file = \"c\"", &[]), ["server.tls.key_file"]);
    let twice = certificate("shop.internal") + &certificate("SHOP.internal") + tls;
    assert_eq!(keys(&twice, &[]), ["auth.certificates[1].san"]);
    for bad in ["", "*.internal", "shop..internal", "-shop.internal", "a b", "spiffe:// x", "10.0.0.1:80:"] {
        assert_eq!(keys(&(certificate(bad) + tls), &[]), ["auth.certificates[0].san"], "{bad}");
    }
}

#[test]
fn more_callers_can_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callers.toml");
    let entry = |name: &str, scopes: &str| {
        format!("[[tokens]]\nname = \"{name}\"\nsha256 = \"{}\"\nscopes = {scopes}\n", TokenDigest::of(name))
    };
    let own = format!(
        "auth.mode = \"credentials\"\nauth.callers_file = {path:?}\n[[auth.tokens]]\nname = \"shop\"\n\
         sha256 = \"{DIGEST}\"\nscopes = [\"roster.*\"]\n"
    );
    let told = |text: &str| {
        std::fs::write(&path, text).unwrap();
        match load(&own, &[]) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(told(&entry("mail", "[\"roster.*\"]")), "");
    assert_eq!(told(&entry("shop", "[\"roster.*\"]")), "");
    assert!(told(&entry("shop", "[\"*\"]")).contains("tokens[1].scopes: differs from"));
    assert!(
        told("[[tokens]]\nname = \"x\"").contains("tokens[0].scopes: must not be empty; tokens[0].sha256: is required")
    );
    assert!(told("\n[[tokens]").contains("line 2: "));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(keys(&own, &[]), ["auth.callers_file"]);
}

#[test]
fn ownership_needs_its_roles() {
    let role = |id: &str, permissions: &str| {
        format!("[[roles]]\nid = \"{id}\"\nname = \"R\"\npermissions = {permissions}\nreaches_descendants = true\n")
    };
    assert_eq!(keys(&role("admin", "[\"*\"]"), &[]), ["roles"]);
    let weak_owner = role("admin", "[]") + &role("owner", "[\"*\"]");
    assert_eq!(keys(&weak_owner, &[]), ["roles[1].permissions"]);
    let twice = role("a", "[]") + &role("a", "[]");
    assert_eq!(keys(&twice, &[]), ["roles[1].id", "roles"]);
}

#[test]
fn smtp_is_checked_as_a_whole() {
    assert_eq!(keys("mail.transport = \"smtp\"", &[]), ["mail.smtp.host"]);
    assert_eq!(keys("mail.smtp.username = \"u\"", &[]), ["mail.smtp.password"]);
    let plain = "mail.smtp = { host = \"relay\", security = \"plaintext\", username = \"u\", password = \"p\" }";
    assert_eq!(keys(plain, &[]), ["mail.smtp.security"]);
    assert_eq!(keys("mail.from = \"nobody\"", &[]), ["mail.from"]);
}

#[test]
fn what_mails_show_is_checked() {
    let mail = r#"
        [mail]
        logo_url = "https://static.example.com/logo.png"
        support_address = "help+roster@example.com"
        login_url = "http://localhost:8080/login"
        team_url = "https://app.example.com/teams/{team_id}/invitations/{invitation_id}"
        templates = "mail-templates"
        default_locale = "pt-BR"
    "#;
    let config = load(mail, &[]).unwrap();
    let printed = config.to_toml().unwrap();
    assert_eq!(load(&printed, &[]).unwrap().to_toml().unwrap(), printed);
    let mail = r#"
        [mail]
        logo_url = "http://static.example.com/logo.png"
        support_address = "Help <help@example.com>"
        login_url = "/login"
        team_url = "https://app.example.com/{team}"
        default_locale = "English please"
    "#;
    insta::assert_snapshot!(problems(mail, &[]).join("\n"), @r#"
    mail.login_url: expected an absolute http:// or https:// URL
    mail.team_url: may hold {team_id} and {invitation_id}, and no other braces
    mail.logo_url: must be an https:// URL: mail clients show no other picture
    mail.support_address: expected a bare e-mail address such as "help@example.com"
    mail.default_locale: expected a language tag such as "en" or "pt-BR"
    "#);
    assert_eq!(keys("mail.support_address = \"a?cc=b@example.com\"", &[]), ["mail.support_address"]);
}

#[test]
fn a_file_that_is_named_must_be_there_and_be_toml() {
    let missing = Config::load_with(Some(Path::new("/nonexistent/roster.toml")), []);
    assert!(matches!(missing, Err(Error::Unreadable { .. })));
    match load("[server]\nlisten = = 1", &[]) {
        Err(Error::Syntax { line, column, .. }) => assert_eq!((line, column), (2, 10)),
        other => panic!("{other:?}"),
    }
}
