//! The words of the state machine: what is known of the link, where the page stands, and why a state began.

use std::fmt;

use relay::LinkKind;
use serde::{Deserialize, Serialize};

/// What is known of the link between this session and a phone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    /// No phone is linked, and one is asked for.
    #[default]
    Open,
    /// A phone is linked.
    Linked,
    /// The link was removed, and nobody has asked for another: codes are not shown.
    Removed,
}

/// Where the page stands with WhatsApp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No phone is linked.
    Unlinked,
    /// Linked; chats are being loaded.
    Syncing,
    /// Linked, and WhatsApp's server is connected.
    Up,
    /// Linked, and WhatsApp's server is not connected.
    Down,
    /// Linked, and opened elsewhere.
    Conflict,
    /// WhatsApp refuses the way the page comes to it.
    ProxyBlocked,
    /// WhatsApp refuses the account.
    AccountBlocked,
    /// WhatsApp refuses this version of its page.
    VersionRefused,
}

/// Why a state began, where the state alone does not say. Fixed words: they stand in events, statuses and alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The browser ended, or did not start.
    BrowserLost,
    /// The browser ended again and again.
    BrowserFailing,
    /// The volume cannot be written.
    VolumeUnusable,
    /// The volume takes nothing more: mostly it is full.
    VolumeFailing,
    /// The page died or hung.
    PageCrashed,
    /// The page loaded, and did not find out where it stands with WhatsApp.
    PageStuck,
    /// The page loaded itself anew.
    PageReloaded,
    /// The page cannot be loaded.
    PageUnreachable,
    /// WhatsApp's modules are not those that the scripts know.
    ModulesMissing,
    /// WhatsApp refuses this version of its page.
    VersionRefused,
    /// The page got messages of which it did not tell.
    EventsMissing,
    /// WhatsApp Web was opened elsewhere with this link.
    OpenedElsewhere,
    /// The stream to WhatsApp's server broke.
    StreamLost,
    /// WhatsApp refuses the proxy.
    ProxyBlocked,
    /// No code could be made.
    CodeFailed,
    /// Nobody used the codes.
    CodesUnused,
    /// Somebody asked for a new code.
    LinkAsked,
    /// The phone or WhatsApp removed the link.
    Unlinked,
    /// Somebody asked for the link to be removed.
    LogoutAsked,
    /// A link was there when the session was last seen, and is not any more.
    LinkMissing,
    /// WhatsApp banned the account.
    AccountBanned,
    /// Somebody asked for the session back from where it was opened.
    TakenBack,
    /// The pod is to end.
    StopAsked,
}

impl Reason {
    /// Whether it leaves open why: something failed, or somebody asked for something.
    #[must_use]
    pub const fn is_vague(self) -> bool {
        match self {
            Self::BrowserLost
            | Self::BrowserFailing
            | Self::PageCrashed
            | Self::PageStuck
            | Self::PageReloaded
            | Self::CodeFailed
            | Self::CodesUnused
            | Self::LinkAsked
            | Self::TakenBack => true,
            Self::VolumeUnusable
            | Self::VolumeFailing
            | Self::PageUnreachable
            | Self::ModulesMissing
            | Self::VersionRefused
            | Self::EventsMissing
            | Self::OpenedElsewhere
            | Self::StreamLost
            | Self::ProxyBlocked
            | Self::Unlinked
            | Self::LogoutAsked
            | Self::LinkMissing
            | Self::AccountBanned
            | Self::StopAsked => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The text of a code. Whoever reads it can take the account: its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeText {
    /// What it is for.
    pub kind: LinkKind,
    /// The text.
    pub text: String,
}

impl fmt::Debug for CodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}
