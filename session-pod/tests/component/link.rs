//! How a phone is linked and unlinked: codes that change and stop, pairing codes, logout, and no code after it.

use std::time::Duration;

use harness::eventually;
use relay::{CommandAction, LinkKind, Outcome, SessionState};
use session_pod::pod::Exit;
use simulator::SimulatorSettings;

use super::world::{LONG, PHONE, World};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_logout_no_code_is_shown_until_somebody_asks() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;
    world.simulator.log_out(PHONE, None).expect("logged out");
    let status = world.state(SessionState::LoggedOut).await;
    assert_eq!((status.reason.as_deref(), status.account), (Some("Unlinked"), None));

    no_code_for_a_while(&mut world).await;
    assert!(pod.health.missing().is_empty(), "a logged-out session is no broken pod");
    // Nor after a restart: the volume remembers that nobody asked.
    assert_eq!(pod.end().await, Exit::Stopped);
    let pod = world.pod("pod-2");
    world.state(SessionState::LoggedOut).await;
    no_code_for_a_while(&mut world).await;

    assert_eq!(world.order(CommandAction::RefreshQr).await, Outcome::Done);
    assert_eq!(world.code().await.attempt, 1);
    world.scan().await;
    assert_eq!(world.order(CommandAction::RefreshQr).await, failed("already_linked"));

    assert_eq!(world.order(CommandAction::Logout).await, Outcome::Done);
    let status = world.state(SessionState::LoggedOut).await;
    assert_eq!(status.reason.as_deref(), Some("LogoutAsked"));
    assert_eq!(world.order(CommandAction::Logout).await, failed("not_linked"));
    assert_eq!(pod.end().await, Exit::Stopped);
}

/// The page makes codes all the time; a code that shows up would be there within its 5 seconds.
async fn no_code_for_a_while(world: &mut World) {
    for _ in 0..20 {
        assert_eq!(world.api.link(world.connection).await.expect("answers"), None);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(world.status().await.expect("a status").state, SessionState::LoggedOut);
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed { reason: reason.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_counted_stop_when_nobody_scans_and_start_again_when_asked() {
    let settings =
        SimulatorSettings { qr_lifetime: Duration::from_secs(3), qr_codes: 4, ..SimulatorSettings::default() };
    let mut world = World::with(settings, &[]).await;
    let pod = world.pod("pod-1");
    let first = world.code().await;
    let (mut api, connection) = (world.api.clone(), world.connection);
    let second = eventually(LONG, "another code", async || match api.link(connection).await {
        Ok(Some(code)) if code.code != first.code => Ok(code),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(second.attempt > first.attempt);
    world.state(SessionState::QrIdle).await;
    assert_eq!(world.api.link(world.connection).await.expect("answers"), None);

    assert_eq!(world.order(CommandAction::RefreshQr).await, Outcome::Done);
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
    world.simulator.pair(PHONE, &code.code).expect("paired");
    world.state(SessionState::Connected).await;
    assert_eq!(pod.end().await, Exit::Stopped);
}
