//! The session pod: one container that passes PodSecurity `restricted`, holds no Kubernetes token, and writes nowhere
//! but to its volume and to memory.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, HTTPGetAction, KeyToPath,
    ObjectFieldSelector, PersistentVolumeClaimVolumeSource, Pod, PodSecurityContext, PodSpec, Probe,
    ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use serde_json::json;

use super::{metadata, names, secret, short_hash};
use crate::connection::validate::{ValidConnection, ValidLink};
use crate::settings::SessionDefaults;

/// Name of the container.
pub const CONTAINER: &str = "session";

/// Name and number of the port of probes and metrics.
pub const ADMIN_PORT: (&str, i32) = ("admin", 8080);

/// Annotation that says which spec a pod was made for.
const SPEC_HASH: &str = "whatsapp-operator.dev/spec-hash";

/// Browser 10 s, its process group 5 s, outbox and lease 10 s, and room for a slow disk. See `docs/architecture.md`.
const GRACE_SECONDS: i64 = 45;

/// User and group of the image; also the group that owns the volume.
const USER: i64 = 10001;

/// Shared memory for Chromium, which would else get 64 MiB and crash on a large picture.
const SHARED_MEMORY: &str = "256Mi";

/// Room for downloads under way and the browser's caches. A session that fills it is evicted, not its neighbours.
const TEMPORARY_SIZE: &str = "1Gi";

/// Where things are inside the container: path, volume.
const DATA: (&str, &str) = ("/data", "profile");
const TEMPORARY: (&str, &str) = ("/tmp", "tmp");
const MEMORY: (&str, &str) = ("/dev/shm", "shm");
const CREDENTIALS: (&str, &str) = ("/run/secrets/relay", "relay");
const PROXY: (&str, &str) = ("/run/secrets/proxy", "proxy");

impl ValidConnection {
    /// Changes when, and only when, the connection's own spec asks for another pod. The operator's version and settings
    /// are not in it: an upgrade of the operator restarts nobody.
    #[must_use]
    pub fn spec_hash(&self) -> String {
        let pairing = match &self.link {
            ValidLink::Qr => None,
            ValidLink::PairingCode(phone) => Some(phone.as_str()),
        };
        // As JSON without what is unset, so that a field that is added later changes no pod's hash.
        short_hash(&json!({"resources": self.resources, "pairing": pairing, "proxy": self.proxy_secret}).to_string())
    }
}

/// The spec that a pod was made for.
#[must_use]
pub fn spec_hash_of(pod: &Pod) -> Option<&String> {
    pod.metadata.annotations.as_ref()?.get(SPEC_HASH)
}

/// The pod of a connection.
#[must_use]
pub fn pod(connection: &ValidConnection, defaults: &SessionDefaults) -> Pod {
    let mut metadata = metadata(connection, connection.name.clone());
    metadata.annotations = Some(BTreeMap::from([(SPEC_HASH.to_owned(), connection.spec_hash())]));
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
            volumes: Some(volumes(connection)),
            ..PodSpec::default()
        }),
        ..Pod::default()
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
        volume_mounts: Some(mounts(connection)),
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
        value("REDIS_URL", &defaults.redis_url),
        value("REDIS_CREDENTIALS_DIR", CREDENTIALS.0),
        value("PROFILE_DIR", DATA.0),
        value("LINK_METHOD", method),
        value("BROWSER_ARGS", &defaults.browser_args),
        value("LOG_FORMAT", &defaults.log_format),
    ];
    if !phone.is_empty() {
        environment.push(value("LINK_PHONE", phone));
    }
    if connection.proxy_secret.is_some() {
        environment.push(value("PROXY_URL_FILE", &format!("{}/url", PROXY.0)));
    }
    environment
}

fn mounts(connection: &ValidConnection) -> Vec<VolumeMount> {
    let mount = |(path, name): (&str, &str), read_only: bool| VolumeMount {
        mount_path: path.to_owned(),
        name: name.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount(DATA, false), mount(TEMPORARY, false), mount(MEMORY, false), mount(CREDENTIALS, true)];
    if connection.proxy_secret.is_some() {
        mounts.push(mount(PROXY, true));
    }
    mounts
}

fn volumes(connection: &ValidConnection) -> Vec<Volume> {
    let named = |name: &str| Volume { name: name.to_owned(), ..Volume::default() };
    let files = |name: String, keys: &[&str]| SecretVolumeSource {
        secret_name: Some(name),
        // Readable by the volume's group, which is the session's, and by nobody else.
        default_mode: Some(0o440),
        items: Some(
            keys.iter()
                .map(|key| KeyToPath { key: (*key).into(), path: (*key).into(), ..KeyToPath::default() })
                .collect(),
        ),
        ..SecretVolumeSource::default()
    };
    let mut volumes = vec![
        Volume {
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: names::claim(&connection.name),
                read_only: None,
            }),
            ..named(DATA.1)
        },
        Volume {
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(Quantity(TEMPORARY_SIZE.to_owned())),
                ..EmptyDirVolumeSource::default()
            }),
            ..named(TEMPORARY.1)
        },
        Volume {
            empty_dir: Some(EmptyDirVolumeSource {
                medium: Some("Memory".to_owned()),
                size_limit: Some(Quantity(SHARED_MEMORY.to_owned())),
                ..EmptyDirVolumeSource::default()
            }),
            ..named(MEMORY.1)
        },
        Volume {
            secret: Some(files(names::secret(&connection.name), &[secret::USERNAME, secret::PASSWORD])),
            ..named(CREDENTIALS.1)
        },
    ];
    if let Some(proxy) = &connection.proxy_secret {
        volumes.push(Volume { secret: Some(files(proxy.clone(), &["url"])), ..named(PROXY.1) });
    }
    volumes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::plan::fixtures;

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
    fn only_what_needs_another_pod_changes_the_hash() {
        let base = fixtures::connection();
        let mut renamed = base.clone();
        renamed.desired = crds::State::Suspended;
        renamed.storage.size = "2Gi".to_owned();
        assert_eq!(base.spec_hash(), renamed.spec_hash(), "neither suspending nor growing replaces the pod");
        let mut proxied = base.clone();
        proxied.proxy_secret = Some("proxy".to_owned());
        assert_ne!(base.spec_hash(), proxied.spec_hash());
        assert_eq!(base.spec_hash(), "e6b4cff1207fbd3b", "every pod of every cluster would be made anew");
    }
}
