//! The custom resource types of the operator, and nothing else: no client, no logic beyond reading and merging values.
//! The YAML beside this crate is generated from here (`make generate`); a test compares the two.

mod quantity;
pub mod served;
pub mod v1alpha1;
pub mod yaml;

pub use quantity::bytes;
pub use v1alpha1::*;

/// API group of everything this operator defines.
pub const GROUP: &str = "whatsapp-operator.dev";

/// Label that makes a namespace the home of one company; its value is the company's id.
pub const COMPANY_LABEL: &str = "whatsapp-operator.dev/company";

/// Label that names the connection an object belongs to. An index only: the owner reference is the truth.
pub const CONNECTION_LABEL: &str = "whatsapp-operator.dev/connection";

/// Annotation on a connection that gives up a lost volume: its value is the UID of the lost claim, so that it can mean no
/// later one.
pub const GIVE_UP_VOLUME: &str = "whatsapp-operator.dev/give-up-volume";

/// Annotation on every object of a connection: the connection's UID, which an object keeps when somebody takes its owner
/// reference off.
pub const CONNECTION_UID: &str = "whatsapp-operator.dev/connection-uid";

/// Annotation with the W3C `traceparent` of what asked for a connection's spec to be as it is, and, on a pod, of what made
/// it. It only says where to look: nothing is decided by it.
pub const TRACE_ANNOTATION: &str = "whatsapp-operator.dev/traceparent";
