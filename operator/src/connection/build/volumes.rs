//! What is mounted into a session pod: the profile, memory and room for what is temporary, and the Secrets as files.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, KeyToPath, PersistentVolumeClaimVolumeSource, SecretVolumeSource, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::{names, secret};
use crate::connection::validate::ValidConnection;

/// Shared memory for Chromium, which would else get 64 MiB and crash on a large picture.
const SHARED_MEMORY: &str = "256Mi";

/// Room for downloads under way and the browser's caches. A session that fills it is evicted, not its neighbours.
const TEMPORARY_SIZE: &str = "1Gi";

/// Where things are inside the container: path, volume.
pub(super) const DATA: (&str, &str) = ("/data", "profile");
const TEMPORARY: (&str, &str) = ("/tmp", "tmp");
const MEMORY: (&str, &str) = ("/dev/shm", "shm");
pub(super) const CREDENTIALS: (&str, &str) = ("/run/secrets/relay", "relay");
pub(super) const PROXY: (&str, &str) = ("/run/secrets/proxy", "proxy");

/// Where each volume is mounted.
pub(super) fn mounts(connection: &ValidConnection) -> Vec<VolumeMount> {
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

/// The volumes.
pub(super) fn volumes(connection: &ValidConnection) -> Vec<Volume> {
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
        volumes.push(Volume { secret: Some(files(proxy.clone(), &[secret::PROXY_URL])), ..named(PROXY.1) });
    }
    volumes
}
