//! Keeps WhatsApp's page loaded and our scripts in it: looks again and again, and whenever the page has begun a new life
//! (a reload of its own, a crash, an update) waits for WhatsApp's modules to settle and injects anew. Asks the bridge
//! where it stands, which finds what no event has told, and notices when the page does not answer.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::contract::{Options, State};
use super::elsewhere::{Elsewhere, Load};
use super::failed::Failed;
use super::scripts::Scripts;
use super::web::Bridge;
use super::{EngineError, decode};
use crate::browser::cdp::CallError;
use crate::browser::page::Page;

/// The page. In production there is no other; tests lead the name elsewhere by arguments of the browser.
const URL: &str = "https://web.whatsapp.com/";
const ORIGIN: &str = "https://web.whatsapp.com";

/// Between two looks at a page that is well. Navigations wake earlier.
const LOOK: Duration = Duration::from_secs(5);
/// Longest wait for the page to say where it is. A page that computes may be late once; three times is a hang.
const LOOK_DEADLINE: Duration = Duration::from_secs(7);
const LATE_LOOKS: u32 = 3;

/// Between two questions to the bridge where it stands. It tells of changes by itself.
const ASK: Duration = Duration::from_secs(10);
/// Questions without any answer after which the page counts as hung: 10 s until the first, 8 s each, 5 s between.
const UNANSWERED: u32 = 2;

/// Between two questions whether WhatsApp's modules are there.
const PROBE: Duration = Duration::from_millis(250);
/// Their number must not have changed for so long. wa-js itself waits 0.75 s, which is too little when an unrelated
/// module comes first.
const SETTLED: Duration = Duration::from_secs(2);
/// Times the patience that modules may come, one after the other: a slow proxy is not a page that has changed.
const LONGEST: u32 = 6;
/// Times the patience that wa-js has to get ready, when it has been injected.
const READY: u32 = 2;

/// Times the patience that a page may answer and not decide where it stands with WhatsApp. One that cannot read its own
/// databases never does.
const STUCK: u32 = 6;

/// wa-js is half a megabyte, compiled on a busy core.
const INJECTION: Duration = Duration::from_secs(30);

/// What the keeper tells.
#[derive(Debug)]
pub(super) enum Note {
    /// A new life of the page begins, which has this number; its events are numbered from 1.
    Loading(u64),
    /// Where the page stands.
    State(State),
    /// The page cannot be loaded.
    Unreachable,
    /// The page does not answer any more.
    Hangs,
    /// The page answers, and gets nowhere.
    Stuck,
    /// This script cannot be brought into the page.
    Unfit(&'static str),
}

#[derive(Deserialize)]
struct Whereabouts {
    origin: String,
    /// Of the bridge in the page; 0 when there is none.
    life: u64,
    /// When the document began: another one has another time.
    document: f64,
}

const WHERE: &str = "JSON.stringify({ origin: location.origin, life: window.sessionBridge?.life ?? 0, \
                     document: performance.timeOrigin })";

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
    /// Without any new module for so long, it is tried with what is there: a module may have been renamed, and wa-js
    /// knows better than our list.
    pub(super) patience: Duration,
}

/// What the keeper remembers from one look to the next.
struct Watch {
    /// The number of the page's life. Grows with every injection.
    life: u64,
    /// Looks in a row that came too late.
    late: u32,
    /// Questions in a row without any answer.
    unanswered: u32,
    asked: Instant,
    /// When the page last knew where it stands, or began.
    decided: Instant,
    elsewhere: Elsewhere,
    failed: Failed,
}

impl Watch {
    fn new() -> Self {
        let (asked, decided) = (Instant::now(), Instant::now());
        let (elsewhere, failed) = (Elsewhere::default(), Failed::never());
        Self { life: 0, late: 0, unanswered: 0, asked, decided, elsewhere, failed }
    }
}

impl Keeper {
    /// Runs until nobody listens any more.
    pub(super) async fn run(self) {
        let mut watch = Watch::new();
        while !self.notes.is_closed() {
            let pause = self.turn(&mut watch).await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// One look, and what follows from it. Gives the pause until the next.
    async fn turn(&self, watch: &mut Watch) -> Duration {
        match self.look().await {
            Ok(place) if place.origin != ORIGIN => {
                // A document that begins wakes earlier, also one of a portal that we are led to.
                let left = watch.elsewhere.rests(Instant::now());
                if !left.is_zero() {
                    return left;
                }
                let loaded = self.load().await;
                let (pause, unreachable) = watch.elsewhere.after(loaded, Instant::now(), (self.fraction)());
                if unreachable {
                    let _ = self.notes.send(Note::Unreachable).await;
                }
                pause
            }
            Ok(place) => {
                (watch.late, watch.elsewhere) = (0, Elsewhere::default());
                if place.life == 0 && watch.failed.rests(place.document, Instant::now()) {
                    return LOOK;
                }
                if place.life == 0 || place.life != watch.life {
                    watch.life = watch.life.saturating_add(1);
                    watch.unanswered = 0;
                    self.inject(watch, place.document).await;
                    (watch.asked, watch.decided) = (Instant::now(), Instant::now());
                } else if watch.asked.elapsed() >= ASK || watch.unanswered > 0 {
                    self.ask(watch).await;
                }
                LOOK
            }
            Err(CallError::Timeout(_)) => {
                watch.late += 1;
                if watch.late >= LATE_LOOKS {
                    // The page's next life is a reload or another browser.
                    watch.late = 0;
                    let _ = self.notes.send(Note::Hangs).await;
                }
                PROBE
            }
            // The document changed under the question, or the renderer is gone, which others notice.
            Err(_) => PROBE,
        }
    }

    /// Asks the bridge where it stands. A page whose scripts run and whose bridge is silent hangs like one that does not
    /// answer at all: nothing can be sent through it.
    async fn ask(&self, watch: &mut Watch) {
        watch.asked = Instant::now();
        match Bridge(&self.page).state().await {
            Ok(state) => {
                watch.unanswered = 0;
                if state.stream.as_ref().and_then(decode::phase).is_some() {
                    watch.decided = Instant::now();
                }
                let _ = self.notes.send(Note::State(state)).await;
                if watch.decided.elapsed() >= self.patience.saturating_mul(STUCK) {
                    watch.decided = Instant::now();
                    tracing::warn!("the page does not get anywhere");
                    let _ = self.notes.send(Note::Stuck).await;
                }
            }
            Err(EngineError::Silent) => {
                watch.unanswered += 1;
                tracing::warn!(times = watch.unanswered, "the bridge does not answer");
                if watch.unanswered >= UNANSWERED {
                    watch.unanswered = 0;
                    let _ = self.notes.send(Note::Hangs).await;
                }
            }
            // An answer, if not the wanted one.
            Err(error) => {
                watch.unanswered = 0;
                tracing::debug!(%error, "the page did not say where it stands");
            }
        }
    }

    async fn look(&self) -> Result<Whereabouts, CallError> {
        let answer = self.page.evaluate("look", WHERE, LOOK_DEADLINE).await?;
        serde_json::from_str(answer.as_str().unwrap_or_default())
            .map_err(|_| CallError::Failed("look", "unintelligible".to_owned()))
    }

    async fn load(&self) -> Load {
        match self.page.navigate(URL).await {
            Ok(()) => Load::Done,
            Err(CallError::Timeout(_)) => Load::Slow,
            Err(error) => {
                tracing::warn!(%error, "WhatsApp's page cannot be loaded");
                Load::Failed
            }
        }
    }

    /// Waits until WhatsApp's modules have settled and injects. Gives up without a word when the document changes
    /// meanwhile: the next look begins anew.
    async fn inject(&self, watch: &mut Watch, document: f64) {
        let life = watch.life;
        // Before the bridge can say anything; in a page that was outdated its first word says it.
        if !watch.failed.is_outdated() && self.notes.send(Note::Loading(life)).await.is_err() {
            return;
        }
        let started = Instant::now();
        if let Err(error) = self.settle().await {
            tracing::debug!(%error, "the page changed while it settled");
            return;
        }
        match self.evaluate_all(life).await {
            Ok(()) => {
                watch.failed = Failed::never();
                let _ = self.notes.send(Note::Loading(life)).await;
                tracing::info!(life, after_ms = started.elapsed().as_millis(), "scripts injected");
            }
            Err(CallError::Threw(script)) => {
                watch.failed.again(document, (self.fraction)(), Instant::now());
                tracing::warn!(script, times = watch.failed.times, "a script cannot be brought into the page");
                if watch.failed.is_outdated() {
                    let _ = self.notes.send(Note::Unfit(script)).await;
                }
            }
            Err(error) => tracing::warn!(%error, "scripts not injected"),
        }
    }

    async fn settle(&self) -> Result<(), CallError> {
        let begin = Instant::now();
        let (mut seen, mut since) = (None, begin);
        while since.elapsed() < self.patience && begin.elapsed() < self.patience.saturating_mul(LONGEST) {
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

    async fn evaluate_all(&self, life: u64) -> Result<(), CallError> {
        if !self.has_wa_js().await? {
            self.page.evaluate("prelude", &self.scripts.prelude, INJECTION).await?;
            self.page.evaluate("wa-js", &self.scripts.wa_js, INJECTION).await?;
            // Without it the bridge leaves nothing behind, either.
            if !self.has_wa_js().await? {
                return Err(CallError::Threw("wa-js"));
            }
        }
        let patience = self.patience.saturating_mul(READY).as_millis();
        let options = Options { life, patience_ms: u64::try_from(patience).unwrap_or(u64::MAX) };
        let options = serde_json::to_string(&options)
            .map_err(|_| CallError::Failed("bridge", "options are not JSON".to_owned()))?;
        // Together, so that no document gets a bridge without its number.
        let script = format!("window.sessionBridgeOptions = {options};\n{}", self.scripts.bridge);
        self.page.evaluate("bridge", &script, INJECTION).await.map(drop)
    }

    async fn has_wa_js(&self) -> Result<bool, CallError> {
        let there = self.page.evaluate("look", "!!window.WPP", LOOK_DEADLINE).await?;
        Ok(there.as_bool() == Some(true))
    }
}
