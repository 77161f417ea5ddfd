//! Writes the newest status and the newest link code to Redis. What is replaced before it was written is never written:
//! both are snapshots. And sends what is in the journal, which is not.

use std::time::Duration;

use futures::FutureExt as _;
use relay::{LinkCode, RelayError, SessionRelay, SessionStatus};
use runtime::ambient::{now, random_fraction};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::journal::Journal;
use crate::lease::Lost;
use crate::metrics;

/// First and longest pause after Redis did not answer.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What the last words of a session may take.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// What is to stand in Redis.
pub struct Snapshots {
    /// The newest status.
    pub status: watch::Receiver<Option<SessionStatus>>,
    /// The code that is shown.
    pub link: watch::Receiver<Option<LinkCode>>,
}

/// Keeps both snapshots in Redis until `stop`, and writes the last ones after it.
pub async fn publish(mut relay: SessionRelay, mut snapshots: Snapshots, stop: CancellationToken) -> Result<(), Lost> {
    // An earlier process may have left a code that nobody can use any more.
    snapshots.link.mark_changed();
    let mut pause = BACKOFF.0;
    loop {
        let outcome = tokio::select! {
            biased;
            changed = snapshots.link.changed() => match changed {
                Ok(()) => write_link(&mut relay, &mut snapshots.link).await,
                Err(_) => return last_words(relay, snapshots).await,
            },
            changed = snapshots.status.changed() => match changed {
                Ok(()) => write_status(&mut relay, &mut snapshots.status).await,
                Err(_) => return last_words(relay, snapshots).await,
            },
            () = stop.cancelled() => return last_words(relay, snapshots).await,
        };
        match outcome {
            Ok(()) => pause = BACKOFF.0,
            Err(RelayError::Fenced { .. }) => return Err(Lost::Fenced),
            Err(error) => {
                metrics::REDIS_ERRORS.count(["snapshot"]);
                tracing::warn!(%error, "Redis did not take a snapshot");
                pause = rest(pause, &stop).await;
            }
        }
    }
}

/// What changed since it was last written, with a deadline: the pod is ending. The supervisor may have ended already: why
/// it did is just what must not be lost.
async fn last_words(mut relay: SessionRelay, mut snapshots: Snapshots) -> Result<(), Lost> {
    let words = async {
        if is_unwritten(&mut snapshots.link) {
            write_link(&mut relay, &mut snapshots.link).await?;
        }
        if is_unwritten(&mut snapshots.status) {
            write_status(&mut relay, &mut snapshots.status).await?;
        }
        Ok::<_, RelayError>(())
    };
    match tokio::time::timeout(LAST_WORDS, words).await {
        Ok(Err(RelayError::Fenced { .. })) => Err(Lost::Fenced),
        _ => Ok(()),
    }
}

/// Not `has_changed`, which knows nothing of a value whose sender is gone.
fn is_unwritten<T>(snapshot: &mut watch::Receiver<T>) -> bool {
    snapshot.changed().now_or_never().is_some_and(|changed| changed.is_ok())
}

async fn write_status(
    relay: &mut SessionRelay,
    status: &mut watch::Receiver<Option<SessionStatus>>,
) -> Result<(), RelayError> {
    let Some(newest) = status.borrow_and_update().clone() else { return Ok(()) };
    let written = relay.set_status(&newest, now()).await;
    if written.is_err() {
        status.mark_changed();
    }
    written
}

async fn write_link(relay: &mut SessionRelay, link: &mut watch::Receiver<Option<LinkCode>>) -> Result<(), RelayError> {
    let now = now();
    // One that came too late for Redis is of no use to anybody.
    let newest = link.borrow_and_update().clone().filter(|code| code.expires_at > now);
    let written = relay.set_link(newest.as_ref(), now).await;
    if written.is_err() {
        link.mark_changed();
    }
    written
}

/// Sends the journal's events in order until `stop`, and what is left then for a moment longer.
pub async fn send(mut relay: SessionRelay, journal: Journal, stop: CancellationToken) -> Result<(), Lost> {
    let sending = send_all(&mut relay, &journal, &stop);
    tokio::select! {
        lost = sending => return lost,
        () = stop.cancelled() => {}
    }
    let rest = async {
        while !journal.is_empty() {
            match send_next(&mut relay, &journal).await {
                Ok(()) => {}
                Err(RelayError::Fenced { .. }) => return Err(Lost::Fenced),
                // The next process sends it.
                Err(_) => break,
            }
        }
        Ok(())
    };
    tokio::time::timeout(LAST_WORDS, rest).await.unwrap_or(Ok(()))
}

async fn send_all(relay: &mut SessionRelay, journal: &Journal, stop: &CancellationToken) -> Result<(), Lost> {
    let mut pause = BACKOFF.0;
    loop {
        match send_next(relay, journal).await {
            Ok(()) => pause = BACKOFF.0,
            Err(RelayError::Fenced { .. }) => return Err(Lost::Fenced),
            Err(error) => {
                metrics::REDIS_ERRORS.count(["event"]);
                tracing::warn!(%error, "Redis did not take an event; it is kept");
                pause = rest(pause, stop).await;
            }
        }
    }
}

/// Sends one event. An answer that was lost makes it a second entry in the stream, which its id shows to be the same.
async fn send_next(relay: &mut SessionRelay, journal: &Journal) -> Result<(), RelayError> {
    let record = journal.next().await;
    match relay.append_traced(&record.event, record.at, record.trace).await {
        Ok(_) => {}
        Err(RelayError::Encode(error)) => tracing::error!(%error, "an event cannot be sent at all and is dropped"),
        Err(error) => return Err(error),
    }
    journal.sent();
    Ok(())
}

/// Pauses, and gives the next pause.
async fn rest(pause: Duration, stop: &CancellationToken) -> Duration {
    let jittered = pause.mul_f64(0.5 + random_fraction() / 2.0);
    tokio::select! {
        () = tokio::time::sleep(jittered) => {}
        () = stop.cancelled() => {}
    }
    (pause * 2).min(BACKOFF.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_word_is_unwritten_until_it_is_read_also_when_its_speaker_is_gone() {
        let (speaker, mut snapshot) = watch::channel(0);
        assert!(!is_unwritten(&mut snapshot));
        speaker.send_replace(1);
        drop(speaker);
        assert!(is_unwritten(&mut snapshot));
        assert_eq!(*snapshot.borrow_and_update(), 1);
        assert!(!is_unwritten(&mut snapshot));
    }
}
