//! What tests of the pure steps start from. Values differ from each other, so that a swapped one is noticed.

use crds::{Compute, Resources, State, Storage, WhatsAppConnection, WhatsAppConnectionSpec};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use relay::ConnectionId;
use uuid::Uuid;

use crate::connection::build;
use crate::connection::observe::Observed;
use crate::connection::validate::{ValidConnection, validate};
use crate::settings::SessionDefaults;

pub(crate) const COMPANY: &str = "acme";
pub(crate) const NAMESPACE: &str = "company-acme";

pub(crate) fn id() -> ConnectionId {
    ConnectionId(Uuid::from_u128(7))
}

pub(crate) fn spec(state: State) -> WhatsAppConnectionSpec {
    WhatsAppConnectionSpec {
        company_id: COMPANY.to_owned(),
        display_name: "Sales".to_owned(),
        state,
        link: crds::Link::default(),
        storage: Storage::default(),
        resources: None,
        proxy_secret_name: None,
        node_loss: crds::NodeLoss::default(),
    }
}

pub(crate) fn resource(state: State) -> WhatsAppConnection {
    let mut connection = WhatsAppConnection::new("sales", spec(state));
    connection.meta_mut().namespace = Some(NAMESPACE.to_owned());
    connection.meta_mut().uid = Some(id().to_string());
    connection.meta_mut().generation = Some(3);
    connection
}

pub(crate) fn connection() -> ValidConnection {
    valid(&resource(State::Running))
}

pub(crate) fn valid(connection: &WhatsAppConnection) -> ValidConnection {
    validate(connection, &nothing()).expect("valid")
}

pub(crate) fn nothing() -> Observed {
    Observed { company: Some(COMPANY.parse().expect("valid")), ..Observed::nothing(id()) }
}

pub(crate) fn defaults() -> SessionDefaults {
    let amount = |cpu: &str, memory: &str| Compute { cpu: Some(cpu.to_owned()), memory: Some(memory.to_owned()) };
    SessionDefaults {
        image: "session:1".to_owned(),
        image_pull_policy: "IfNotPresent".to_owned(),
        browser_args: "--no-sandbox".to_owned(),
        requests: amount("100m", "512Mi"),
        limits: amount("2", "1536Mi"),
        redis: crate::settings::SessionRedis { url: "redis://redis:6379/".to_owned(), authorities: String::new() },
        log_format: "json".to_owned(),
        collector: None,
    }
}

pub(crate) fn pod(connection: &ValidConnection, uid: u128) -> Pod {
    let mut pod = build::pod::pod(connection, &defaults());
    pod.metadata.uid = Some(Uuid::from_u128(uid).to_string());
    pod
}

pub(crate) fn claim(connection: &ValidConnection) -> PersistentVolumeClaim {
    build::claim::claim(connection)
}

pub(crate) fn being_deleted<K: Resource>(mut object: K) -> K {
    object.meta_mut().deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    object
}

pub(crate) fn resources_with_memory(memory: &str) -> Resources {
    Resources { requests: None, limits: Some(Compute { cpu: None, memory: Some(memory.to_owned()) }) }
}
