//! What the session says of itself: linked, connected, whose account it is. Pure.

use crds::{Account, ConditionType, Reason, WhatsAppConnectionStatus};
use relay::{LinkKind, SessionState, SessionStatus};

use super::verdict::{Verdict, time};

/// Whether a phone is linked. A pod that is away does not unlink anything: what was known last goes on holding.
pub(super) fn linked(session: Option<&SessionStatus>, before: &WhatsAppConnectionStatus) -> Verdict {
    let before = Verdict::remembered(before, ConditionType::Linked);
    let Some(session) = session else { return before.unwrap_or_else(|| Verdict::bad(Reason::Unknown)) };
    // A session that does not know yet undoes nothing that was certain; and a page that loads anew in the midst of linking is
    // no news.
    let lasting = before.filter(|last| match last.reason {
        Reason::LoggedOut | Reason::Banned => true,
        Reason::AwaitingQr | Reason::AwaitingPairingCode | Reason::QrIdle => session.reason.is_none(),
        _ => last.holds,
    });
    let not_yet = |reason| lasting.unwrap_or_else(|| told(session, reason));
    match session.state {
        SessionState::Syncing
        | SessionState::Connected
        | SessionState::Reconnecting
        | SessionState::Deaf
        | SessionState::Conflict => Verdict::good(),
        SessionState::AwaitingLink => match session.link {
            Some(LinkKind::PairingCode) => told(session, Reason::AwaitingPairingCode),
            Some(LinkKind::Qr) | None => told(session, Reason::AwaitingQr),
        },
        SessionState::QrIdle => told(session, Reason::QrIdle),
        SessionState::LoggedOut => told(session, Reason::LoggedOut),
        SessionState::Banned => told(session, Reason::Banned),
        SessionState::Starting | SessionState::Loading => not_yet(Reason::Starting),
        SessionState::Outdated => not_yet(Reason::Outdated),
        SessionState::Stopping => not_yet(Reason::Stopping),
    }
}

/// Whether WhatsApp's stream is up.
pub(super) fn connected(session: Option<&SessionStatus>, pod_ready: &Verdict, linked: &Verdict) -> Verdict {
    let Some(session) = session else {
        return if pod_ready.holds { Verdict::bad(Reason::Unknown) } else { pod_ready.clone() };
    };
    match session.state {
        // What is wrong all the same, such as a volume without room.
        SessionState::Connected => Verdict { message: session.reason.clone().unwrap_or_default(), ..Verdict::good() },
        SessionState::Syncing => told(session, Reason::Syncing),
        SessionState::Reconnecting => told(session, Reason::Reconnecting),
        SessionState::Deaf => told(session, Reason::Deaf),
        SessionState::Conflict => told(session, Reason::Conflict),
        SessionState::Outdated => told(session, Reason::Outdated),
        SessionState::Stopping => told(session, Reason::Stopping),
        SessionState::Starting | SessionState::Loading => told(session, Reason::Starting),
        SessionState::AwaitingLink | SessionState::QrIdle | SessionState::LoggedOut | SessionState::Banned => {
            linked.clone()
        }
    }
}

/// With the session's own reason, and with what does not fit, by name.
fn told(session: &SessionStatus, reason: Reason) -> Verdict {
    match (session.reason.as_deref(), session.engine.missing.as_slice()) {
        (None, _) => Verdict::bad(reason),
        (Some(own), []) => Verdict::seen(reason, own),
        (Some(own), missing) => Verdict::seen(reason, &format!("{own}: {}", missing.join(", "))),
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
