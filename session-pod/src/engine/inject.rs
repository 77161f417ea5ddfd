//! Keeps WhatsApp's page loaded and our scripts in it: looks again and again, and whenever the page has begun a new life
//! (a reload of its own, a crash, an update) waits for WhatsApp's modules to settle and injects anew.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::scripts::Scripts;
use crate::browser::cdp::CallError;
use crate::browser::page::Page;

/// The page. In production there is no other; tests lead the name elsewhere by arguments of the browser.
const URL: &str = "https://web.whatsapp.com/";
const ORIGIN: &str = "https://web.whatsapp.com";

/// Between two looks at a page that is well. Navigations wake earlier.
const LOOK: Duration = Duration::from_secs(5);
/// Longest wait for the page to say where it is. A page that computes may be late once; three times is a hang.
const LOOK_DEADLINE: Duration = Duration::from_secs(10);
const LATE_LOOKS: u32 = 3;

/// Between two questions whether WhatsApp's modules are there.
const PROBE: Duration = Duration::from_millis(250);
/// Their number must not have changed for so long. wa-js itself waits 0.75 s, which is too little when an unrelated
/// module comes first.
const SETTLED: Duration = Duration::from_secs(2);
/// Then it is tried with what is there: a module may have been renamed, and wa-js knows better than our list.
const PATIENCE: Duration = Duration::from_secs(30);

/// wa-js is half a megabyte, compiled on a busy core.
const INJECTION: Duration = Duration::from_secs(30);

/// Between two tries to load the page, doubled each time.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// What the keeper tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// A new life of the page begins; its events are numbered from 1.
    Loading,
    /// The page cannot be loaded.
    Unreachable,
    /// The page does not answer any more.
    Hangs,
}

#[derive(Deserialize)]
struct Whereabouts {
    origin: String,
    bridge: bool,
}

const WHERE: &str = "JSON.stringify({ origin: location.origin, bridge: !!window.sessionBridge })";

#[derive(Deserialize, PartialEq, Eq)]
struct Modules {
    modules: u64,
    missing: Vec<String>,
}

/// The keeper of one page.
pub(super) struct Keeper {
    pub(super) page: Page,
    pub(super) scripts: Arc<Scripts>,
    pub(super) notes: mpsc::Sender<Note>,
    /// Woken when a document begins.
    pub(super) wake: Arc<Notify>,
    /// The jitter of the next retry, from 0 to 1.
    pub(super) fraction: fn() -> f64,
}

impl Keeper {
    /// Runs until the page is hung or nobody listens any more.
    pub(super) async fn run(self) {
        let (mut late, mut retry) = (0, RETRY.0);
        while !self.notes.is_closed() {
            let pause = match self.look().await {
                Ok(place) if place.origin != ORIGIN => {
                    if self.load().await {
                        retry = RETRY.0;
                        continue;
                    }
                    let pause = retry.mul_f64(0.5 + (self.fraction)() / 2.0);
                    retry = (retry * 2).min(RETRY.1);
                    pause
                }
                Ok(place) => {
                    (late, retry) = (0, RETRY.0);
                    if !place.bridge {
                        self.inject().await;
                    }
                    LOOK
                }
                Err(CallError::Timeout(_)) => {
                    late += 1;
                    if late >= LATE_LOOKS {
                        let _ = self.notes.send(Note::Hangs).await;
                        // The page's next life is a reload or another browser.
                        late = 0;
                    }
                    PROBE
                }
                // The document changed under the question, or the renderer is gone, which others notice.
                Err(_) => PROBE,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    async fn look(&self) -> Result<Whereabouts, CallError> {
        let answer = self.page.evaluate("look", WHERE, LOOK_DEADLINE).await?;
        serde_json::from_str(answer.as_str().unwrap_or_default())
            .map_err(|_| CallError::Failed("look", "unintelligible".to_owned()))
    }

    /// Whether the page is there now.
    async fn load(&self) -> bool {
        match self.page.navigate(URL).await {
            // Slow is not gone: the next look tells.
            Ok(()) | Err(CallError::Timeout(_)) => true,
            Err(error) => {
                tracing::warn!(%error, "WhatsApp's page cannot be loaded");
                let _ = self.notes.send(Note::Unreachable).await;
                false
            }
        }
    }

    /// Waits until WhatsApp's modules have settled and injects. Gives up without a word when the document changes
    /// meanwhile: the next look begins anew.
    async fn inject(&self) {
        if self.notes.send(Note::Loading).await.is_err() {
            return;
        }
        let started = Instant::now();
        if let Err(error) = self.settle().await {
            tracing::debug!(%error, "the page changed while it settled");
            return;
        }
        match self.evaluate_all().await {
            Ok(()) => tracing::info!(after_ms = started.elapsed().as_millis(), "scripts injected"),
            Err(error) => tracing::warn!(%error, "scripts not injected"),
        }
    }

    async fn settle(&self) -> Result<(), CallError> {
        let begin = Instant::now();
        let (mut seen, mut since) = (None, begin);
        while begin.elapsed() < PATIENCE {
            let answer = self.page.evaluate("probe", &self.scripts.probe, LOOK_DEADLINE).await?;
            let now: Option<Modules> = serde_json::from_str(answer.as_str().unwrap_or_default()).ok();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            let complete = seen.as_ref().is_some_and(|modules| modules.missing.is_empty());
            if complete && since.elapsed() >= SETTLED {
                return Ok(());
            }
            tokio::time::sleep(PROBE).await;
        }
        let missing = seen.map(|modules| modules.missing).unwrap_or_default();
        tracing::warn!(?missing, "WhatsApp's modules did not settle; trying with what is there");
        Ok(())
    }

    async fn evaluate_all(&self) -> Result<(), CallError> {
        let there = self.page.evaluate("wa-js", "!!window.WPP", LOOK_DEADLINE).await?;
        if there.as_bool() != Some(true) {
            self.page.evaluate("prelude.js", &self.scripts.prelude, INJECTION).await?;
            self.page.evaluate("wa-js.js", &self.scripts.wa_js, INJECTION).await?;
        }
        self.page.evaluate("bridge.js", &self.scripts.bridge, INJECTION).await.map(drop)
    }
}
