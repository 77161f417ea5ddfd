//! The session pod: one container that passes PodSecurity `restricted`, holds no Kubernetes token, and writes nowhere
//! but to its volume and to memory.

use crds::NodeLoss;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector, Pod,
    PodSecurityContext, PodSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext, Toleration,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::volumes::{CREDENTIALS, DATA, PROXY};
use super::{drift, metadata, volumes};
use crate::connection::validate::{ValidConnection, ValidLink};
use crate::settings::SessionDefaults;

/// Name of the container.
pub const CONTAINER: &str = "session";

/// Name and number of the port of probes and metrics.
pub const ADMIN_PORT: (&str, i32) = ("admin", 8080);

/// Browser 10 s, its process group 5 s, outbox and lease 10 s, and room for a slow disk. See `docs/architecture.md`.
const GRACE_SECONDS: i64 = 45;

/// How long a pod that may be taken away by force stays on a node that does not answer: a node that is only busy comes
/// back within that.
const LOST_NODE_SECONDS: i64 = 30;

/// User and group of the image; also the group that owns the volume.
const USER: i64 = 10001;

/// The pod of a connection.
#[must_use]
pub fn pod(connection: &ValidConnection, defaults: &SessionDefaults) -> Pod {
    let mut metadata = metadata(connection, connection.name.clone());
    metadata.annotations.get_or_insert_default().extend(drift::annotations(connection));
    Pod {
        metadata,
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            restart_policy: Some("Always".to_owned()),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                run_as_group: Some(USER),
                fs_group: Some(USER),
                fs_group_change_policy: Some("OnRootMismatch".to_owned()),
                seccomp_profile: Some(runtime_default()),
                ..PodSecurityContext::default()
            }),
            containers: vec![container(connection, defaults)],
            tolerations: tolerations(connection.node_loss),
            volumes: Some(volumes::volumes(connection)),
            ..PodSpec::default()
        }),
        ..Pod::default()
    }
}

/// A pod that shall be replaced is given up 30 s after its node, not after Kubernetes' 300 s. In no hash: a running pod
/// keeps the ones that it has.
fn tolerations(node_loss: NodeLoss) -> Option<Vec<Toleration>> {
    let for_a_while = |key: &str| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        toleration_seconds: Some(LOST_NODE_SECONDS),
        value: None,
    };
    match node_loss {
        NodeLoss::Wait => None,
        NodeLoss::ForceDelete => {
            Some(["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map(for_a_while).into())
        }
    }
}

fn runtime_default() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }
}

fn container(connection: &ValidConnection, defaults: &SessionDefaults) -> Container {
    let own = &connection.resources;
    Container {
        name: CONTAINER.to_owned(),
        image: Some(defaults.image.clone()),
        image_pull_policy: Some(defaults.image_pull_policy.clone()),
        env: Some(environment(connection, defaults)),
        ports: Some(vec![ContainerPort {
            name: Some(ADMIN_PORT.0.to_owned()),
            container_port: ADMIN_PORT.1,
            ..ContainerPort::default()
        }]),
        resources: Some(ResourceRequirements {
            requests: Some(own.requests.clone().unwrap_or_default().quantities(&defaults.requests)),
            limits: Some(own.limits.clone().unwrap_or_default().quantities(&defaults.limits)),
            ..ResourceRequirements::default()
        }),
        // The process answers within a second; 60 s leave room for a node that is starting many browsers at once.
        startup_probe: Some(probe("/live", 2, 30)),
        readiness_probe: Some(probe("/ready", 2, 3)),
        liveness_probe: Some(probe("/live", 10, 3)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            seccomp_profile: Some(runtime_default()),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(volumes::mounts(connection)),
        ..Container::default()
    }
}

fn probe(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN_PORT.0.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failure_threshold),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

fn environment(connection: &ValidConnection, defaults: &SessionDefaults) -> Vec<EnvVar> {
    let value =
        |name: &str, value: &str| EnvVar { name: name.to_owned(), value: Some(value.to_owned()), ..EnvVar::default() };
    let field = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), api_version: None }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    let (method, phone) = match &connection.link {
        ValidLink::Qr => ("QrCode", ""),
        ValidLink::PairingCode(phone) => ("PairingCode", phone.as_str()),
    };
    let mut environment = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_UID", "metadata.uid"),
        value("CONNECTION_ID", &connection.id.to_string()),
        value("COMPANY_ID", connection.company.as_str()),
        value("REDIS_URL", &defaults.redis.url),
        value("REDIS_CREDENTIALS_DIR", CREDENTIALS.0),
        value("PROFILE_DIR", DATA.0),
        value("LINK_METHOD", method),
        value("BROWSER_ARGS", &defaults.browser_args),
        value("LOG_FORMAT", &defaults.log_format),
    ];
    if !defaults.redis.authorities.is_empty() {
        environment.push(value("REDIS_CA", &defaults.redis.authorities));
    }
    if let Some(collector) = &defaults.collector {
        environment.push(value("OTEL_EXPORTER_OTLP_ENDPOINT", collector.base()));
    }
    if !phone.is_empty() {
        environment.push(value("LINK_PHONE", phone));
    }
    if connection.proxy_secret.is_some() {
        environment.push(value("PROXY_URL_FILE", &format!("{}/url", PROXY.0)));
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::plan::fixtures;
    use crate::settings::SessionRedis;

    #[test]
    fn the_pod_holds_no_token_and_no_secret_in_its_environment() {
        let pod = pod(&fixtures::connection(), &fixtures::defaults());
        let spec = pod.spec.expect("has a spec");
        assert_eq!(spec.automount_service_account_token, Some(false));
        let environment = spec.containers[0].env.clone().expect("has an environment");
        assert!(environment.iter().all(|variable| !variable.name.contains("PASSWORD")), "{environment:?}");
        assert!(spec.containers[0].args.is_none());
    }

    #[test]
    fn who_may_have_signed_redis_certificate_is_told_only_where_that_is_no_public_authority() {
        let told = |authorities: &str| {
            let redis = SessionRedis { authorities: authorities.to_owned(), ..fixtures::defaults().redis };
            let environment = environment(&fixtures::connection(), &SessionDefaults { redis, ..fixtures::defaults() });
            environment.into_iter().find(|variable| variable.name == "REDIS_CA").and_then(|variable| variable.value)
        };
        assert_eq!((told(""), told("PEM").as_deref()), (None, Some("PEM")));
    }
}
