//! The API's side against a real Redis: what it reads of hostile streams, and how it listens.
#![expect(clippy::expect_used, reason = "a test without what it stands on has failed")]

use std::time::Duration;

use futures::{Stream, StreamExt};
use harness::Redis;
use relay::{ApiRelay, ConnectionId, Endpoint, Names, Note, Offset, Undecodable, Wanted, subscribe_also};
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);
const MEGABYTE: usize = 1024 * 1024;

async fn add(redis: &mut relay::Redis, connection: ConnectionId, text: &[u8]) {
    let mut add = redis::cmd("XADD");
    add.arg(Names(connection).events()).arg("*").arg("e").arg(text).arg("p").arg("0-0");
    let _: String = add.query_async(redis).await.expect("is written");
}

/// What would be lost: an API without memory, by one pod that writes what is no event of ours.
#[tokio::test]
async fn a_reading_is_bounded_and_shows_the_beginning_of_what_is_too_large() {
    let redis = Redis::start().await;
    let connection = ConnectionId(Uuid::from_u128(1));
    let endpoint = Endpoint::new(&redis.url(), None).expect("valid");
    let (mut own, mut api) = (endpoint.connect().expect("lazy"), ApiRelay::new(endpoint.connect().expect("lazy")));
    add(&mut own, connection, &vec![b'x'; 8 * MEGABYTE]).await;
    add(&mut own, connection, &[0xff, 0xfe]).await;
    for _ in 0..40 {
        add(&mut own, connection, &vec![b'y'; MEGABYTE / 4]).await;
    }
    let (mut after, mut read, mut readings) = (Offset::START, Vec::new(), 0);
    loop {
        let entries = api.events(connection, after, 200).await.expect("is read");
        let Some(last) = entries.last() else { break };
        after = last.offset;
        let bytes: usize = entries.iter().map(|entry| entry.raw.len()).sum();
        assert!(bytes <= 5 * MEGABYTE, "{bytes} bytes at once");
        read.extend(entries);
        readings += 1;
    }
    assert_eq!(read.len(), 42, "all are read, in {readings} readings");
    assert!(readings > 1);
    let [large, broken, ..] = read.as_slice() else { panic!("two at least") };
    assert_eq!((large.size, large.raw.len()), (8 * MEGABYTE, 64 * 1024));
    assert!(matches!(large.decode(), Err(Undecodable::TooLarge(size)) if size == 8 * MEGABYTE));
    assert!(matches!(broken.decode(), Err(Undecodable::Malformed(_))));
}

async fn next(notes: &mut (impl Stream<Item = Note> + Unpin)) -> Note {
    timeout(SOON, notes.next()).await.expect("in time").expect("never ends")
}

/// What would be lost: events of a company whose first socket just came.
#[tokio::test]
async fn whoever_wants_a_channel_learns_when_it_hears_it() {
    let redis = Redis::start().await;
    let endpoint = Endpoint::new(&redis.url(), None).expect("valid");
    let mut api = ApiRelay::new(endpoint.connect().expect("lazy"));
    let (acme, globex) = ("acme".parse().expect("valid"), "globex".parse().expect("valid"));
    let wanted = watch::Sender::new(Wanted::default());
    let mut notes = subscribe_also(endpoint, vec![ApiRelay::LIVE.to_owned()], wanted.subscribe());
    assert_eq!(next(&mut notes).await, Note::Subscribed);
    let want = |version: u64, channels: &[&str]| {
        let channels = channels.iter().map(|company| format!("wa:company:{company}")).collect();
        wanted.send_replace(Wanted { version, channels });
    };
    let heard = |company: &str, payload: &str| Note::Message {
        channel: format!("wa:company:{company}"),
        payload: payload.to_owned(),
    };
    want(1, &["acme"]);
    assert_eq!(next(&mut notes).await, Note::Joined(1));
    api.publish_committed(&globex, "unheard").await.expect("is published");
    api.publish_committed(&acme, "one").await.expect("is published");
    assert_eq!(next(&mut notes).await, heard("acme", "one"));
    // Gone and back before anybody looked: the version says that it is there.
    want(2, &[]);
    want(3, &["acme", "globex"]);
    while next(&mut notes).await != Note::Joined(3) {}
    api.publish_committed(&globex, "two").await.expect("is published");
    assert_eq!(next(&mut notes).await, heard("globex", "two"));
    want(4, &["globex"]);
    assert_eq!(next(&mut notes).await, Note::Joined(4));
    api.publish_committed(&acme, "unheard").await.expect("is published");
    api.publish_committed(&globex, "three").await.expect("is published");
    assert_eq!(next(&mut notes).await, heard("globex", "three"));
}
