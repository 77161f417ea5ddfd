//! The table of `docs/reference/session-states.md`, made by asking the state machine. `UPDATE_GOLDEN=1` writes it anew.

use std::fmt::Write as _;

use jiff::Timestamp;
use relay::{LinkKind, SessionState};

use super::{CodeText, Effect, Link, Phase, Reason, Session, Signal, step};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/session-states.md");

const INTRODUCTION: &str = "\
# The states of a session

Generated from `session-pod/src/session.rs`; a test compares. `make generate` writes it anew.

A session opens the page with what it remembers of the link: none yet (codes are shown), linked, or removed (no code is
shown until somebody asks). The table shows a QR session with a ready page and the link that is usual in each state.
What a signal does not change is left out. `Deaf` reloads the page once in ten minutes, and reads its store otherwise. A second `PageOutdated`, without a `PageReady` since the first, leads to
`Outdated`; faults that follow each other within ten minutes pause longer each time, and the sixth gives up. `Stopping` is the end: nothing leads out of it.
";

pub(super) fn signals() -> Vec<Signal> {
    use Phase as P;
    let phases =
        [P::Unlinked, P::Syncing, P::Up, P::Down, P::Conflict, P::ProxyBlocked, P::AccountBlocked, P::VersionRefused];
    let mut all = vec![
        Signal::BrowserUp,
        Signal::PageLoading,
        Signal::PageReady,
        Signal::PageUnreachable,
        Signal::PageOutdated,
        Signal::Code(CodeText { kind: LinkKind::Qr, text: "new".to_owned() }),
        Signal::CodeGone,
        Signal::CodesPaused,
        Signal::CodeFailed,
        Signal::LinkAsked,
        Signal::LinkRemoved(Reason::Unlinked),
        Signal::Banned,
        Signal::Deaf,
        Signal::Heard,
        Signal::PageCrashed,
        Signal::PageStuck,
        Signal::BrowserLost,
        Signal::Stop,
    ];
    all.extend(phases.map(Signal::Stream));
    all
}

/// A session that is in this state in the usual way.
fn usual(state: SessionState) -> Session {
    use SessionState as S;
    let link = match state {
        S::Starting | S::Loading | S::AwaitingLink | S::QrIdle | S::Outdated => Link::Open,
        S::Syncing | S::Connected | S::Reconnecting | S::Deaf | S::Conflict | S::Stopping => Link::Linked,
        S::LoggedOut | S::Banned => Link::Removed,
    };
    let mut session = Session::new(link, LinkKind::Qr, Timestamp::UNIX_EPOCH);
    session.ready = true;
    if state == S::Deaf {
        session.phase = Some(Phase::Up);
    }
    if state == S::AwaitingLink {
        let shown = CodeText { kind: LinkKind::Qr, text: "shown".to_owned() };
        let _ = session.codes.show(shown, Timestamp::UNIX_EPOCH);
    }
    session.state = state;
    session
}

fn render() -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("\n| state | meaning |\n|---|---|\n");
    for state in SessionState::ALL {
        let _ = writeln!(text, "| `{}` | {} |", state.as_str(), state.meaning().trim());
    }
    text.push_str("\n| in | on | to | reason | and |\n|---|---|---|---|---|\n");
    for state in SessionState::ALL {
        let before = usual(*state);
        for signal in signals() {
            let on = format!("{signal:?}");
            let (after, effects) = step(&before, signal, Timestamp::UNIX_EPOCH);
            let does: Vec<_> = effects.iter().filter(|effect| **effect != Effect::Report).map(effect_name).collect();
            if after.state == before.state && after.reason == before.reason && does.is_empty() {
                continue;
            }
            let reason = after.reason.map(|reason| reason.to_string()).unwrap_or_default();
            let (from, to) = (state.as_str(), after.state.as_str());
            let _ = writeln!(text, "| {from} | {on} | {to} | {reason} | {} |", does.join(", "));
        }
    }
    text
}

fn effect_name(effect: &Effect) -> String {
    match effect {
        Effect::ShowCode(_) => "ShowCode".to_owned(),
        Effect::Restart(pause) => format!("Restart after {} s", pause.as_secs()),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_table_in_the_documentation_is_what_the_code_does() {
    let made = render();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(std::path::Path::new(FILE).parent().expect("a folder")).expect("made");
        std::fs::write(FILE, &made).expect("written");
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(kept == made, "docs/reference/session-states.md is not what the code does; UPDATE_GOLDEN=1 writes it anew");
}
