//! What the session says of itself: linked, connected, whose account it is. Pure.

use crds::{Account, ConditionType, Reason, WhatsAppConnectionStatus};
use relay::{LinkKind, SessionState, SessionStatus};

use super::verdict::{Verdict, time};

/// Whether a phone is linked. A pod that is away does not unlink anything: what was known last goes on holding.
pub(super) fn linked(session: Option<&SessionStatus>, before: &WhatsAppConnectionStatus) -> Verdict {
    let remembered =
        || Verdict::remembered(before, ConditionType::Linked).unwrap_or_else(|| Verdict::bad(Reason::Unknown));
    let Some(session) = session else { return remembered() };
    match session.state {
        SessionState::Syncing
        | SessionState::Connected
        | SessionState::Reconnecting
        | SessionState::Deaf
        | SessionState::Conflict => Verdict::good(),
        SessionState::AwaitingLink => Verdict::bad(match session.link {
            Some(LinkKind::PairingCode) => Reason::AwaitingPairingCode,
            Some(LinkKind::Qr) | None => Reason::AwaitingQr,
        }),
        SessionState::QrIdle => Verdict::bad(Reason::QrIdle),
        SessionState::LoggedOut => Verdict::bad(Reason::LoggedOut),
        SessionState::Banned => Verdict::bad(Reason::Banned),
        SessionState::Starting | SessionState::Loading | SessionState::Outdated | SessionState::Stopping => {
            remembered()
        }
    }
}

/// Whether WhatsApp's stream is up.
pub(super) fn connected(session: Option<&SessionStatus>, pod_ready: &Verdict, linked: &Verdict) -> Verdict {
    let Some(session) = session else {
        return if pod_ready.holds { Verdict::bad(Reason::Unknown) } else { pod_ready.clone() };
    };
    match session.state {
        SessionState::Connected => Verdict::good(),
        SessionState::Syncing => Verdict::bad(Reason::Syncing),
        SessionState::Reconnecting => Verdict::bad(Reason::Reconnecting),
        SessionState::Deaf => Verdict::bad(Reason::Deaf),
        SessionState::Conflict => Verdict::bad(Reason::Conflict),
        SessionState::Outdated => Verdict::seen(Reason::Outdated, &misfit(session)),
        SessionState::Stopping => Verdict::bad(Reason::Stopping),
        SessionState::Starting | SessionState::Loading => Verdict::bad(Reason::Starting),
        SessionState::AwaitingLink | SessionState::QrIdle | SessionState::LoggedOut | SessionState::Banned => {
            linked.clone()
        }
    }
}

/// What does not fit, by name.
fn misfit(session: &SessionStatus) -> String {
    let reason = session.reason.as_deref().unwrap_or_default();
    match session.engine.missing.as_slice() {
        [] => reason.to_owned(),
        missing => format!("{reason}: {}", missing.join(", ")),
    }
}

/// Whose account it is; known until the session says that it is nobody's any more.
pub(super) fn account(session: Option<&SessionStatus>, before: &WhatsAppConnectionStatus) -> Option<Account> {
    match session {
        Some(SessionStatus { account: Some(account), .. }) => Some(Account {
            id: account.id.clone(),
            lid: account.lid.clone(),
            push_name: account.push_name.clone(),
            linked_at: account.linked_at.map(time),
        }),
        Some(SessionStatus {
            state: SessionState::LoggedOut | SessionState::AwaitingLink | SessionState::QrIdle,
            ..
        }) => None,
        _ => before.account.clone(),
    }
}
