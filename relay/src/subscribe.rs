//! A subscription that never ends: lost connections are made again, and the reader is told, because what was published
//! in between is gone and must be looked up.

use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::sync::mpsc;

use crate::endpoint::Endpoint;

/// Notes that wait for a slow reader. Past that the subscription itself waits, and Redis in the end drops it: then
/// everything is looked up anew, which is what a slow reader needs anyway.
const QUEUE: usize = 1024;

/// First and longest wait between two tries to subscribe.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Longest wait for a connection and for each answer to SUBSCRIBE.
const DEADLINE: Duration = Duration::from_secs(5);

/// What a subscription tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Subscribed (again): whatever was published before may have been missed.
    Subscribed,
    /// Something was published.
    Message {
        /// On which channel.
        channel: String,
        /// What.
        payload: String,
    },
}

/// Subscribes to channels or, where they contain `*`, to patterns, for as long as the stream is kept.
pub fn subscribe(endpoint: Endpoint, channels: Vec<String>) -> impl Stream<Item = Note> + Send + Unpin {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut wait = BACKOFF.0;
        // Ends when the reader has dropped its stream: sending fails, or nobody listens while we wait.
        while !sender.is_closed() {
            match listen(&endpoint, &channels, &sender).await {
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
    channels: &[String],
    sender: &mpsc::Sender<Note>,
) -> Result<(), redis::RedisError> {
    let mut pubsub = in_time(endpoint.client()?.get_async_pubsub()).await?;
    for channel in channels {
        if channel.contains('*') {
            in_time(pubsub.psubscribe(channel)).await?;
        } else {
            in_time(pubsub.subscribe(channel)).await?;
        }
    }
    if sender.send(Note::Subscribed).await.is_err() {
        return Ok(());
    }
    let mut messages = pubsub.on_message();
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            () = sender.closed() => None,
        };
        let Some(message) = message else { return Ok(()) };
        let payload = message.get_payload().unwrap_or_default();
        let note = Note::Message { channel: message.get_channel_name().to_owned(), payload };
        if sender.send(note).await.is_err() {
            return Ok(());
        }
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, redis::RedisError>>) -> Result<T, redis::RedisError> {
    tokio::time::timeout(DEADLINE, call)
        .await
        .unwrap_or_else(|_| Err((redis::ErrorKind::Io, "no answer in time").into()))
}
