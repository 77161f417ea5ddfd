//! A subscription that never ends: lost connections are made again, and the reader is told, because what was published
//! in between is gone and must be looked up.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{Stream, StreamExt};
use redis::aio::PubSubSink;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;

use crate::endpoint::Endpoint;

/// Notes that wait for a slow reader. Past that the connection is given up (the client library would keep everything in
/// memory without end): it is made again once the reader has caught up, and everything is looked up anew, which is what
/// a slow reader needs anyway.
const QUEUE: usize = 8192;

/// First and longest wait between two tries to subscribe.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// Longest wait for a connection and for each answer to SUBSCRIBE: also a Redis that takes two seconds for each of the
/// four answers of a new connection is one.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a subscription tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Subscribed (again) to all that is wanted: whatever was published before may have been missed.
    Subscribed,
    /// Subscribed to everything that was wanted besides as of that version.
    Joined(u64),
    /// Something was published.
    Message {
        /// On which channel.
        channel: String,
        /// What.
        payload: String,
    },
}

/// Channels that come and go. Whoever changes them raises the version, and learns by it when the change is made: a
/// channel that went and came back at once might not be seen to have changed at all.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of the channels; zero when there never were any.
    pub version: u64,
    /// Their names.
    pub channels: BTreeSet<String>,
}

/// Subscribes to channels or, where they contain `*`, to patterns, for as long as the stream is kept.
pub fn subscribe(endpoint: Endpoint, channels: Vec<String>) -> impl Stream<Item = Note> + Send + Unpin {
    subscribe_also(endpoint, channels, watch::channel(Wanted::default()).1)
}

/// The same, and besides to channels that come and go.
pub fn subscribe_also(
    endpoint: Endpoint,
    always: Vec<String>,
    mut wanted: watch::Receiver<Wanted>,
) -> impl Stream<Item = Note> + Send + Unpin {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut wait = BACKOFF.0;
        // Ends when the reader has dropped its stream: sending fails, or nobody listens while we wait.
        while !sender.is_closed() {
            match listen(&endpoint, &always, &mut wanted, &sender).await {
                Ok(()) => wait = BACKOFF.0,
                Err(error) => {
                    tracing::warn!(%error, ?wait, "subscription lost");
                    wait = (wait * 2).min(BACKOFF.1);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = sender.closed() => {}
            }
        }
    });
    Box::pin(futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|note| (note, receiver))
    }))
}

/// Ok when the connection ended after it had worked, or nobody reads any more.
async fn listen(
    endpoint: &Endpoint,
    always: &[String],
    wanted: &mut watch::Receiver<Wanted>,
    sender: &mpsc::Sender<Note>,
) -> Result<(), redis::RedisError> {
    let (mut sink, mut messages) = in_time(endpoint.client()?.get_async_pubsub()).await?.split();
    for channel in always {
        if channel.contains('*') {
            in_time(sink.psubscribe(channel)).await?;
        } else {
            in_time(sink.subscribe(channel)).await?;
        }
    }
    let Wanted { version, channels: mut subscribed } = wanted.borrow_and_update().clone();
    if !subscribed.is_empty() {
        in_time(sink.subscribe(subscribed.iter().collect::<Vec<_>>())).await?;
    }
    for note in [Note::Subscribed, Note::Joined(version)] {
        if note != Note::Joined(0) && sender.send(note).await.is_err() {
            return Ok(());
        }
    }
    loop {
        // Messages first: what was wanted counts as joined only after what came before was passed on.
        let message = tokio::select! {
            biased;
            message = messages.next() => message,
            () = sender.closed() => None,
            Ok(()) = wanted.changed() => {
                let Wanted { version, channels } = wanted.borrow_and_update().clone();
                change(&mut sink, &subscribed, &channels).await?;
                subscribed = channels;
                if sender.send(Note::Joined(version)).await.is_err() {
                    return Ok(());
                }
                continue;
            }
        };
        let Some(message) = message else { return Ok(()) };
        let payload = message.get_payload().unwrap_or_default();
        let note = Note::Message { channel: message.get_channel_name().to_owned(), payload };
        match sender.try_send(note) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Ok(()),
            Err(TrySendError::Full(_)) => {
                tracing::warn!(queue = QUEUE, "what was published is not read: subscribing anew");
                return Ok(());
            }
        }
    }
}

/// From one set of channels to another.
async fn change(
    sink: &mut PubSubSink,
    before: &BTreeSet<String>,
    now: &BTreeSet<String>,
) -> Result<(), redis::RedisError> {
    let (gone, new): (Vec<_>, Vec<_>) = (before.difference(now).collect(), now.difference(before).collect());
    if !gone.is_empty() {
        in_time(sink.unsubscribe(gone)).await?;
    }
    if !new.is_empty() {
        in_time(sink.subscribe(new)).await?;
    }
    Ok(())
}

async fn in_time<T>(call: impl Future<Output = Result<T, redis::RedisError>>) -> Result<T, redis::RedisError> {
    tokio::time::timeout(DEADLINE, call)
        .await
        .unwrap_or_else(|_| Err((redis::ErrorKind::Io, "no answer in time").into()))
}
