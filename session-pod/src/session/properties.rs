//! What holds for a session whatever happens to it, in any order.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use relay::{LinkKind, SessionState as S};

use super::table::signals;
use super::{CodeText, Effect, Link, Phase, Session, Signal, step};

/// A signal and the seconds that pass before it.
fn history() -> impl Strategy<Value = Vec<(Signal, i64)>> {
    let mut all = signals();
    all.push(Signal::Code(CodeText { kind: LinkKind::PairingCode, text: "ABCD1234".to_owned() }));
    all.push(Signal::Code(CodeText { kind: LinkKind::Qr, text: "another".to_owned() }));
    proptest::collection::vec((proptest::sample::select(all), 0..700_i64), 0..60)
}

fn beginning() -> impl Strategy<Value = Session> {
    let link = prop_oneof![Just(Link::Open), Just(Link::Linked), Just(Link::Removed)];
    let kind = prop_oneof![Just(LinkKind::Qr), Just(LinkKind::PairingCode)];
    (link, kind).prop_map(|(link, kind)| Session::new(link, kind, Timestamp::UNIX_EPOCH))
}

/// Every step of a history: before, signal, after, effects.
fn live(start: Session, history: Vec<(Signal, i64)>) -> Vec<(Session, Signal, Session, Vec<Effect>)> {
    let (mut session, mut now) = (start, Timestamp::UNIX_EPOCH);
    let mut steps = Vec::new();
    for (signal, seconds) in history {
        now += SignedDuration::from_secs(seconds);
        let (next, effects) = step(&session, signal.clone(), now);
        steps.push((session, signal, next.clone(), effects));
        session = next;
    }
    steps
}

proptest! {
    #[test]
    fn stop_always_leads_to_stopping_and_nothing_leads_out(start in beginning(), history in history()) {
        let steps = live(start, history);
        for (before, _, after, effects) in &steps {
            prop_assert!(before.state != S::Stopping || (after == before && effects.is_empty()));
        }
        let Some((_, _, last, _)) = steps.last() else { return Ok(()) };
        let (stopped, effects) = step(last, Signal::Stop, Timestamp::UNIX_EPOCH);
        prop_assert_eq!(stopped.state, S::Stopping);
        prop_assert!(last.state == S::Stopping || effects.contains(&Effect::End));
    }

    #[test]
    fn after_a_logout_a_code_is_shown_only_when_asked_for(start in beginning(), history in history()) {
        let mut asked = start.link == Link::Open;
        for (_, signal, after, effects) in live(start, history) {
            match signal {
                Signal::LinkAsked => asked = true,
                _ if after.link == Link::Linked => asked = false,
                _ => {}
            }
            prop_assert!(asked || !effects.iter().any(|effect| matches!(effect, Effect::ShowCode(_) | Effect::MakeCode)));
            prop_assert!(asked || after.state != S::AwaitingLink);
        }
    }

    #[test]
    fn a_code_is_shown_exactly_while_a_link_is_awaited(start in beginning(), history in history()) {
        let mut shown = false;
        for (_, _, after, effects) in live(start, history) {
            for effect in &effects {
                match effect {
                    Effect::ShowCode(_) => shown = true,
                    Effect::HideCode => shown = false,
                    _ => {}
                }
            }
            prop_assert_eq!(shown, after.code().is_some());
            prop_assert!(!shown || after.state == S::AwaitingLink);
        }
    }

    #[test]
    fn a_conflict_is_not_fought(start in beginning(), history in history()) {
        for (before, signal, _, effects) in live(start, history) {
            let meddles = effects.iter().any(|effect| matches!(effect, Effect::Reload | Effect::Restart(_)));
            let mends = matches!(
                signal,
                Signal::LinkAsked | Signal::PageCrashed | Signal::BrowserLost | Signal::PageOutdated
            );
            prop_assert!(before.state != S::Conflict || !meddles || mends);
        }
    }

    #[test]
    fn every_change_is_reported_and_nothing_else(start in beginning(), history in history()) {
        for (before, _, after, effects) in live(start, history) {
            let changed = (before.state, before.reason) != (after.state, after.reason);
            prop_assert_eq!(effects.contains(&Effect::Report), changed);
            let connects = after.state == S::Connected && before.state != S::Connected;
            prop_assert_eq!(effects.contains(&Effect::Sync), connects);
            prop_assert_eq!(after.since != before.since && !changed, false);
        }
    }

    #[test]
    fn a_page_that_says_it_is_connected_is_believed_from_every_state(start in beginning(), history in history()) {
        let Some((_, _, last, _)) = live(start, history).pop() else { return Ok(()) };
        let (last, _) = step(&last, Signal::PageReady, Timestamp::UNIX_EPOCH);
        let (last, _) = step(&last, Signal::Stream(Phase::Up), Timestamp::UNIX_EPOCH);
        prop_assert!(matches!(last.state, S::Connected | S::Stopping));
    }

    #[test]
    fn a_browser_that_dies_at_once_each_time_ends_the_container(start in beginning()) {
        let deaths = live(start, vec![(Signal::BrowserLost, 5); 10]);
        prop_assert!(deaths.iter().any(|(_, _, _, effects)| effects.contains(&Effect::GiveUp)));
    }
}
