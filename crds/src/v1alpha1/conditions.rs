//! Every condition type and every reason, as one vocabulary for status, Events, metrics and logs.

/// The conditions of a connection. True always means good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// The spec can be acted on.
    Accepted,
    /// The pod and its browser run.
    PodReady,
    /// A phone is linked.
    Linked,
    /// WhatsApp's stream is up and events arrive.
    Connected,
    /// Messages flow both ways: all of the above.
    Ready,
}

impl ConditionType {
    /// In the order in which one depends on the next; `Ready` is made of the first four.
    pub const ALL: [Self; 5] = [Self::Accepted, Self::PodReady, Self::Linked, Self::Connected, Self::Ready];

    /// Their names, in the same order.
    pub const NAMES: &'static [&'static str] = &["Accepted", "PodReady", "Linked", "Connected", "Ready"];

    /// The `type` field of the condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::PodReady => "PodReady",
            Self::Linked => "Linked",
            Self::Connected => "Connected",
            Self::Ready => "Ready",
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Why a condition has its status. Stable: alerts and runbooks name these words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason there is, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Their names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)+];

            /// The `reason` field of the condition.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What it means and what to do about it, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

reasons! {
    /// The condition holds.
    AsExpected,
    /// The spec contradicts itself or the cluster.
    InvalidSpec,
    /// The namespace is not labelled as the home of spec.companyId.
    CompanyMismatch,
    /// The operator has no rights in the namespace, or the network policy that sessions run behind does not stand there.
    /// Pods that run go on; nothing is done about them.
    NamespaceNotReady,
    /// A quota of the namespace does not allow the objects of this connection. Raise it or free some of it; the next try
    /// follows within minutes.
    QuotaExceeded,
    /// An object of the needed name exists and belongs to somebody else. Delete or rename it; it is not touched.
    NotOwned,
    /// An object of an earlier connection of this name is still there. Kubernetes removes it by itself; if it stays,
    /// delete it.
    Leftover,
    /// The Secret that spec.proxySecretName names is not there, or has no key `url`. Create it.
    ProxySecretMissing,
    /// The pod, its browser or WhatsApp's page is starting.
    Starting,
    /// No node fits the pod. Add nodes, or ask for less in spec.resources.requests.
    Unschedulable,
    /// The storage class of the volume does not exist, or none was named and the cluster has no default. Create it.
    StorageClassMissing,
    /// The volume claim waits for a volume. `kubectl describe pvc` tells what its provisioner says.
    VolumePending,
    /// The volume that held the link to the phone is gone. Restore it, or give it up with the annotation that
    /// docs/operations/volumes.md names; that needs a new QR code.
    VolumeLost,
    /// The session image cannot be pulled. Check its name, the registry and the pull secret.
    ImagePull,
    /// The node cannot make the container.
    ContainerError,
    /// The session container ends again and again. `kubectl logs --previous` tells why.
    CrashLooping,
    /// The session used more memory than it may. Raise spec.resources.limits.memory.
    OOMKilled,
    /// The node put the pod out: it ran short, shuts down, or is being drained. The pod is made again.
    Evicted,
    /// A pod of higher priority took this one's place. The pod is made again.
    Preempted,
    /// The pod ended and is made again.
    Replacing,
    /// The pod's node does not answer.
    NodeLost,
    /// The connection is suspended on request.
    Suspended,
    /// A QR code waits to be scanned.
    AwaitingQr,
    /// A pairing code waits to be typed into the phone.
    AwaitingPairingCode,
    /// WhatsApp asks for a passkey on the phone.
    PasskeyRequired,
    /// Nobody scanned the QR codes; a new one is made only when asked for.
    QrIdle,
    /// The phone removed the link.
    LoggedOut,
    /// WhatsApp has banned the account, for a time or for good.
    Banned,
    /// The account's chats are being loaded.
    Syncing,
    /// The connection to WhatsApp is lost and being made again.
    Reconnecting,
    /// WhatsApp Web was opened elsewhere with this link.
    Conflict,
    /// Connected by its own account, but nothing arrives.
    Deaf,
    /// WhatsApp's page and the injected engine do not fit together.
    Outdated,
    /// The session is shutting down in good order.
    Stopping,
    /// Nothing was heard from the session yet.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_camel_case_words_with_a_meaning() {
        for reason in Reason::ALL {
            assert!(reason.as_str().chars().all(char::is_alphanumeric));
            assert!(reason.meaning().ends_with('.'), "{} says nothing", reason.as_str());
        }
    }

    #[test]
    fn no_condition_is_without_its_name() {
        assert!(ConditionType::ALL.iter().map(|kind| kind.as_str()).eq(ConditionType::NAMES.iter().copied()));
    }
}
