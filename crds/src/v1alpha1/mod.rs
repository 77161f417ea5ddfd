//! Version `v1alpha1`: one account of WhatsApp, as the platform team wants it and as it is.

mod conditions;
mod spec;
mod status;

pub use conditions::{ConditionType, Reason};
pub use spec::{
    Compute, Link, LinkMethod, NodeLoss, Resources, State, Storage, WhatsAppConnection, WhatsAppConnectionSpec,
    default_storage_size,
};
pub use status::{Account, Disconnect, Engine, Phase, PodSummary, Volume, WhatsAppConnectionStatus};
