//! What Kubernetes' schemas cannot see: whether the objects find each other.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Rendered, SETS, rendered};
use crate::architecture::source::root;

fn labels<'a>(value: &'a Value, path: &str) -> &'a Map<String, Value> {
    value.pointer(path).and_then(Value::as_object).unwrap_or_else(|| panic!("{path} in {value}"))
}

fn selects(selector: &Map<String, Value>, pod: &Value) -> bool {
    let labels = labels(pod, "/metadata/labels");
    selector.iter().all(|(name, value)| labels.get(name) == Some(value))
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().map(|item| item["name"].as_str().unwrap()).collect()
}

/// Every container of a pod, those that come first included.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let of = |list: &str| pod["spec"][list].as_array().into_iter().flatten();
    of("initContainers").chain(of("containers"))
}

/// Every pod of a rendering: that which serves first.
fn pods(rendered: &Rendered) -> Vec<&Value> {
    let of = |kind: &str| rendered.all(kind).map(|object| &object["spec"]["template"]).collect::<Vec<_>>();
    [of("Deployment"), of("Job"), rendered.all("Pod").collect()].concat()
}

#[tokio::test]
async fn selectors_find_the_pods_that_serve_and_no_others() {
    for set in SETS {
        let rendered = rendered(set).await;
        let pods = pods(rendered);
        let mut selectors = vec![labels(rendered.the("Deployment"), "/spec/selector/matchLabels")];
        selectors.extend(rendered.all("Service").map(|service| labels(service, "/spec/selector")));
        selectors
            .extend(rendered.all("PodDisruptionBudget").map(|budget| labels(budget, "/spec/selector/matchLabels")));
        for selector in selectors {
            let found: Vec<bool> = pods.iter().map(|pod| selects(selector, pod)).collect();
            assert!(found[0] && !found[1..].contains(&true), "{set}: {selector:?} finds {found:?}");
        }
        for policy in rendered.all("NetworkPolicy") {
            let selector = labels(policy, "/spec/podSelector/matchLabels");
            assert!(pods.iter().all(|pod| selects(selector, pod)), "{set}: the Job needs the database too");
        }
        for scaler in rendered.all("HorizontalPodAutoscaler") {
            assert_eq!(scaler["spec"]["scaleTargetRef"]["name"], rendered.the("Deployment")["metadata"]["name"]);
            assert!(rendered.the("Deployment")["spec"].get("replicas").is_none(), "{set}: two would decide");
        }
    }
}

#[tokio::test]
async fn what_is_mounted_is_there() {
    for set in SETS {
        let rendered = rendered(set).await;
        for pod in pods(rendered) {
            let mounted: BTreeSet<&str> =
                containers(pod).flat_map(|container| names(&container["volumeMounts"])).collect();
            assert_eq!(mounted, names(&pod["spec"]["volumes"]), "{set}");
        }
    }
}

#[tokio::test]
async fn services_lead_to_ports_that_are_there() {
    for set in SETS {
        let rendered = rendered(set).await;
        let open: BTreeSet<&str> =
            containers(rendered.pod("Deployment")).flat_map(|container| names(&container["ports"])).collect();
        for service in rendered.all("Service") {
            for port in service["spec"]["ports"].as_array().unwrap() {
                let target = port["targetPort"].as_str().unwrap();
                assert!(open.contains(target), "{set}: no port is called {target}");
            }
        }
        for monitor in rendered.all("ServiceMonitor") {
            let selector = labels(monitor, "/spec/selector/matchLabels");
            let found: Vec<_> = rendered.all("Service").filter(|service| selects(selector, service)).collect();
            assert_eq!(found.len(), 1, "{set}");
            assert!(
                names(&found[0]["spec"]["ports"]).contains(monitor["spec"]["endpoints"][0]["port"].as_str().unwrap())
            );
        }
    }
}

/// Before an installation there is nothing of the release: what the Job needs comes with it, and before it.
#[tokio::test]
async fn the_job_needs_nothing_that_comes_later() {
    let hook = |object: &Value| object["metadata"]["annotations"]["helm.sh/hook"].clone();
    let weight = |object: &Value| {
        object["metadata"]["annotations"]["helm.sh/hook-weight"].as_str().unwrap().parse::<i32>().unwrap()
    };
    for set in SETS {
        let rendered = rendered(set).await;
        let Some(job) = rendered.all("Job").next() else { continue };
        assert_eq!(hook(job), "pre-install,pre-upgrade");
        let volumes = job["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
        let config = volumes.iter().find_map(|volume| volume["configMap"]["name"].as_str()).unwrap();
        let map = rendered.all("ConfigMap").find(|map| map["metadata"]["name"] == config).unwrap();
        assert_eq!(hook(map), hook(job), "{set}");
        assert!(weight(map) < weight(job), "{set}");
        let account = &job["spec"]["template"]["spec"]["serviceAccountName"];
        assert!(
            rendered.all("ServiceAccount").all(|made| made["metadata"]["name"] != *account),
            "{set}: the release's own account is not there yet"
        );
        assert_eq!(rendered.toml("Job"), rendered.toml("Deployment"), "{set}: the Job tries what pods will get");
    }
}

#[tokio::test]
async fn every_pod_is_confined() {
    for set in SETS {
        let rendered = rendered(set).await;
        for pod in pods(rendered) {
            let spec = &pod["spec"];
            assert_eq!(spec["automountServiceAccountToken"], false, "{set}");
            assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{set}");
            assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{set}");
            for container in containers(pod) {
                let context = &container["securityContext"];
                assert_eq!(context["readOnlyRootFilesystem"], true, "{set}");
                assert_eq!(context["allowPrivilegeEscalation"], false, "{set}");
                assert_eq!(context["capabilities"]["drop"][0], "ALL", "{set}");
            }
        }
    }
}

/// The probes ask for what the program answers: its names of readiness and of liveness.
#[tokio::test]
async fn probes_ask_for_what_the_program_answers() {
    use roster::grpc::healthcheck::{LIVE, READY};
    let rendered = rendered("minimal").await;
    let container = &rendered.pod("Deployment")["spec"]["containers"][0];
    for (probe, service) in [("livenessProbe", LIVE), ("readinessProbe", READY)] {
        assert_eq!(container[probe]["grpc"]["service"].as_str().unwrap_or_default(), service, "{probe}");
        assert_eq!(container[probe]["grpc"]["port"], container["ports"][0]["containerPort"], "{probe}");
    }
    // By HTTP where that is chosen, and where TLS leaves nothing else.
    for set in ["bare", "production"] {
        let rendered = super::rendered(set).await;
        let container = &rendered.pod("Deployment")["spec"]["containers"][0];
        for (probe, path) in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
            assert_eq!(container[probe]["httpGet"], serde_json::json!({ "port": "admin", "path": path }), "{set}");
        }
    }
}

/// Alerts that ask Prometheus itself name the job under which the chart has it scraped.
#[tokio::test]
async fn what_is_scraped_has_the_job_that_alerts_ask_for() {
    let alerts = std::fs::read_to_string(root().join("docs/observability/alerts.yaml")).unwrap();
    let asked: BTreeSet<&str> = alerts.split("job=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let monitors: Vec<&Value> = rendered("production").await.all("ServiceMonitor").collect();
    for endpoint in monitors.iter().flat_map(|monitor| monitor["spec"]["endpoints"].as_array().unwrap()) {
        let set = endpoint["relabelings"].as_array().unwrap().iter().find(|rule| rule["targetLabel"] == "job").unwrap();
        assert_eq!(asked, BTreeSet::from([set["replacement"].as_str().unwrap()]));
    }
    assert_eq!(monitors.len(), 1);
}
