//! Orderly shutdown: SIGTERM or SIGINT asks every task to end, at once or after a time in which others learn of it; who
//! has not ended in time is left behind, loudly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The long-lived tasks of a process and the token that asks them to end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    token: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
}

impl Shutdown {
    /// Listens for SIGTERM and SIGINT.
    pub fn on_signal() -> std::io::Result<Self> {
        Self::on_signal_after(Duration::ZERO)
    }

    /// The same, but tasks are asked to end only when `drain` has passed since the signal, or a second one came. Until
    /// then the process serves on, and whoever sends it requests learns from its readiness that it will end.
    pub fn on_signal_after(drain: Duration) -> std::io::Result<Self> {
        let shutdown = Self::default();
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (draining, token) = (shutdown.draining.clone(), shutdown.token.clone());
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = term.recv() => "SIGTERM",
                    _ = int.recv() => "SIGINT",
                }
            };
            let name = next().await;
            tracing::info!(signal = name, ?drain, "shutting down");
            draining.cancel();
            // Whoever asks twice does not want to wait.
            let _ = tokio::time::timeout(drain, next()).await;
            token.cancel();
        });
        Ok(shutdown)
    }

    /// Cancelled when it is known that the process is to end, before anybody is asked to.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Cancelled when the process is to end.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Asks everybody to end.
    pub fn begin(&self) {
        self.draining.cancel();
        self.token.cancel();
    }

    /// Runs a task that must live as long as the process: when it ends by itself or fails, the process shuts down,
    /// because half a process that looks healthy is worse than a restart.
    pub fn spawn<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let (token, failed, handle) = (self.token.clone(), self.failed.clone(), tokio::spawn(task));
        self.tasks.spawn(async move {
            let outcome = handle.await;
            let orderly = matches!(outcome, Ok(Ok(()))) && token.is_cancelled();
            match outcome {
                Ok(Ok(())) if orderly => tracing::debug!(task = name, "ended"),
                Ok(Ok(())) => tracing::error!(task = name, "ended by itself"),
                Ok(Err(error)) => tracing::error!(task = name, %error, "failed"),
                Err(error) => tracing::error!(task = name, %error, "panicked"),
            }
            if !orderly {
                failed.store(true, Ordering::Release);
            }
            token.cancel();
        });
    }

    /// Waits for the request to end and then at most `grace` for the tasks. False when some were left behind, or one of
    /// them was the reason for the end.
    pub async fn finished(self, grace: Duration) -> bool {
        self.token.cancelled().await;
        self.tasks.close();
        let in_time = tokio::time::timeout(grace, self.tasks.wait()).await.is_ok();
        if !in_time {
            tracing::error!(left = self.tasks.len(), ?grace, "tasks did not end in time");
        }
        in_time && !self.failed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_by_itself_takes_the_process_down() {
        let shutdown = Shutdown::default();
        shutdown.spawn("worker", async { Err::<(), _>("lost its connection") });
        let ended = tokio::time::timeout(Duration::from_secs(5), shutdown.finished(Duration::from_secs(1))).await;
        assert!(!ended.expect("ends"), "the exit code must tell");
    }

    #[tokio::test]
    async fn who_does_not_listen_is_left_behind() {
        let shutdown = Shutdown::default();
        shutdown.spawn("deaf", std::future::pending::<Result<(), String>>());
        shutdown.begin();
        assert!(!shutdown.finished(Duration::from_millis(50)).await);
    }
}
