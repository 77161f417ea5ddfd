//! Why a reconcile failed, and what follows from it.

use crds::Reason;
use kube::core::Status;

/// A failed step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caches are still being filled; nothing may be decided yet.
    #[error("the caches are not filled yet")]
    CacheNotFilled,
    /// No session may be dealt with in the namespace yet. Rights may be missing there.
    #[error("namespace {namespace}: {lack}")]
    HomeNotReady {
        /// Its name.
        namespace: String,
        /// What is not as it must be.
        lack: &'static str,
        /// Whether that has been so for longer than it takes to begin.
        lasts: bool,
    },
    /// The API server refused or did not answer.
    #[error("{what}: {source}")]
    Kubernetes {
        /// What was being done.
        what: &'static str,
        /// The answer.
        source: Box<kube::Error>,
    },
    /// A call took longer than it may.
    #[error("{what}: no answer in time")]
    CallDeadline {
        /// What was being done.
        what: &'static str,
    },
    /// The whole reconcile took longer than it may.
    #[error("the reconcile took too long")]
    Deadline,
    /// Redis refused or did not answer.
    #[error(transparent)]
    Relay(#[from] relay::RelayError),
    /// The object's UID is none.
    #[error(transparent)]
    Id(#[from] relay::InvalidId),
    /// An object of the needed name is there and is not ours.
    #[error("{0} exists and belongs to somebody else")]
    NotOwned(String),
    /// An object of an earlier connection of this name is on its way out.
    #[error("{0} of an earlier connection is still going")]
    Leftover(String),
    /// The volume may not become larger: mostly a class that does not let volumes grow.
    #[error("{0}")]
    CannotGrow(Box<Self>),
    /// The Secret with the connection's proxy is not there, or not complete.
    #[error("secret {0} with key `url` is not there")]
    ProxySecretMissing(String),
    /// A value of ours does not become JSON. A fault in the program.
    #[error("value cannot be encoded: {0}")]
    Encode(serde_json::Error),
    /// A Secret of ours has lost its password; it is made again once the broken one is gone.
    #[error("secret {0} holds no password")]
    EmptySecret(String),
}

/// What an error says about the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It may work next time.
    Transient,
    /// Somebody else must change something first.
    Blocked(Reason),
}

impl Error {
    /// Whether trying again alone can help.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::NotOwned(_) => Class::Blocked(Reason::NotOwned),
            Self::ProxySecretMissing(_) => Class::Blocked(Reason::ProxySecretMissing),
            Self::CannotGrow(_) => Class::Blocked(Reason::InvalidSpec),
            Self::Kubernetes { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => refused(status),
                _ => Class::Transient,
            },
            _ => Class::Transient,
        }
    }

    /// Whether every start sees it for a moment, so that it is no line in the log.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::CacheNotFilled)
    }

    /// Every word that [`Self::category`] gives.
    pub const CATEGORIES: &'static [&'static str] = &[
        "cache_not_filled",
        "home_not_ready",
        "leftover",
        "kubernetes",
        "deadline",
        "redis",
        "invalid_id",
        "not_owned",
        "cannot_grow",
        "proxy_secret_missing",
        "encode",
        "empty_secret",
    ];

    /// The label of the metric.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::CacheNotFilled => "cache_not_filled",
            Self::HomeNotReady { .. } => "home_not_ready",
            Self::Leftover(_) => "leftover",
            Self::Kubernetes { .. } => "kubernetes",
            Self::CallDeadline { .. } | Self::Deadline => "deadline",
            Self::Relay(_) => "redis",
            Self::Id(_) => "invalid_id",
            Self::NotOwned(_) => "not_owned",
            Self::CannotGrow(_) => "cannot_grow",
            Self::ProxySecretMissing(_) => "proxy_secret_missing",
            Self::Encode(_) => "encode",
            Self::EmptySecret(_) => "empty_secret",
        }
    }
}

fn refused(status: &Status) -> Class {
    // The API server tells a quota apart from other refusals only by its words.
    if status.code == 403 && status.message.contains("exceeded quota") {
        return Class::Blocked(Reason::QuotaExceeded);
    }
    if matches!(status.code, 400 | 422) || (status.code == 403 && status.message.contains("violates PodSecurity")) {
        return Class::Blocked(Reason::InvalidSpec);
    }
    Class::Transient
}
