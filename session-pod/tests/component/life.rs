//! The main story: linked once, then messages both ways through restarts, a killed browser and an absent Redis.

use harness::eventually;
use relay::{CommandAction, Event, LinkKind, Outcome, SessionState};
use rustix::process::{Pid, Signal, kill_process};
use session_pod::pod::Exit;

use super::world::{ANA, GROUP, HIDDEN, LONG, PHONE, SHORT, World, text};

#[tokio::test(flavor = "multi_thread")]
async fn linked_once_a_session_relays_both_ways_through_restarts_and_a_killed_browser() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");

    let code = world.code().await;
    assert_eq!((code.kind, code.attempt), (LinkKind::Qr, 1));
    let status = world.state(SessionState::AwaitingLink).await;
    assert_eq!((status.link, status.account), (Some(LinkKind::Qr), None));
    eventually(SHORT, "readiness", async || match pod.health.missing() {
        missing if missing.is_empty() => Ok(()),
        missing => Err(missing.join(", ")),
    })
    .await;

    world.scan().await;
    let status = world.state(SessionState::Connected).await;
    let account = status.account.expect("an account");
    assert_eq!(account.id, format!("{PHONE}@c.us"));
    assert!(account.linked_at.is_some());
    assert!(status.engine.wa_js.is_some() && status.engine.whatsapp_web.is_some() && status.engine.browser.is_some());
    assert_eq!(world.api.link(world.connection).await.expect("answers"), None, "a used code stays in Redis");

    messages_come_in(&mut world).await;
    a_text_goes_out(&mut world, "hello Ana").await;

    assert_eq!(pod.end().await, Exit::Stopped);
    assert_eq!(world.status().await.expect("a status").state, SessionState::Stopping);
    world.no_browser_is_left().await;

    world.simulator.receive_text(PHONE, ANA, "while you were away").expect("received");
    let shown_before = world.links_shown().await;
    let pod = world.pod("pod-2");
    world.state(SessionState::Connected).await;
    let message = world.message("while you were away").await;
    assert_eq!((message.chat.as_str(), message.recovered), (ANA, false), "it is news to the person");
    assert_eq!(world.links_shown().await, shown_before, "a restored session showed a code");

    a_killed_browser_comes_back(&mut world).await;
    a_text_goes_out(&mut world, "hello again").await;
    assert_eq!(world.times_told("hello you").await, 1);
    assert_eq!(world.times_told("while you were away").await, 1);
    assert_eq!(pod.end().await, Exit::Stopped);
}

async fn messages_come_in(world: &mut World) {
    world.simulator.receive_text(PHONE, ANA, "hello you").expect("received");
    let message = world.message("hello you").await;
    assert_eq!((message.chat.as_str(), message.from_me, message.recovered), (ANA, false, false));
    assert_eq!(message.author.as_deref(), Some(ANA));

    world.simulator.receive_text(PHONE, HIDDEN, "hello from behind a lid").expect("received");
    assert_eq!(world.message("hello from behind a lid").await.chat.as_str(), HIDDEN);

    let group = serde_json::json!({"id": GROUP, "subject": "Friends", "participants": [ANA]});
    world.simulator.group(PHONE, serde_json::from_value(group).expect("fits")).expect("a group");
    let spoken = serde_json::json!({"chat": GROUP, "text": "hello all", "author": ANA});
    world.simulator.receive(PHONE, serde_json::from_value(spoken).expect("fits")).expect("received");
    let message = world.message("hello all").await;
    assert_eq!(message.chat.as_str(), GROUP);
    assert_eq!(message.author.as_deref(), Some(ANA));

    let on_phone = serde_json::json!({"chat": ANA, "text": "from my phone", "fromMe": true});
    world.simulator.receive(PHONE, serde_json::from_value(on_phone).expect("fits")).expect("received");
    assert!(world.message("from my phone").await.from_me);
}

async fn a_text_goes_out(world: &mut World, words: &str) {
    let (message, action) = text(ANA, words);
    assert_eq!(world.order(action).await, Outcome::Done);
    let sent = world.simulator.sent(PHONE).expect("an account");
    assert_eq!(sent.iter().filter(|sent| sent.text == words).count(), 1);
    assert_eq!(world.message(words).await.id, message);
    world.simulator.acknowledge(PHONE, message.as_str(), 3).expect("acknowledged");
    world
        .event("the receipt", |event| match event {
            Event::Ack(ack) if ack.id == message && ack.ack == 3 => Some(()),
            _ => None,
        })
        .await;
}

async fn a_killed_browser_comes_back(world: &mut World) {
    let killed = world.browsers();
    assert_eq!(killed.len(), 1);
    for pid in &killed {
        kill_process(Pid::from_raw(*pid).expect("a pid"), Signal::KILL).expect("killed");
    }
    let status = world.state(SessionState::Reconnecting).await;
    assert_eq!(status.reason.as_deref(), Some("BrowserLost"));
    world.simulator.receive_text(PHONE, ANA, "while you were dead").expect("received");
    world.state(SessionState::Connected).await;
    assert_eq!(world.message("while you were dead").await.chat.as_str(), ANA);
    eventually(LONG, "the new browser only", async || match world.browsers() {
        alive if alive.len() == 1 && alive != killed => Ok(()),
        alive => Err(format!("{alive:?}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_crashes_is_loaded_anew_in_the_same_browser() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;
    let browsers = world.browsers();
    for pid in world.renderers() {
        kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL).expect("killed");
    }
    let status = world.state(SessionState::Reconnecting).await;
    assert_eq!(status.reason.as_deref(), Some("PageCrashed"));
    world.simulator.receive_text(PHONE, ANA, "while the page was dead").expect("received");
    world.state(SessionState::Connected).await;
    world.message("while the page was dead").await;
    assert_eq!(world.browsers(), browsers);
    a_text_goes_out(&mut world, "alive again").await;
    assert_eq!(pod.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_redis_is_away_is_told_when_it_is_back() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;
    world.simulator.receive_text(PHONE, ANA, "before").expect("received");
    world.message("before").await;

    world.redis.stop().await;
    for number in 0..20 {
        world.simulator.receive_text(PHONE, ANA, &format!("away {number}")).expect("received");
    }
    // The page has them, so the pod has been told of them while nobody listened on Redis' port.
    eventually(SHORT, "the pod to notice", async || match pod.health.missing() {
        missing if missing.iter().any(|part| part.starts_with("redis")) => Ok(()),
        missing => Err(format!("{missing:?}")),
    })
    .await;
    world.redis.resume().await;

    for number in 0..20 {
        world.message(&format!("away {number}")).await;
    }
    let order: Vec<_> = world
        .events()
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::Message(message) => message.text.filter(|text| text.starts_with("away")),
            _ => None,
        })
        .collect();
    assert_eq!(order, (0..20).map(|number| format!("away {number}")).collect::<Vec<_>>());
    assert_eq!(pod.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_is_told_the_history_and_marks_it_as_recovered() {
    let mut world = World::new().await;
    let first = world.pod_on("pod-1", "first");
    world.scan().await;
    for number in 0..3 {
        world.simulator.receive_text(PHONE, ANA, &format!("old {number}")).expect("received");
        world.message(&format!("old {number}")).await;
    }
    assert_eq!(first.end().await, Exit::Stopped);
    // As if the account had been used elsewhere: a volume that knows nothing, and a stream that begins anew.
    redis::cmd("DEL")
        .arg(relay::Names(world.connection).events())
        .query_async::<()>(&mut world.client())
        .await
        .expect("deleted");

    let second = world.pod_on("pod-2", "second");
    world.scan().await;
    for number in 0..3 {
        assert!(world.message(&format!("old {number}")).await.recovered);
    }
    world
        .event("the chat", |event| match event {
            Event::Chat(chat) if chat.id.as_str() == ANA => Some(()),
            _ => None,
        })
        .await;
    let told = world.times_told("old 1").await;
    let list = CommandAction::ListChats { chats: 10, messages: 10 };
    assert_eq!(world.order(list).await, Outcome::Done);
    eventually(SHORT, "the list", async || match world.times_told("old 1").await {
        now if now == told + 1 => Ok(()),
        now => Err(now.to_string()),
    })
    .await;
    assert_eq!(second.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_shown_and_nothing_is_missed() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;
    world.simulator.disconnect(PHONE).expect("disconnected");
    let status = world.state(SessionState::Reconnecting).await;
    assert_eq!(status.reason.as_deref(), Some("StreamLost"));
    assert_eq!(status.last_disconnect.expect("one").reason, "StreamLost");
    world.simulator.receive_text(PHONE, ANA, "in the gap").expect("received");
    world.simulator.reconnect(PHONE).expect("reconnected");
    let back = tokio::time::Instant::now();
    world.state(SessionState::Connected).await;
    world.message("in the gap").await;
    assert!(back.elapsed() < SHORT, "{:?}", back.elapsed());
    assert!(pod.health.missing().is_empty(), "a lost stream is no reason to take the pod out");
    assert_eq!(pod.end().await, Exit::Stopped);
}
