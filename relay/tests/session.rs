//! The relay against a real Redis: what a session may do, what it may not, and what survives which failure.
#![expect(clippy::expect_used, clippy::panic, reason = "a test without what it stands on has failed")]

use std::time::Duration;

use harness::{Redis, eventually};
use jiff::Timestamp;
use relay::{
    Ack, Acquired, ApiRelay, COMMANDS_AT_ONCE, Command, CommandAction, CompanyId, ConnectionId, Credentials, Endpoint,
    Event, Lease, Names, Offset, OperatorRelay, RelayError, SessionRelay,
};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn id(n: u128) -> ConnectionId {
    ConnectionId(Uuid::from_u128(n))
}

fn admin(redis: &Redis) -> relay::Redis {
    Endpoint::new(&redis.url(), None).expect("valid").connect().expect("lazy")
}

/// A connection as the session's own user, made by the operator's side.
async fn session_of(redis: &Redis, connection: ConnectionId) -> relay::Redis {
    let credentials = Credentials::of_session(connection, format!("password-of-{connection}"));
    OperatorRelay::new(admin(redis)).allow(connection, &[credentials.password()]).await.expect("user is made");
    Endpoint::new(&redis.url(), Some(&credentials)).expect("valid").connect().expect("lazy")
}

async fn held(redis: &mut relay::Redis, connection: ConnectionId, holder: &str) -> Lease {
    match Lease::acquire(redis, connection, holder, None).await.expect("Redis answers") {
        Acquired::Held(lease) => lease,
        Acquired::HeldByOther { left, .. } => panic!("held by another for {left:?}"),
    }
}

/// The lease that another pod than this one has, and for how long.
async fn held_by_other(redis: &mut relay::Redis, holder: &str) -> (String, Duration) {
    match Lease::acquire(redis, id(1), holder, None).await.expect("Redis answers") {
        Acquired::HeldByOther { left, value } => (value, left),
        Acquired::Held(lease) => panic!("{lease:?}"),
    }
}

fn ack(n: u8) -> Event {
    let message = format!("true_5511999999999@c.us_3EB0{n:02X}").parse().expect("valid");
    Event::Ack(Ack { id: message, ack: 2 })
}

#[tokio::test]
async fn whoever_lost_the_leadership_changes_nothing_in_redis() {
    let redis = Redis::start().await;
    let mut leader = OperatorRelay::new(admin(&redis));
    leader.allow(id(1), &["password"]).await.expect("is made");
    let mut deposed = OperatorRelay::new(admin(&redis)).changing_while(|| false);
    assert!(matches!(deposed.allow(id(1), &["another"]).await, Err(RelayError::MayNotChange)));
    assert!(matches!(deposed.allow(id(2), &["another"]).await, Err(RelayError::MayNotChange)));
    assert!(matches!(deposed.forget(id(1)).await, Err(RelayError::MayNotChange)));
    assert_eq!(leader.users().await.expect("answers"), [id(1)].into());
    assert_eq!(leader.admits(id(1), &["password"]).await.expect("answers"), Some(true));
}

#[tokio::test]
async fn whether_a_password_lets_a_session_in_is_known_without_trying_it() {
    let redis = Redis::start().await;
    let mut operator = OperatorRelay::new(admin(&redis));
    assert_eq!(operator.admits(id(1), &["any"]).await.expect("answers"), None);
    operator.allow(id(1), &["new", "old"]).await.expect("is made");
    for (password, admitted) in [("new", true), ("old", true), ("another", false)] {
        assert_eq!(operator.admits(id(1), &[password]).await.expect("answers"), Some(admitted), "{password}");
    }
}

#[tokio::test]
async fn only_who_is_trusted_may_have_signed_redis_certificate() {
    let ((redis, authority), (_other, another)) = tokio::join!(Redis::start_with_tls(), Redis::start_with_tls());
    let trusting = async |authority: &str| {
        let authorities = authority.parse().expect("PEM, or nothing");
        let endpoint = Endpoint::new(&redis.tls_url(), None).and_then(|endpoint| endpoint.trusting(authorities));
        let redis = endpoint.and_then(|endpoint| endpoint.connect()).expect("valid");
        OperatorRelay::new(redis).allow(id(1), &["password"]).await
    };
    trusting(&authority).await.expect("Redis answers");
    for (untrusted, who) in [(another.as_str(), "another authority"), ("", "the public ones")] {
        assert!(trusting(untrusted).await.is_err(), "{who}");
    }
}

#[tokio::test]
async fn a_session_writes_what_the_api_reads_and_each_event_names_the_one_before() {
    let redis = Redis::start().await;
    let mut own = session_of(&redis, id(1)).await;
    let lease = held(&mut own, id(1), "pod-a").await;
    let mut session = SessionRelay::new(own, id(1), &lease);
    let mut api = ApiRelay::new(admin(&redis));
    let first = session.append(&ack(1), NOW).await.expect("is written");
    let second = session.append(&ack(2), NOW).await.expect("is written");

    let read = api.events(id(1), Offset::START, 10).await.expect("is read");
    let chain: Vec<_> = read.iter().map(|entry| (entry.previous, entry.offset)).collect();
    assert_eq!(chain, [(Offset::START, first), (first, second)]);
    assert_eq!(read[1].decode().expect("is ours").payload, ack(2));

    api.trim(id(1), second).await.expect("is trimmed");
    assert!(api.events(id(1), Offset::START, 10).await.expect("is read").is_empty());
    let third = session.append(&ack(3), NOW).await.expect("is written");
    let read = api.events(id(1), second, 10).await.expect("is read");
    assert_eq!((read[0].previous, read[0].offset), (second, third), "the chain holds over a trim");
}

#[tokio::test]
async fn a_session_reaches_nothing_but_its_own() {
    let redis = Redis::start().await;
    let mut mine = session_of(&redis, id(1)).await;
    let mut theirs = session_of(&redis, id(2)).await;
    let lease = held(&mut theirs, id(2), "pod-b").await;
    SessionRelay::new(theirs, id(2), &lease).append(&ack(1), NOW).await.expect("is written");
    let other = Names(id(2));
    let company: CompanyId = "acme".parse().expect("valid");
    let tries: Vec<Vec<String>> = vec![
        vec!["GET".into(), other.status()],
        vec!["XADD".into(), other.events(), "*".into(), "e".into(), "forged".into()],
        vec!["XREAD".into(), "STREAMS".into(), other.commands(), "0".into()],
        vec!["EVAL".into(), "return redis.call('GET', KEYS[1])".into(), "1".into(), other.lease()],
        vec!["EVAL".into(), format!("return redis.call('DEL', '{}')", other.events()), "0".into()],
        vec!["PUBLISH".into(), other.live_channel(), "forged".into()],
        vec!["PUBLISH".into(), relay::company_channel(&company), "forged".into()],
        vec!["KEYS".into(), "*".into()],
        vec!["SCAN".into(), "0".into()],
        vec!["ACL".into(), "LIST".into()],
        vec!["CONFIG".into(), "GET".into(), "*".into()],
        vec!["FLUSHALL".into()],
        vec!["CLIENT".into(), "LIST".into()],
    ];
    for words in tries {
        let answer: Result<redis::Value, _> = redis::cmd(&words[0]).arg(&words[1..]).query_async(&mut mine).await;
        let refused = answer.expect_err(&format!("{words:?} must be refused")).to_string();
        assert!(
            ["NOPERM", "permissions", "can't access"].iter().any(|word| refused.contains(word)),
            "{words:?}: {refused}"
        );
    }
}

#[tokio::test]
async fn one_holder_at_a_time_and_whoever_was_overtaken_is_refused() {
    let redis = Redis::start().await;
    let mut own = session_of(&redis, id(1)).await;
    let first = held(&mut own, id(1), "pod-a").await;
    let (seen, left) = held_by_other(&mut own, "pod-b").await;
    assert!(seen.starts_with("pod-a#") && left > Duration::ZERO);

    let again = held(&mut own, id(1), "pod-a").await;
    assert!(again.fence > first.fence, "a restarted process gets a fence of its own");
    assert!(matches!(first.renew(&mut own).await, Err(RelayError::Fenced { mine }) if mine == first.fence));
    let renewed_at = again.renew(&mut own).await.expect("is held");
    // Deadlines are judged by it.
    assert!(first.taken_at <= again.taken_at && again.taken_at <= renewed_at);
    let (seconds, _): (i64, i64) = redis::cmd("TIME").query_async(&mut admin(&redis)).await.expect("answers");
    assert!((seconds - renewed_at.as_second()).abs() <= 1, "{seconds} {renewed_at}");

    let mut overtaken = SessionRelay::new(own.clone(), id(1), &first);
    assert!(matches!(overtaken.append(&ack(1), NOW).await, Err(RelayError::Fenced { .. })));
    assert!(matches!(overtaken.set_link(None, NOW).await, Err(RelayError::Fenced { .. })));
    assert!(matches!(overtaken.finish(Offset::START).await, Err(RelayError::Fenced { .. })));
    first.release(&mut own).await.expect("nothing happens");
    again.renew(&mut own).await.expect("is still held");

    again.release(&mut own).await.expect("is given back");
    held(&mut own, id(1), "pod-b").await;
}

/// What becomes of a lease when Redis' clock is set by so many hours, forward or back.
async fn set_the_clock(redis: &Redis, hours: i64) {
    let mut client = admin(redis);
    let left: i64 = redis::cmd("PTTL").arg(Names(id(1)).lease()).query_async(&mut client).await.expect("answers");
    let mut expire = redis::cmd("PEXPIRE");
    expire.arg(Names(id(1)).lease()).arg(left - hours * 3_600_000);
    expire.query_async::<()>(&mut client).await.expect("answers");
}

/// What would be lost: the promise of one pod at work for an account, when a lease ends though its holder renews it.
#[tokio::test]
async fn a_lease_that_ran_out_says_whether_its_holder_must_have_stopped() {
    let redis = Redis::start().await;
    let mut own = session_of(&redis, id(1)).await;
    let first = held(&mut own, id(1), "pod-a").await;
    assert_eq!(first.not_given_back, None, "nobody was there");

    set_the_clock(&redis, 1).await;
    first.renew(&mut own).await.expect("nobody else has taken it");
    let (seen, _) = held_by_other(&mut own, "pod-b").await;
    first.renew(&mut own).await.expect("is held");
    let taken = Lease::take_over(&mut own, id(1), "pod-b", &seen).await;
    assert!(matches!(taken, Ok(Acquired::HeldByOther { value, .. }) if value != seen), "each renewal is seen");
    set_the_clock(&redis, 1).await;
    let second = held(&mut own, id(1), "pod-b").await;
    let last = second.not_given_back.clone().expect("the first may not know it yet");
    assert!(last.starts_with("pod-a#") && last != seen, "with its last renewal: {last}");
    assert!(matches!(first.renew(&mut own).await, Err(RelayError::Fenced { .. })));
    let second = held(&mut own, id(1), "pod-b").await;
    assert_eq!(second.not_given_back.as_ref(), Some(&last), "to be started anew changes nothing about that");
    set_the_clock(&redis, 1).await;
    assert!(matches!(second.renew(&mut own).await, Err(RelayError::Fenced { .. })), "who is not confirmed has nothing");
    let second = held(&mut own, id(1), "pod-b").await;
    second.confirm(&mut own).await.expect("is held");
    set_the_clock(&redis, 1).await;
    second.renew(&mut own).await.expect("nobody else has taken it");

    set_the_clock(&redis, -1).await;
    let (seen, left) = held_by_other(&mut own, "pod-c").await;
    assert!(left > Lease::TIME_TO_LIVE, "{left:?}");
    assert_eq!(OperatorRelay::new(admin(&redis)).lease_holder(id(1)).await.expect("answers"), None, "nobody knows");
    let taken = Lease::take_over(&mut own, id(1), "pod-c", &seen).await;
    let Ok(Acquired::Held(third)) = taken else { panic!("is not taken") };
    assert!(third.fence > second.fence);
    assert_eq!(third.not_given_back, Some(seen));
    assert!(matches!(second.confirm(&mut own).await, Err(RelayError::Fenced { .. })));
    third.release(&mut own).await.expect("is given back");
    let fourth = held(&mut own, id(1), "pod-d").await;
    assert!(
        fourth.not_given_back.as_ref().is_some_and(|last| last.starts_with("pod-b#")),
        "the third never outlasted it"
    );
    fourth.confirm(&mut own).await.expect("is held");
    // What ran out by the clock is given back all the same.
    set_the_clock(&redis, 1).await;
    fourth.release(&mut own).await.expect("is given back");
    assert_eq!(held(&mut own, id(1), "pod-e").await.not_given_back, None);
}

/// What would be lost: the same promise, when Redis loses its data while a pod waits for another.
#[tokio::test]
async fn who_saw_another_pod_at_work_knows_more_than_a_redis_that_lost_its_data() {
    let redis = Redis::start().await;
    let mut own = session_of(&redis, id(1)).await;
    held(&mut own, id(1), "pod-a").await;
    let (seen, _) = held_by_other(&mut own, "pod-b").await;
    redis::cmd("FLUSHALL").query_async::<()>(&mut admin(&redis)).await.expect("answers");
    for _ in 0..2 {
        // Also when the answer to the first was lost.
        let taken = Lease::acquire(&mut own, id(1), "pod-b", Some(&seen)).await;
        let Ok(Acquired::Held(second)) = taken else { panic!("it is free") };
        assert!(second.not_given_back.is_some_and(|last| last != seen), "when that one renewed last is not known");
    }
}

#[tokio::test]
async fn a_command_stays_until_it_is_finished_and_one_that_cannot_be_read_stops_nobody() {
    let redis = Redis::start().await;
    let mut own = session_of(&redis, id(1)).await;
    let lease = held(&mut own, id(1), "pod-a").await;
    let mut session = SessionRelay::new(own, id(1), &lease);
    let mut api = ApiRelay::new(admin(&redis));
    let command = Command { id: Uuid::from_u128(9), deadline: NOW, action: CommandAction::RefreshQr, trace: None };
    let _: String = redis::cmd("XADD")
        .arg(Names(id(1)).commands())
        .arg(&["*", "c", r#"{"v":1,"kind":"command","at":"1970-01-01T00:00:00Z","body":{"id":"later version"}}"#])
        .query_async(&mut admin(&redis))
        .await
        .expect("is written");
    api.send(id(1), command.clone(), NOW).await.expect("is sent");
    for _ in 0..2 {
        let waiting = session.commands(Offset::START).await.expect("is read");
        assert!(waiting[0].1.is_err());
        assert_eq!(waiting[1].1.as_ref().expect("is ours"), &command, "a crash would have lost it");
    }
    for (offset, _) in session.commands(Offset::START).await.expect("is read") {
        session.finish(offset).await.expect("is finished");
    }
    assert!(session.commands(Offset::START).await.expect("is read").is_empty());
}

#[tokio::test]
async fn commands_that_must_wait_hide_none_that_came_later() {
    let redis = Redis::start().await;
    let mut own = session_of(&redis, id(1)).await;
    let lease = held(&mut own, id(1), "pod-a").await;
    let mut session = SessionRelay::new(own, id(1), &lease);
    let mut api = ApiRelay::new(admin(&redis));
    let ids: Vec<_> = (0..u128::try_from(COMMANDS_AT_ONCE).expect("small") + 3).map(Uuid::from_u128).collect();
    for id_of_command in &ids {
        let command = Command { id: *id_of_command, deadline: NOW, action: CommandAction::RefreshQr, trace: None };
        api.send(id(1), command, NOW).await.expect("is sent");
    }
    let first = session.commands(Offset::START).await.expect("is read");
    let rest = session.commands(first.last().expect("some").0).await.expect("is read");
    let read: Vec<_> = first.iter().chain(&rest).map(|(_, command)| command.as_ref().expect("ours").id).collect();
    assert_eq!((read, first.len()), (ids, COMMANDS_AT_ONCE));
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_restart_of_redis_and_so_does_the_connection() {
    let mut redis = Redis::start().await;
    let mut own = session_of(&redis, id(1)).await;
    let lease = held(&mut own, id(1), "pod-a").await;
    let mut session = SessionRelay::new(own, id(1), &lease);
    session.append(&ack(1), NOW).await.expect("is written");
    let mut operator = OperatorRelay::new(admin(&redis));
    redis.restart().await;
    // The users are made again by the operator where Redis has lost them.
    let credentials = Credentials::of_session(id(1), format!("password-of-{}", id(1)));
    eventually(Duration::from_secs(10), "Redis to take the user", async || {
        operator.allow(id(1), &[credentials.password()]).await
    })
    .await;
    eventually(Duration::from_secs(10), "the session to write again", async || session.append(&ack(2), NOW).await)
        .await;
    let read = ApiRelay::new(admin(&redis)).events(id(1), Offset::START, 10).await.expect("is read");
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].decode().expect("is ours").header.fence, lease.fence);
}

/// What would be lost: everything that a session says after Redis lost its data, or came back from a backup, for the API
/// takes a smaller fence for that of an overtaken pod.
#[tokio::test]
async fn a_redis_that_forgot_gives_out_no_fence_again() {
    let redis = Redis::start().await;
    let (mut admin, clock) = (admin(&redis), async |redis: &mut relay::Redis| {
        let (seconds, microseconds): (u64, u64) = redis::cmd("TIME").query_async(redis).await.expect("Redis answers");
        seconds * 1000 + microseconds / 1000
    });
    let first = held(&mut admin, id(1), "pod-a").await;
    let again = held(&mut admin, id(1), "pod-a").await;
    eventually(Duration::from_secs(10), "a later millisecond", async || match clock(&mut admin.clone()).await {
        now if now > again.fence.0 => Ok(()),
        now => Err(now),
    })
    .await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut admin).await.expect("Redis forgets");
    let after = held(&mut admin, id(1), "pod-b").await;
    assert!(first.fence < again.fence && again.fence < after.fence, "{again:?}, then {after:?}");
}

#[tokio::test]
async fn nothing_is_left_of_a_forgotten_connection() {
    let redis = Redis::start().await;
    for n in [1, 2] {
        let mut own = session_of(&redis, id(n)).await;
        let lease = held(&mut own, id(n), "pod").await;
        SessionRelay::new(own, id(n), &lease).append(&ack(1), NOW).await.expect("is written");
    }
    let mut operator = OperatorRelay::new(admin(&redis));
    operator.forget(id(1)).await.expect("is forgotten");
    assert_eq!(operator.known().await.expect("is read"), [id(2)].into());
}

/// What would be lost: every session of a Redis that came back without its users, although the operator gives them back.
#[tokio::test]
async fn a_connection_that_was_refused_once_is_let_in_when_its_user_is_there() {
    let redis = Redis::start().await;
    let credentials = Credentials::of_session(id(1), "password-of-1".to_owned());
    let mut own = Endpoint::new(&redis.url(), Some(&credentials)).expect("valid").connect().expect("lazy");
    let mut clone = own.clone();
    let refused = Lease::acquire(&mut own, id(1), "pod-a", None).await;
    assert!(matches!(refused, Err(RelayError::Redis(_))), "nobody knows the user yet");
    OperatorRelay::new(admin(&redis)).allow(id(1), &[credentials.password()]).await.expect("user is made");
    held(&mut own, id(1), "pod-a").await;
    held(&mut clone, id(1), "pod-a").await;
}

/// What would be lost: Redis' time, which writing the file of all users takes for each of them; and every session of a Redis
/// that is started again from a file that was not written.
#[tokio::test]
async fn users_are_written_to_the_file_together_when_they_change_until_that_succeeds() {
    let redis = Redis::start().await;
    let mut operator = OperatorRelay::new(admin(&redis));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let keeper = tokio::spawn(operator.clone().keep_users(async { drop(stopped.await) }));
    let file = redis.directory().join("users.acl");
    let in_file = |n| std::fs::read_to_string(&file).is_ok_and(|users| users.contains(&id(n).to_string()));
    let written = async |there: &(dyn Fn() -> bool + Sync)| {
        eventually(Duration::from_secs(20), "the file", async || if there() { Ok(()) } else { Err("is behind") }).await;
    };
    let saves = async || {
        let stats: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut admin(&redis)).await.expect("answers");
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_acl|save:calls=")?.split(',').next());
        calls.and_then(|calls| calls.parse::<u32>().ok()).expect("was called")
    };
    for n in 1..=20 {
        operator.allow(id(n), &["first"]).await.expect("user is made");
    }
    written(&|| (1..=20).all(in_file) && operator.unsaved().is_empty()).await;
    let so_far = saves().await;
    assert!(so_far < 10, "{so_far} for 20 users");
    operator.allow(id(1), &["first"]).await.expect("is as it was");
    assert!(operator.unsaved().is_empty(), "nothing has changed");

    // A file that cannot be replaced: the disk may as well be full.
    std::fs::remove_file(&file).expect("is removed");
    std::fs::create_dir(&file).expect("is in the way");
    operator.allow(id(21), &["first"]).await.expect("user is made");
    let tried =
        async || if saves().await > so_far && operator.unsaved().contains(&id(21)) { Ok(()) } else { Err("no") };
    eventually(Duration::from_secs(20), "a try that failed", tried).await;
    // It may have failed because Redis was started anew, without what was set.
    let in_doubt = async || match operator.take_doubtful(false) {
        doubtful if doubtful == [id(21)].into() => Ok(()),
        other => Err(format!("{other:?}")),
    };
    eventually(Duration::from_secs(20), "the user to be in doubt", in_doubt).await;
    assert!(operator.take_doubtful(false).is_empty(), "told once, or whatever is set would be in doubt all the time");
    operator.allow(id(22), &["first"]).await.expect("user is made");
    assert!(operator.take_doubtful(true).contains(&id(22)), "not written when Redis was restarted");
    std::fs::remove_dir(&file).expect("is removed");
    written(&|| in_file(21) && in_file(22)).await;

    operator.forget(id(1)).await.expect("is forgotten");
    drop(stop);
    keeper.await.expect("ends");
    assert!(!in_file(1) && in_file(2), "the last change is written, too");
}
