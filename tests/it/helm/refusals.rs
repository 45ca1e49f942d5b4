//! What the chart refuses, and what it says.

use super::{render, rendered, values};

/// Values that are wrong, laid over the set `minimal`, and what is said of them.
const MISTAKES: [(&str, &str); 27] = [
    // The schema of the values.
    ("replicaCuont=3", "additional properties 'replicaCuont' not allowed"),
    (r#"image={"tagg":"1"}"#, "additional properties 'tagg' not allowed"),
    (r#"config.sever={"reflection":false}"#, "additional properties 'sever' not allowed"),
    ("replicaCount=0", "replicaCount"),
    (r#"replicaCount="3""#, "replicaCount"),
    (r#"image.digest="latest""#, "image/digest"),
    (r#"image.repository="""#, "image/repository"),
    (r#"database.kind="mysql""#, "database/kind"),
    (r#"bindAddress="0.0.0.0:50051""#, "bindAddress"),
    (r#"links.keys=[{"id":256,"existingSecret":"links","key":"k"}]"#, "links/keys/0/id"),
    // What depends on two values.
    (r#"config.auth.mode="""#, "config.auth.mode: has to be set"),
    (r#"config.auth={"mode":"development"}"#, "config.auth.mode: has to be set, and not to \"development\""),
    (r#"database.existingSecret="""#, "database.existingSecret: name the Secret"),
    ("links.keys=[]", "links.keys: name the Secret"),
    (r#"autoscaling={"enabled":true,"minReplicas":9}"#, "autoscaling.minReplicas: is more than maxReplicas"),
    (r#"tls={"clientCA":{"existingSecret":"ca"}}"#, "tls.existingSecret: is needed where client certificates"),
    (r#"tls={"existingSecret":"tls"},probes={"type":"grpc"}"#, "probes.type: the kubelet cannot ask by gRPC with TLS"),
    (r#"tls={"existingSecret":"tls"},envoy={"enabled":true}"#, "envoy.enabled: it speaks to Roster within the pod"),
    ("admin.port=50051", "admin.port, envoy.port: have to differ"),
    // What is not for `config` to say.
    (r#"config.server={"listen":"0.0.0.0:1"}"#, "config.server.listen: the chart sets this; leave it out"),
    (r#"config.server={"tls":{"key_file":"x"}}"#, "config.server.tls: the chart sets this; leave it out"),
    (r#"config.database={"url_file":"x"}"#, "config.database.url_file: the chart sets this; leave it out"),
    (r#"config.links={"keys":[]}"#, "config.links.keys: the chart sets this; leave it out"),
    // Pods that would be killed while they drain.
    ("terminationGracePeriodSeconds=35", "terminationGracePeriodSeconds: is 35s, and has to be more than"),
    (r#"config.server={"drain_timeout":"25s"}"#, "which is 40s"),
    (r#"config.server={"drain_delay":"1m 1s"}"#, "which is 91s"),
    (r#"config.server={"drain_delay":"soon"}"#, "config.server.drain_delay: \"soon\" is not a duration"),
];

#[tokio::test]
async fn mistakes_are_refused_and_named() {
    for (mistake, said) in MISTAKES {
        let refused = render("minimal", &[mistake]).await.refused;
        let refused = refused.unwrap_or_else(|| panic!("{mistake} is taken"));
        assert!(refused.contains(said), "{mistake}: {refused}");
    }
}

#[tokio::test]
async fn sqlite_is_one_pod_with_a_volume() {
    for (mistake, said) in [
        ("replicaCount=2", "replicaCount: SQLite allows one pod"),
        ("autoscaling.enabled=true", "autoscaling.enabled: SQLite allows one pod"),
        ("persistence.enabled=false", "persistence.enabled: has to be true"),
    ] {
        let refused = render("sqlite", &[mistake]).await.refused.unwrap_or_default();
        assert!(refused.contains(said), "{mistake}: {refused}");
    }
    let rendered = rendered("sqlite").await;
    // Its file has one owner: the old pod goes before the new one comes.
    assert_eq!(rendered.the("Deployment")["spec"]["strategy"]["type"], "Recreate");
    assert_eq!(rendered.all("Job").count(), 0);
}

/// What just suffices is taken.
#[tokio::test]
async fn a_grace_period_that_suffices_is_taken() {
    for otherwise in [
        &["terminationGracePeriodSeconds=36"][..],
        &["terminationGracePeriodSeconds=91", r#"config.server={"drain_delay":"1m500ms"}"#],
    ] {
        assert_eq!(render("minimal", otherwise).await.refused, None, "{otherwise:?}");
    }
}

/// The schemas of Kubernetes see what the chart lets through.
#[tokio::test]
async fn what_kubernetes_does_not_know_is_a_problem() {
    let problems = render("minimal", &[r#"podSecurityContext={"runAsUsr":1}"#]).await.problems;
    assert!(problems.iter().any(|problem| problem.contains("'runAsUsr' was unexpected")), "{problems:?}");
}

/// The values that the documentation sends people to are there, and the chart tells of nothing without reason.
#[test]
fn the_sets_of_values_say_what_they_are_for() {
    for set in super::SETS {
        let text = std::fs::read_to_string(values(set)).unwrap();
        assert!(text.starts_with("# "), "{set}");
    }
}
