//! What holds for a session whatever happens to it, in any order.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use relay::{Account, LinkKind, SessionState as S};

use super::table::signals;
use super::{CodeText, Effect, Link, Phase, Session, Signal, step};
use crate::status::StatusBook;

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

/// A deaf page's store is read instead of its events.
fn is_read_again(before: &Session, after: &Session, effects: &[Effect]) -> bool {
    matches!(before.state, S::Connected | S::Deaf)
        && after.state == S::Deaf
        && !effects.contains(&Effect::Reload)
        && effects.contains(&Effect::Sync)
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
            let codes = |effect: &Effect| matches!(effect, Effect::ShowCode(_) | Effect::MakeCode | Effect::Renew);
            prop_assert!(asked || !effects.iter().any(codes));
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
            prop_assert_eq!(effects.contains(&Effect::Sync), connects || is_read_again(&before, &after, &effects));
            prop_assert_eq!(after.since != before.since && !changed, false);
        }
    }

    #[test]
    fn every_state_in_which_messages_do_not_flow_has_a_reason(start in beginning(), history in history()) {
        for (_, signal, after, _) in live(start, history) {
            let speaks_for_itself =
                matches!(after.state, S::Starting | S::Loading | S::AwaitingLink | S::Syncing | S::Connected);
            prop_assert!(speaks_for_itself || after.reason.is_some(), "{:?} on {signal:?}", after.state);
        }
    }

    #[test]
    fn nothing_is_loaded_or_started_anew_without_a_cause_and_each_cause_does_it_once(
        start in beginning(), history in history()
    ) {
        for (_, signal, _, effects) in live(start, history) {
            let meddling =
                |e: &&Effect| matches!(e, Effect::Reload | Effect::Restart(_) | Effect::Renew | Effect::GiveUp);
            let causes = matches!(
                signal,
                Signal::LinkAsked
                    | Signal::PageCrashed
                    | Signal::PageStuck
                    | Signal::BrowserLost
                    | Signal::PageOutdated
                    | Signal::Deaf
            );
            prop_assert!(effects.iter().filter(meddling).count() <= usize::from(causes), "{signal:?}: {effects:?}");
        }
    }

    #[test]
    fn a_page_that_does_not_fit_is_reloaded_once_and_then_left(start in beginning(), history in history()) {
        let mut reloads = 0;
        for (_, signal, after, effects) in live(start, history) {
            match signal {
                Signal::PageReady | Signal::LinkAsked => reloads = 0,
                Signal::PageOutdated if effects.contains(&Effect::Reload) => reloads += 1,
                Signal::PageOutdated => prop_assert!(matches!(after.state, S::Outdated | S::Stopping)),
                _ => {}
            }
            prop_assert!(reloads <= 1);
        }
    }

    #[test]
    fn a_deaf_page_is_reloaded_once_in_ten_minutes_at_most(start in beginning(), history in history()) {
        let (mut now, mut last) = (0, None);
        let seconds: Vec<_> = history.iter().map(|(_, seconds)| *seconds).collect();
        for ((_, signal, _, effects), seconds) in live(start, history).into_iter().zip(seconds) {
            now += seconds;
            if signal == Signal::Deaf && effects.contains(&Effect::Reload) {
                prop_assert!(last.is_none_or(|last| now - last > 600));
                last = Some(now);
            }
        }
    }

    #[test]
    fn a_profile_goes_only_when_somebody_asks_for_a_link_where_none_is(start in beginning(), history in history()) {
        for (before, signal, after, effects) in live(start, history) {
            let renews = effects.contains(&Effect::Renew);
            prop_assert!(!renews || (signal == Signal::LinkAsked && before.link != Link::Linked));
            // And the other way round: no phone is ever linked on the profile of another.
            let opens = before.link == Link::Removed && after.link == Link::Open;
            prop_assert_eq!(renews, opens || (renews && before.state == S::Banned));
        }
    }

    #[test]
    fn a_ban_is_not_forgotten_because_the_page_says_again_what_it_said_before(
        start in beginning(), history in history()
    ) {
        let Some((_, _, last, _)) = live(start, history).pop() else { return Ok(()) };
        for signal in [Signal::Banned, Signal::Deaf] {
            let (told, _) = step(&last, signal, Timestamp::UNIX_EPOCH);
            if let (S::Banned | S::Deaf, Some(phase)) = (told.state, told.phase) {
                let (again, effects) = step(&told, Signal::Stream(phase), Timestamp::UNIX_EPOCH);
                prop_assert!(again == told && effects.is_empty());
            }
        }
    }

    /// While Redis is away nobody reads the statuses between; the one that is there when it comes back is the whole truth.
    #[test]
    fn the_newest_status_alone_says_how_the_session_is(start in beginning(), history in history()) {
        let account = Account { id: "5511999999999@c.us".to_owned(), lid: None, push_name: None, linked_at: None };
        let mut book = StatusBook::new("pod-1".to_owned(), Some(account));
        let mut newest = book.news(&start, false).expect("the first is news");
        let mut left_connected = None;
        for (before, _, after, _) in live(start, history) {
            book.moved(before.state, &after, after.since);
            if before.state == S::Connected && after.state != S::Connected {
                left_connected = Some(after.since);
            }
            if let Some(status) = book.news(&after, false) {
                prop_assert!(status.sequence > newest.sequence);
                newest = status;
            }
            prop_assert_eq!((newest.state, newest.since), (after.state, after.since));
            prop_assert_eq!(newest.reason.clone(), after.reason.map(|reason| reason.to_string()));
            prop_assert_eq!(newest.link, after.code().map(|code| code.kind));
            prop_assert_eq!(newest.account.is_some(), after.link == Link::Linked);
            prop_assert_eq!(newest.last_disconnect.as_ref().map(|last| last.at), left_connected);
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
