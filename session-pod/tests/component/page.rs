//! A page that is late, does not fit, hangs, speaks of its last life, or does not tell what it gets: what is said of it,
//! and how long it takes until messages flow again.

use std::time::Duration;

use harness::eventually;
use jiff::SignedDuration;
use relay::{Event, Message, SessionState};
use session_pod::pod::Exit;
use simulator::{PagePlan, SimulatorSettings};
use tokio::time::Instant;

use super::hand::Hand;
use super::world::{ANA, LONG, PHONE, RECOVERS, World, command, text};

/// Instead of half a minute: the simulator's page is there in a second. Modules that come one by one may take longer.
const PATIENCE: &str = "--page-patience-ms=3000";

fn plan(changed: &[&str], renamed: &[&str]) -> PagePlan {
    let all = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    PagePlan { changed: all(changed), renamed: all(renamed), ..PagePlan::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_does_not_fit_is_named_reloaded_once_and_works_when_it_fits_again() {
    let mut world = World::with(SimulatorSettings::default(), &[PATIENCE]).await;
    // Gone as a whole: neither its id nor what wa-js knows it by is there.
    world.simulator.plan_page(plan(&["WAWebChatCollection"], &["WAWebChatCollection"])).expect("planned");
    let pod = world.pod("pod-1");
    let begun = Instant::now();
    let status = world.state(SessionState::Outdated).await;
    // Twice 3 s for the modules and 6 s for wa-js, a browser, and a busy machine.
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(status.reason.as_deref(), Some("ModulesMissing"));
    for name in ["WAWebChatCollection", "WPP.whatsapp.ChatStore"] {
        assert!(status.engine.missing.iter().any(|missing| missing == name), "{:?}", status.engine);
    }
    assert!(status.engine.wa_js.is_some() && status.engine.browser.is_some(), "{:?}", status.engine);
    let browsers = world.browsers();

    // Its page comes back as one whose modules have the right ids and other exports. wa-js calls this one ready.
    world.simulator.plan_page(plan(&["WAWebWidFactory"], &[])).expect("planned");
    world.reload_page().await;
    let (mut api, connection) = (world.api.clone(), world.connection);
    eventually(Duration::from_secs(40), "another name", async || match api.status(connection).await {
        Ok(Some(status)) if status.payload.engine.missing == ["WPP.whatsapp.WidFactory"] => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    world.state(SessionState::Outdated).await;
    assert_eq!(world.browsers(), browsers, "another browser fits no better");

    // And then as one that has a new id and is known by its exports all the same.
    world.simulator.plan_page(plan(&[], &["WAWebMsgCollection"])).expect("planned");
    world.reload_page().await;
    let fits = Instant::now();
    world.scan().await;
    assert!(fits.elapsed() < RECOVERS, "{:?}", fits.elapsed());
    assert_eq!(world.status().await.expect("a status").engine.missing, [""; 0]);
    let reloads = world.states().await.iter().filter(|state| **state == SessionState::Outdated).count();
    assert_eq!(reloads, 2, "each page is called outdated once");
    assert_eq!(pod.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_takes_no_script_is_called_outdated_left_alone_and_works_when_it_takes_them_again() {
    let mut world = World::with(SimulatorSettings::default(), &[PATIENCE]).await;
    world.simulator.plan_page(PagePlan { refuse_wa_js: true, ..PagePlan::default() }).expect("planned");
    let pod = world.pod("pod-1");
    let begun = Instant::now();
    let status = world.state(SessionState::Outdated).await;
    println!("outdated after {:?}", begun.elapsed());
    // Three tries of 3 s with 5 s between them, a reload and one more try, a browser, and a busy machine.
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(status.reason.as_deref(), Some("ModulesMissing"));
    assert_eq!(status.engine.missing, ["wa-js"]);
    assert!(status.engine.browser.is_some(), "{:?}", status.engine);

    // Into this document it is tried now, after 5 to 10 s, and after another 10 to 20; every 5 s would be seven times.
    let browsers = world.browsers();
    // Told beside the status.
    let before = eventually(Duration::from_secs(10), "the state to be told", async || match world.states().await {
        told if told.last() == Some(&SessionState::Outdated) => Ok(told),
        told => Err(format!("{told:?}")),
    })
    .await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let tries = world.tries_refused().await;
    assert!((2..=4).contains(&tries), "tried {tries} times");
    assert_eq!(world.states().await, before, "each try was a change of state");
    assert_eq!(world.browsers(), browsers, "another browser fits no better");

    world.simulator.plan_page(PagePlan::default()).expect("planned");
    world.reload_page().await;
    let fits = Instant::now();
    world.scan().await;
    assert!(fits.elapsed() < RECOVERS, "{:?}", fits.elapsed());
    assert_eq!(world.status().await.expect("a status").engine.missing, [""; 0]);
    assert_eq!(pod.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_that_come_late_are_waited_for_and_old_lives_do_not_speak_for_new_ones() {
    let mut world = World::with(SimulatorSettings::default(), &["--page-patience-ms=7000"]).await;
    // Nine seconds in all, which is more than the patience, and never more than three without a new module.
    world.simulator.plan_page(PagePlan { pause_ms: Some(3000), ..PagePlan::default() }).expect("planned");
    let begun = Instant::now();
    let pod = world.pod("pod-1");
    world.scan().await;
    // Besides the nine seconds.
    assert!(begun.elapsed() < Duration::from_secs(9) + RECOVERS, "{:?}", begun.elapsed());
    assert!(!world.states().await.contains(&SessionState::Outdated));

    // WhatsApp loads its page anew in the middle of a burst: every message is told, each once.
    world.simulator.plan_page(PagePlan::default()).expect("planned");
    for number in 0..60 {
        world.simulator.receive_text(PHONE, ANA, &format!("burst {number}")).expect("received");
        if number == 30 {
            world.simulator.reload(PHONE).expect("reloaded");
        }
    }
    world.message_within("burst 59", LONG).await;
    // On a fast machine all are told before the page has gone.
    eventually(LONG, "the page to be back", async || match world.status().await {
        Some(status) if status.state == SessionState::Connected && status.last_disconnect.is_some() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let status = world.state(SessionState::Connected).await;
    assert_eq!(status.last_disconnect.expect("one").reason, "PageReloaded");
    for number in 0..60 {
        assert_eq!(world.message_of(&format!("burst {number}")).await.len(), 1, "burst {number}");
    }

    // What the page's last life said and only now arrives: its messages count, how it stood does not.
    let before = world.states().await;
    let late = |kind: &str, body: &str| format!(r#"{{"life": 1, "n": 1, "kind": "{kind}", "body": {body}}}"#);
    let gone = r#"{"mode": "QR", "info": null, "authenticated": false, "account": null}"#;
    let message = format!(
        r#"{{"message": {{"id": "false_{ANA}_3AFF", "chat": "{ANA}", "from": "{ANA}", "author": null, "fromMe": false,
        "type": "chat", "text": "late", "timestamp": 1700000000, "ack": 1, "pushName": null, "quotedId": null}}}}"#
    );
    for event in [late("stream", gone), late("logout", r#"{"reason": null}"#), late("message", &message)] {
        world.in_page(&format!("sessionPodEmit(JSON.stringify({event}))")).await;
    }
    world.message("late").await;
    world.simulator.receive_text(PHONE, ANA, "and on").expect("received");
    world.message("and on").await;
    assert_eq!(world.states().await, before, "the old life ended the new one");
    assert_eq!(pod.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_never_answers_is_noticed_and_what_waited_is_sent_once() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;
    world.in_page("sessionBridge.call = () => new Promise(() => {})").await;
    let waiting = command(text(ANA, "patient").1, SignedDuration::from_secs(120));
    world.give(waiting.clone()).await;
    let begun = Instant::now();
    let status = world.state(SessionState::Reconnecting).await;
    assert_eq!(status.reason.as_deref(), Some("PageCrashed"));
    world.state(SessionState::Connected).await;
    // 10 s until the first question, 8 s each for two answers, 5 s between them; then the page loads.
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(world.outcome_within(waiting.id, Duration::from_secs(40)).await, relay::Outcome::Done);
    assert_eq!(world.sends("patient"), 1);
    assert_eq!(pod.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_event_is_lost_is_told_within_half_a_minute() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;
    world.in_page("window.sessionPodEmit = () => {}").await;
    world.simulator.receive_text(PHONE, ANA, "the last one").expect("received");
    let begun = Instant::now();
    let told = world.message_within("the last one", Duration::from_secs(30)).await;
    assert!(!told.recovered, "it is news, and only late");
    tracing::info!(after_ms = begun.elapsed().as_millis(), "told");
    assert_eq!(world.status().await.expect("a status").state, SessionState::Connected);
    assert_eq!(pod.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_hears_nothing_is_called_deaf_and_misses_nothing() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;
    world.simulator.receive_text(PHONE, ANA, "heard").expect("received");
    world.message("heard").await;

    // The page has it and tells nobody. Two looks, 10 to 15 s each; then a page with new ears.
    world.silently("unheard");
    let begun = Instant::now();
    let unheard = world.message_within("unheard", Duration::from_mins(1)).await;
    tracing::info!(after_ms = begun.elapsed().as_millis(), "told");
    assert!(unheard.recovered);
    world.state(SessionState::Connected).await;
    let deaf = world.event("deafness", |event| match event {
        Event::State(change) if change.state == SessionState::Deaf => Some(change.reason.clone()),
        _ => None,
    });
    assert_eq!(deaf.await.as_deref(), Some("EventsMissing"));

    // New ears did not help: it stays deaf, is read instead, and nothing is started again and again.
    let browsers = world.browsers();
    world.silently("unheard again");
    assert!(world.message_within("unheard again", Duration::from_mins(1)).await.recovered);
    assert_eq!(world.status().await.expect("a status").state, SessionState::Deaf);
    assert_eq!(world.order(text(ANA, "said").1).await, relay::Outcome::Done, "it can still speak");
    // Its own message came by itself: it hears.
    world.state(SessionState::Connected).await;
    assert_eq!(world.browsers(), browsers);
    for text in ["heard", "unheard", "unheard again", "said"] {
        assert_eq!(world.times_told(text).await, 1, "{text}");
    }
    assert_eq!(pod.end().await, Exit::Stopped);
}

impl World {
    /// A message that the page stores without an event.
    pub fn silently(&self, text: &str) {
        let message = serde_json::json!({"chat": ANA, "text": text, "silent": true});
        self.simulator.receive(PHONE, serde_json::from_value(message).expect("fits")).expect("received");
    }

    /// How often this document refused wa-js.
    async fn tries_refused(&self) -> u32 {
        let tries = Hand::on(self).await.page.evaluate("Number(document.documentElement.dataset.refused)").await;
        tries.expect("the script runs").into_value().expect("a number")
    }

    /// Every telling of a message of this text.
    async fn message_of(&mut self, text: &str) -> Vec<Message> {
        let wanted = |event: Event| match event {
            Event::Message(message) if message.text.as_deref() == Some(text) => Some(message),
            _ => None,
        };
        self.events().await.into_iter().filter_map(wanted).collect()
    }

    /// The states so far, in order.
    pub async fn states(&mut self) -> Vec<SessionState> {
        let state = |event: Event| match event {
            Event::State(change) => Some(change.state),
            _ => None,
        };
        self.events().await.into_iter().filter_map(state).collect()
    }
}
