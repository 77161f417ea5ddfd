//! Whether a pod is still the one that its connection's spec asks for, and if not, what asks for another. Pure.
//!
//! The operator's version and settings have no part in it: an upgrade restarts nobody.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::short_hash;
use crate::connection::validate::{ValidConnection, ValidLink};

/// Annotation that says which spec a pod was made for. It alone decides.
const SPEC_HASH: &str = "whatsapp-operator.dev/spec-hash";

/// Annotation with a hash of each part of that spec, to tell which part changed.
const SPEC_PARTS: &str = "whatsapp-operator.dev/spec-parts";

/// A part of the spec that a running pod cannot take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// CPU and memory.
    Resources,
    /// How a phone is linked.
    Link,
    /// The Secret of the proxy.
    Proxy,
    /// The pod is of an operator that wrote no parts down.
    Unknown,
}

impl Part {
    /// The reason of the Event that tells of the restart.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Resources => "ResourcesChanged",
            Self::Link => "LinkChanged",
            Self::Proxy => "ProxyChanged",
            Self::Unknown => "SpecChanged",
        }
    }

    /// The field that changed.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Resources => "spec.resources",
            Self::Link => "spec.link",
            Self::Proxy => "spec.proxySecretName",
            Self::Unknown => "spec",
        }
    }
}

/// The parts in the order in which they are named: of two that changed at once the first is told.
fn parts(connection: &ValidConnection) -> [(Part, &'static str, Value); 3] {
    // Without `..`: whoever adds a field decides here whether it restarts the pod.
    let ValidConnection {
        id: _,
        company: _,
        namespace: _,
        name: _,
        owner: _,
        deleting: _,
        desired: _,
        link,
        storage: _,
        resources,
        proxy_secret,
        node_loss: _,
    } = connection;
    let pairing = match link {
        ValidLink::Qr => None,
        ValidLink::PairingCode(phone) => Some(phone.as_str()),
    };
    [
        (Part::Resources, "resources", json!(resources)),
        (Part::Link, "pairing", json!(pairing)),
        (Part::Proxy, "proxy", json!(proxy_secret)),
    ]
}

/// What a pod is annotated with.
pub(super) fn annotations(connection: &ValidConnection) -> BTreeMap<String, String> {
    BTreeMap::from([(SPEC_HASH.to_owned(), hash(&whole(connection))), (SPEC_PARTS.to_owned(), written(connection))])
}

fn whole(connection: &ValidConnection) -> Value {
    parts(connection)
        .into_iter()
        .map(|(_, name, value)| (name.to_owned(), value))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn written(connection: &ValidConnection) -> String {
    parts(connection).map(|(_, name, value)| format!("{name}={}", hash(&value))).join(",")
}

fn hash(value: &Value) -> String {
    short_hash(&sorted(value))
}

/// JSON with its keys sorted whatever the library was built to do, so that two builds of the operator agree about every pod.
fn sorted(value: &Value) -> String {
    let Value::Object(map) = value else { return value.to_string() };
    let fields: BTreeMap<_, _> = map.iter().map(|(key, value)| (key, sorted(value))).collect();
    let fields: Vec<_> = fields.into_iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect();
    format!("{{{}}}", fields.join(","))
}

/// Why the pod is not the one that is asked for; nothing when it is.
#[must_use]
pub fn drift(connection: &ValidConnection, pod: &Pod) -> Option<Part> {
    if pod.annotations().get(SPEC_HASH) == Some(&hash(&whole(connection))) {
        return None;
    }
    let there = pod.annotations().get(SPEC_PARTS).map(String::as_str).unwrap_or_default();
    let is_there = |name: &str, value: &Value| there.split(',').any(|part| part == format!("{name}={}", hash(value)));
    let changed = parts(connection).into_iter().find(|(_, name, value)| !is_there(name, value));
    changed.filter(|_| !there.is_empty()).map_or(Some(Part::Unknown), |(part, ..)| Some(part))
}

#[cfg(test)]
mod tests {
    use crds::{Link, LinkMethod, NodeLoss, State, WhatsAppConnectionSpec};

    use super::*;
    use crate::connection::build;
    use crate::connection::plan::fixtures::{defaults, pod, resource, resources_with_memory, spec, valid};

    /// What a change of each field does to a running pod. Without `..`: a new field does not compile until it is here.
    fn table(changed: &WhatsAppConnectionSpec) -> Vec<(&'static str, WhatsAppConnectionSpec, Option<Part>)> {
        let WhatsAppConnectionSpec {
            company_id: _, // Immutable by the schema.
            display_name,
            state,
            link,
            storage,
            resources,
            proxy_secret_name,
            node_loss,
        } = changed.clone();
        let base = || spec(State::Running);
        vec![
            ("displayName", WhatsAppConnectionSpec { display_name, ..base() }, None),
            ("state", WhatsAppConnectionSpec { state, ..base() }, None),
            ("link", WhatsAppConnectionSpec { link, ..base() }, Some(Part::Link)),
            ("storage", WhatsAppConnectionSpec { storage, ..base() }, None),
            ("resources", WhatsAppConnectionSpec { resources, ..base() }, Some(Part::Resources)),
            ("proxySecretName", WhatsAppConnectionSpec { proxy_secret_name, ..base() }, Some(Part::Proxy)),
            ("nodeLoss", WhatsAppConnectionSpec { node_loss, ..base() }, None),
        ]
    }

    fn with(spec: WhatsAppConnectionSpec) -> ValidConnection {
        let mut connection = resource(State::Running);
        connection.spec = spec;
        valid(&connection)
    }

    fn everything_else() -> WhatsAppConnectionSpec {
        WhatsAppConnectionSpec {
            company_id: spec(State::Running).company_id,
            display_name: "North".to_owned(),
            state: State::Suspended,
            link: Link { method: LinkMethod::PairingCode, phone_number: Some("5511999999999".to_owned()) },
            storage: crds::Storage { size: "2Gi".to_owned(), storage_class_name: Some("fast".to_owned()) },
            resources: Some(resources_with_memory("2Gi")),
            proxy_secret_name: Some("proxy".to_owned()),
            node_loss: NodeLoss::ForceDelete,
        }
    }

    #[test]
    fn every_field_restarts_the_pod_or_does_not_and_says_which_it_was() {
        let running = pod(&with(spec(State::Running)), 1);
        for (field, spec, expected) in table(&everything_else()) {
            assert_ne!(spec, self::spec(State::Running), "{field} is not changed");
            assert_eq!(drift(&with(spec), &running), expected, "{field}");
        }
        let all = with(everything_else());
        assert_eq!(drift(&all, &running), Some(Part::Resources), "of several the first is named, always the same");
        assert_eq!(drift(&all, &pod(&all, 2)), None);
    }

    #[test]
    fn no_setting_of_the_operator_restarts_a_pod() {
        let connection = with(spec(State::Running));
        let other = crate::settings::SessionDefaults {
            image: "session:2".to_owned(),
            image_pull_policy: "Never".to_owned(),
            browser_args: "--other".to_owned(),
            requests: crds::Compute::default(),
            limits: crds::Compute::default(),
            redis: crate::settings::SessionRedis {
                url: "redis://elsewhere:6379/".to_owned(),
                authorities: "another".to_owned(),
            },
            log_format: "text".to_owned(),
            collector: "http://collector:4318".parse().ok(),
        };
        let upgraded = build::pod::pod(&connection, &other);
        assert_ne!(upgraded.spec, build::pod::pod(&connection, &defaults()).spec);
        assert_eq!(drift(&connection, &pod(&connection, 1)), None);
        assert_eq!(upgraded.metadata.annotations, pod(&connection, 1).metadata.annotations);
    }

    #[test]
    fn pods_of_operators_before_this_one_are_not_made_anew() {
        let connection = with(spec(State::Running));
        assert_eq!(hash(&whole(&connection)), "e6b4cff1207fbd3b");
        let mut old = pod(&connection, 1);
        old.annotations_mut().remove(SPEC_PARTS);
        assert_eq!(drift(&connection, &old), None);
        let changed = with(WhatsAppConnectionSpec { proxy_secret_name: Some("p".to_owned()), ..spec(State::Running) });
        assert_eq!(drift(&changed, &old), Some(Part::Unknown));
    }
}
