//! How a phone is linked and unlinked: codes that change and stop, pairing codes, logout, and no code after it.

use std::time::Duration;

use harness::eventually;
use relay::{CommandAction, LinkKind, Outcome, SessionState};
use session_pod::pod::Exit;
use simulator::{Ban, SimulatorSettings};
use tokio::time::Instant;

use super::world::{LONG, PHONE, RECOVERS, World};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_logout_no_code_is_shown_until_somebody_asks() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;
    world.simulator.log_out(PHONE, None).expect("logged out");
    let out = Instant::now();
    let status = world.state(SessionState::LoggedOut).await;
    assert!(out.elapsed() < Duration::from_secs(10), "{:?}", out.elapsed());
    assert_eq!((status.reason.as_deref(), status.account), (Some("Unlinked"), None));

    no_code_for_a_while(&mut world, SessionState::LoggedOut).await;
    assert!(pod.health.missing().is_empty(), "a logged-out session is no broken pod");
    // Nor after a restart: the volume remembers that nobody asked.
    assert_eq!(pod.end().await, Exit::Stopped);
    let pod = world.pod("pod-2");
    world.state(SessionState::LoggedOut).await;
    no_code_for_a_while(&mut world, SessionState::LoggedOut).await;

    // Nobody has decided anything yet, so nothing has been put aside. Then somebody does: a new link, a new profile.
    assert_eq!(world.set_aside(), 0);
    let asked = Instant::now();
    assert_eq!(world.order(CommandAction::RefreshQr).await, Outcome::Done);
    assert_eq!(world.code().await.attempt, 1);
    // The old browser closes (10 s at most), the new one starts and loads.
    assert!(asked.elapsed() < Duration::from_mins(1), "{:?}", asked.elapsed());
    assert_eq!(world.set_aside(), 1);
    world.scan().await;
    assert_eq!(world.order(CommandAction::RefreshQr).await, failed("already_linked"));

    assert_eq!(world.order(CommandAction::Logout).await, Outcome::Done);
    let status = world.state(SessionState::LoggedOut).await;
    assert_eq!(status.reason.as_deref(), Some("LogoutAsked"));
    assert_eq!(world.order(CommandAction::Logout).await, failed("not_linked"));
    assert_eq!(pod.end().await, Exit::Stopped);
}

/// The page makes codes all the time; a code that shows up would be there within its 5 seconds.
async fn no_code_for_a_while(world: &mut World, state: SessionState) {
    for _ in 0..20 {
        assert_eq!(world.api.link(world.connection).await.expect("answers"), None);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(world.status().await.expect("a status").state, state);
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed { reason: reason.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_counted_stop_when_nobody_scans_and_start_again_when_asked() {
    let settings =
        SimulatorSettings { qr_lifetime: Duration::from_secs(6), qr_codes: 4, ..SimulatorSettings::default() };
    let mut world = World::with(settings, &[]).await;
    let pod = world.pod("pod-1");
    // What WhatsApp's page showed, and what we did.
    let (mut made, mut shown) = (Vec::new(), Vec::new());
    let (mut api, connection, simulator) = (world.api.clone(), world.connection, &world.simulator);
    let idle = eventually(LONG, "the end of the codes", async || {
        made.extend(simulator.pages().into_iter().find_map(|page| page.qr));
        made.dedup();
        shown.extend(api.link(connection).await.map_err(|error| error.to_string())?);
        shown.dedup_by(|newer, older| newer.code == older.code);
        match api.status(connection).await.map_err(|error| error.to_string())? {
            Some(status) if status.payload.state == SessionState::QrIdle => Ok(status.payload),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!((idle.reason.as_deref(), idle.link), (Some("CodesUnused"), None));
    assert_eq!(made.len(), 4, "{made:?}");
    // The first ones may have come before our scripts.
    let told = made.iter().skip(made.len().saturating_sub(shown.len())).enumerate();
    let told: Vec<_> = told.map(|(index, code)| (u32::try_from(index + 1).expect("few"), code.as_str())).collect();
    assert_eq!(shown.iter().map(|code| (code.attempt, code.code.as_str())).collect::<Vec<_>>(), told);
    assert!(shown.len() >= 2, "{shown:?}");
    no_code_for_a_while(&mut world, SessionState::QrIdle).await;

    let asked = Instant::now();
    assert_eq!(world.order(CommandAction::RefreshQr).await, Outcome::Done);
    let code = world.code().await;
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert!(code.attempt == 1 && !made.contains(&code.code), "{code:?}");
    world.scan().await;
    assert_eq!(pod.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_can_be_linked_by_a_code_that_is_typed() {
    let arguments = ["--link-method=PairingCode", "--link-phone=5511999999999"];
    let mut world = World::with(SimulatorSettings::default(), &arguments).await;
    let pod = world.pod("pod-1");
    let code = world.code().await;
    assert_eq!(code.kind, LinkKind::PairingCode);
    // Code and status are told beside one another.
    let (mut api, connection) = (world.api.clone(), world.connection);
    eventually(LONG, "a status that says how to link", async || {
        let status = api.status(connection).await.map_err(|error| error.to_string())?;
        let link = status.and_then(|envelope| envelope.payload.link);
        if link == Some(LinkKind::PairingCode) { Ok(()) } else { Err(format!("{link:?}")) }
    })
    .await;

    // Nobody typed it in time.
    world.simulator.expire_pairing(PHONE).expect("expired");
    let idle = world.state(SessionState::QrIdle).await;
    assert_eq!(idle.reason.as_deref(), Some("CodesUnused"));
    assert_eq!(world.api.link(world.connection).await.expect("answers"), None, "a void code stays in Redis");
    world.simulator.pair(PHONE, &code.code).expect_err("void");

    let asked = Instant::now();
    assert_eq!(world.order(CommandAction::RefreshQr).await, Outcome::Done);
    let another = world.code().await;
    assert_ne!(another.code, code.code);
    assert!(asked.elapsed() < RECOVERS, "{:?}", asked.elapsed());
    world.simulator.pair(PHONE, &another.code).expect("paired");
    world.state(SessionState::Connected).await;
    assert_eq!(pod.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_is_told_and_leads_to_no_code_and_no_reload() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;

    // A signal, while the page goes on saying that it is connected: that does not lift the ban.
    world.simulator.ban(PHONE, Ban::Temporary).expect("told");
    let banned = Instant::now();
    let status = world.state(SessionState::Banned).await;
    assert!(banned.elapsed() < Duration::from_secs(10), "{:?}", banned.elapsed());
    assert_eq!(status.reason.as_deref(), Some("AccountBanned"));
    // Longer than the page is asked again.
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(world.status().await.expect("a status").state, SessionState::Banned);

    // The phone says that it is over: the person asks, the link has outlived it.
    let over = Instant::now();
    assert_eq!(world.order(CommandAction::RefreshQr).await, Outcome::Done);
    world.state(SessionState::Connected).await;
    assert!(over.elapsed() < RECOVERS, "{:?}", over.elapsed());
    assert_eq!(world.set_aside(), 0, "a link that still stands was given up");

    // Blocked for good, and unlinked by WhatsApp as well: its page shows codes, we do not.
    world.simulator.ban(PHONE, Ban::Blocked).expect("told");
    world.state(SessionState::Banned).await;
    world.simulator.log_out(PHONE, Some("account_locked")).expect("logged out");
    let (simulator, mut api, connection) = (&world.simulator, world.api.clone(), world.connection);
    eventually(LONG, "WhatsApp's page to show a code", async || {
        if simulator.pages().iter().any(|page| page.qr.is_some()) { Ok(()) } else { Err("none") }
    })
    .await;
    for _ in 0..10 {
        assert_eq!(api.link(connection).await.expect("answers"), None);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(world.status().await.expect("a status").state, SessionState::Banned);
    let since = world.states().await.into_iter().rev().take_while(|state| *state == SessionState::Banned).count();
    assert_eq!(since, 1, "it was told again and again");
    assert_eq!(pod.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_opened_elsewhere_waits_until_a_person_wants_it_back() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;
    world.simulator.conflict(PHONE).expect("opened elsewhere");
    let status = world.state(SessionState::Conflict).await;
    assert_eq!(status.reason.as_deref(), Some("OpenedElsewhere"));
    assert!(status.account.is_some(), "the link stands");
    // A page that comes back by itself takes the session from the person again and again.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.status().await.expect("a status").state, SessionState::Conflict);
    assert!(world.simulator.pages().is_empty(), "it went back");

    let asked = Instant::now();
    assert_eq!(world.order(CommandAction::RefreshQr).await, Outcome::Done);
    world.state(SessionState::Connected).await;
    assert!(asked.elapsed() < Duration::from_secs(40), "{:?}", asked.elapsed());
    assert_eq!(pod.end().await, Exit::Stopped);
}
