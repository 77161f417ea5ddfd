//! Every key, channel and user name in Redis. Nobody else spells one.
//!
//! `{uid}` is a hash tag: all keys of a connection live in one slot, so that a Redis Cluster stays possible.

use crate::ids::{CompanyId, ConnectionId};

/// Pattern of all status channels, for the operator and the API.
pub(crate) const STATUS_CHANNELS: &str = "wa:status:*";
/// Pattern of all live channels, for the API.
pub(crate) const LIVE_CHANNELS: &str = "wa:live:*";
/// Pattern of all wake-up channels for events, for the API.
pub(crate) const WAKE_EVENTS_CHANNELS: &str = "wa:wake:events:*";
/// Pattern of all keys of all connections, for the sweep.
pub(crate) const ALL_KEYS: &str = "wa:{*}:*";
/// How the names of session users begin; no other user of ours does.
const USER_PREFIX: &str = "wa-";

/// The names of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names(pub ConnectionId);

impl Names {
    fn key(&self, what: &str) -> String {
        format!("wa:{{{}}}:{what}", self.0)
    }

    /// Stream of durable events, pod to API.
    #[must_use]
    pub fn events(&self) -> String {
        self.key("events")
    }

    /// Stream of commands, API to pod.
    #[must_use]
    pub fn commands(&self) -> String {
        self.key("commands")
    }

    /// The newest status.
    #[must_use]
    pub fn status(&self) -> String {
        self.key("status")
    }

    /// The current QR payload or pairing code; expires with it.
    #[must_use]
    pub fn link(&self) -> String {
        self.key("link")
    }

    /// Who runs the session now; expires by itself.
    #[must_use]
    pub fn lease(&self) -> String {
        self.key("lease")
    }

    /// The last fence that was given out. Never expires, or an old holder could look new.
    #[must_use]
    pub fn fence(&self) -> String {
        self.key("fence")
    }

    /// Who took the session last and has not given it back. Never expires: that a lease ran out does not say that its holder
    /// has stopped.
    #[must_use]
    pub fn holder(&self) -> String {
        self.key("holder")
    }

    /// Every key of the connection, for its deletion.
    #[must_use]
    pub fn all_keys(&self) -> [String; 7] {
        [self.events(), self.commands(), self.status(), self.link(), self.lease(), self.fence(), self.holder()]
    }

    /// Channel: look at the stream of events.
    #[must_use]
    pub fn wake_events(&self) -> String {
        format!("wa:wake:events:{}", self.0)
    }

    /// Channel: look at the stream of commands.
    #[must_use]
    pub fn wake_commands(&self) -> String {
        format!("wa:wake:commands:{}", self.0)
    }

    /// Channel: the status changed.
    #[must_use]
    pub fn status_channel(&self) -> String {
        format!("wa:status:{}", self.0)
    }

    /// Channel for what may be lost: QR codes, typing, presence.
    #[must_use]
    pub fn live_channel(&self) -> String {
        format!("wa:live:{}", self.0)
    }

    /// The Redis user of the session pod.
    #[must_use]
    pub fn user(&self) -> String {
        format!("{USER_PREFIX}{}", self.0)
    }

    /// The connection that a session user belongs to; nothing for other users.
    #[must_use]
    pub fn of_user(user: &str) -> Option<Self> {
        user.strip_prefix(USER_PREFIX)?.parse().ok().map(Self)
    }

    /// The connection that a key belongs to; nothing for other keys.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        key.strip_prefix("wa:{")?.split_once('}')?.0.parse().ok().map(Self)
    }

    /// The connection that a channel of one connection belongs to; nothing for other channels.
    #[must_use]
    pub fn of_channel(channel: &str) -> Option<Self> {
        channel.strip_prefix("wa:")?.rsplit_once(':')?.1.parse().ok().map(Self)
    }
}

/// Channel on which API replicas tell each other of a company's committed events.
#[must_use]
pub fn company_channel(company: &CompanyId) -> String {
    format!("wa:company:{company}")
}

/// The company that such a channel belongs to; nothing for other channels.
#[must_use]
pub fn company_of_channel(channel: &str) -> Option<CompanyId> {
    channel.strip_prefix("wa:company:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_connection() {
        let names = Names("0190a1b2-0000-7000-8000-000000000001".parse().expect("valid"));
        for key in names.all_keys() {
            assert_eq!(Names::of_key(&key), Some(names), "{key}");
        }
        assert_eq!(Names::of_user(&names.user()), Some(names));
        for channel in [names.wake_events(), names.wake_commands(), names.status_channel(), names.live_channel()] {
            assert_eq!(Names::of_channel(&channel), Some(names), "{channel}");
        }
        let company = "acme.1".parse().expect("valid");
        assert_eq!(company_of_channel(&company_channel(&company)), Some(company));
        assert_eq!(Names::of_user("default"), None);
        assert_eq!(Names::of_key("session:1"), None);
    }
}
