//! One life of the browser, from its start to its end: starts it, carries the page's events out in order and without
//! gaps, notices every way in which it can die, and ends it step by step when asked.

use std::sync::Arc;
use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::page::EventFrameNavigated;
use chromiumoxide::cdp::browser_protocol::target::EventTargetCrashed;
use chromiumoxide::cdp::js_protocol::runtime::EventBindingCalled;
use chromiumoxide::listeners::EventStream;
use futures::StreamExt;
use relay::EngineVersions;
use rustix::process::{Signal, kill_process};
use serde::Deserialize;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::contract::{PageEvent, State};
use super::inject::{Keeper, Note};
use super::scripts::Scripts;
use super::sequence::{Place, Sequence};
use super::web::{Bridge, Slot};
use super::{EngineEvent, Pace, decode};
use crate::browser::cdp::{CallError, Cdp};
use crate::browser::flags;
use crate::browser::page::Page;
use crate::browser::process::{self, LaunchError, Process};
use crate::browser::reaper::Children;
use crate::settings::BrowserSettings;

/// Notes of the keeper that wait. It makes a few in a minute.
const NOTES: usize = 16;

/// Longest wait for the answer to the request to close.
const ANSWER: Duration = Duration::from_secs(1);

/// What a browser that hangs is given to hear SIGTERM: it has not answered for half a minute.
const HUNG: Duration = Duration::from_secs(1);

/// What a life needs.
pub(super) struct Life {
    pub(super) settings: BrowserSettings,
    pub(super) scripts: Arc<Scripts>,
    pub(super) children: Children,
    pub(super) slot: Slot,
    pub(super) events: mpsc::Sender<EngineEvent>,
    /// Set once the browser is to end, and again when it must end faster.
    pub(super) stop: watch::Receiver<Option<Pace>>,
}

/// Why a browser did not get going.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Spawn(#[from] std::io::Error),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A browser's page, and everything that it says.
struct Running {
    cdp: Cdp,
    page: Page,
    emitted: EventStream<EventBindingCalled>,
    navigations: EventStream<EventFrameNavigated>,
    crashes: EventStream<EventTargetCrashed>,
    notes: mpsc::Receiver<Note>,
    wake: Arc<Notify>,
    keeper: JoinHandle<()>,
    sequence: Sequence,
    /// The browser itself does not answer any more.
    hangs: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Life {
    /// Lives until the browser has ended, by itself or because it was asked to.
    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        // Not inside the start: a browser that is asked to end before it has got going is ended as carefully as any.
        let (mut process, mut running) = (None, None);
        let asked = tokio::select! {
            biased;
            _ = stop.wait_for(Option::is_some) => true,
            () = self.live(&mut process, &mut running) => false,
        };
        self.slot.set(None);
        if let Some(process) = &mut process {
            shut(process, running.as_mut(), &mut self.stop).await;
        }
        if !asked {
            let _ = self.events.send(EngineEvent::Lost).await;
        }
    }

    async fn live(&self, process: &mut Option<Process>, running: &mut Option<Running>) {
        match self.start(process).await {
            Ok((process, started)) => {
                self.slot.set(Some(started.page.clone()));
                self.carry(process, running.insert(started)).await;
            }
            Err(error) => tracing::error!(%error, "the browser did not start"),
        }
    }

    async fn start<'a>(&self, process: &'a mut Option<Process>) -> Result<(&'a mut Process, Running), StartError> {
        let version = process::version(&self.settings, &self.children).await;
        let agent = version.as_deref().and_then(flags::user_agent);
        let process = process.insert(Process::spawn(&self.settings, agent.as_deref(), &self.children)?);
        let address = process.address().await?;
        let cdp = Cdp::connect(&address).await?;
        let crashes = cdp.crashes().await?;
        let versions = EngineVersions { browser: Some(cdp.version().await?), ..EngineVersions::default() };
        let page = cdp.open().await?;
        let (emitted, navigations) = (page.emitted().await?, page.navigations().await?);
        // Before the page can say anything.
        let _ = self.events.send(EngineEvent::Up(versions)).await;
        let (sender, notes) = mpsc::channel(NOTES);
        let wake = Arc::new(Notify::new());
        let keeper = Keeper {
            page: page.clone(),
            scripts: self.scripts.clone(),
            notes: sender,
            wake: wake.clone(),
            fraction: runtime::ambient::random_fraction,
            patience: self.settings.patience,
        };
        let keeper = tokio::spawn(keeper.run().in_current_span());
        let sequence = Sequence::default();
        let running = Running { cdp, page, emitted, navigations, crashes, notes, wake, keeper, sequence, hangs: false };
        Ok((process, running))
    }

    /// Carries events until the browser is gone. What the page said comes before the keeper's notes, so that little of
    /// an old life is left when the next begins; what is left nevertheless is told by its number.
    async fn carry(&self, process: &mut Process, running: &mut Running) {
        loop {
            tokio::select! {
                biased;
                status = process.wait() => {
                    tracing::warn!(status = %status.map(|s| s.to_string()).unwrap_or_default(), "the browser ended");
                    return;
                }
                () = running.cdp.ended() => {
                    tracing::warn!("the connection to the browser is lost");
                    return;
                }
                crash = running.crashes.next() => {
                    let Some(crash) = crash else { return };
                    if running.page.is(&crash.target_id) {
                        tracing::warn!(status = crash.status, code = crash.error_code, "the page crashed");
                        self.tell(EngineEvent::PageCrashed).await;
                    }
                }
                emitted = running.emitted.next() => {
                    let Some(emitted) = emitted else { return };
                    if let Ok(value) = serde_json::from_str(&emitted.payload) {
                        self.take(running, value).await;
                    } else {
                        unreadable("json");
                    }
                }
                note = running.notes.recv() => match note {
                    None => return,
                    Some(Note::Loading(life)) => self.begin(running, life).await,
                    Some(Note::State(state)) => self.compare(running, state).await,
                    Some(Note::Stuck) => self.tell(EngineEvent::PageStuck).await,
                    Some(Note::Unreachable) => self.tell(EngineEvent::Unreachable).await,
                    Some(Note::Unfit(script)) => {
                        let versions = EngineVersions { missing: vec![script.to_owned()], ..EngineVersions::default() };
                        self.tell(EngineEvent::Outdated(versions)).await;
                    }
                    Some(Note::Hangs) => {
                        self.unhang(running).await;
                        if running.hangs {
                            return;
                        }
                    }
                },
                navigation = running.navigations.next() => {
                    let Some(navigation) = navigation else { return };
                    if navigation.frame.parent_id.is_none() {
                        running.wake.notify_one();
                    }
                }
            }
        }
    }

    /// The page does not answer. Loading it anew would wait for the very process that hangs: that is ended, and the
    /// browser tells of it as of any other crash.
    async fn unhang(&self, running: &mut Running) {
        match running.cdp.renderers().await {
            Ok(renderers) if renderers.is_empty() => self.tell(EngineEvent::PageCrashed).await,
            Ok(renderers) => {
                tracing::warn!(processes = renderers.len(), "the page hangs; ending its process");
                for renderer in renderers {
                    // One that has ended meanwhile is what is wanted.
                    let _ = kill_process(renderer, Signal::KILL);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the browser hangs");
                running.hangs = true;
            }
        }
    }

    /// A life of the page begins, unless it has.
    async fn begin(&self, running: &mut Running, life: u64) {
        if running.sequence.begin(life) {
            self.tell(EngineEvent::Loading).await;
        }
    }

    async fn take(&self, running: &mut Running, event: serde_json::Value) {
        let (Some(life), Some(n)) = (number(&event, "life"), number(&event, "n")) else { return unreadable("number") };
        // It may come before its keeper's note.
        self.begin(running, life).await;
        match running.sequence.place(life, n) {
            Place::Seen => {}
            Place::Late => self.pass_late(event).await,
            Place::Next => self.pass(event).await,
            Place::Gap { after } => {
                tracing::warn!(after, next = n, "events of the page are missing");
                self.fill(running, after, n).await;
                if running.sequence.place(life, n) == Place::Next {
                    self.pass(event).await;
                }
            }
        }
    }

    /// Fetches what is missing between two events from the page's own memory.
    async fn fill(&self, running: &mut Running, after: u64, next: u64) {
        let missing = Bridge(&running.page).resume(after).await.unwrap_or_default();
        for event in missing {
            let (life, n) = (number(&event, "life").unwrap_or(0), number(&event, "n").unwrap_or(0));
            let ours = running.sequence.is_now(life) && n < next;
            if ours && running.sequence.place(life, n) == Place::Next {
                self.pass(event).await;
            }
        }
        let last = next.saturating_sub(1);
        if running.sequence.behind(last) {
            running.sequence.skip_to(last);
            self.tell(EngineEvent::Missed).await;
        }
    }

    /// What the page answers when it is asked. It is as old as its last event: with one more heard since, it is out of
    /// date, and with one fewer, that one is fetched.
    async fn compare(&self, running: &mut Running, state: State) {
        if !running.sequence.is_now(state.life) {
            return;
        }
        if running.sequence.behind(state.last_event) {
            tracing::warn!(
                after = running.sequence.last(),
                last = state.last_event,
                "events of the page did not arrive"
            );
            self.fill(running, running.sequence.last(), state.last_event.saturating_add(1)).await;
        }
        if running.sequence.last() != state.last_event {
            return;
        }
        if let Some(stream) = state.stream {
            self.tell(decode::stream(stream)).await;
        }
        if let Some(newest) = state.newest.as_ref().and_then(decode::newest) {
            self.tell(newest).await;
        }
    }

    async fn pass(&self, event: serde_json::Value) {
        if let Some(event) = read(event) {
            self.tell(event).await;
        }
    }

    /// What an earlier life of the page said and only now arrives: what happened has happened, but how that page stood
    /// must not be taken for how this one stands.
    async fn pass_late(&self, event: serde_json::Value) {
        let event = read(event).filter(decode::is_lasting);
        let kept = if event.is_some() { "kept" } else { "dropped" };
        crate::metrics::LATE_EVENTS.count([kept]);
        if let Some(event) = event {
            self.tell(event).await;
        }
    }

    async fn tell(&self, event: EngineEvent) {
        // Fails only when nobody wants to know any more.
        let _ = self.events.send(event).await;
    }
}

fn number(event: &serde_json::Value, name: &str) -> Option<u64> {
    event.get(name).and_then(serde_json::Value::as_u64)
}

/// The event, if it means something.
fn read(event: serde_json::Value) -> Option<EngineEvent> {
    match PageEvent::deserialize(event).map(decode::event) {
        Ok(Ok(event)) => event,
        Ok(Err(error)) => {
            tracing::warn!(%error, "an event of the page is of no use");
            unreadable("field");
            None
        }
        Err(_) => {
            unreadable("body");
            None
        }
    }
}

/// Something of the page's could not be read. What it was stays unsaid: it may hold content.
fn unreadable(what: &'static str) {
    crate::metrics::UNREADABLE.count([what]);
    tracing::debug!(what, "unreadable event of the page");
}

/// Ends the browser: asked over the protocol if it listens, then SIGTERM, then SIGKILL, each with its time. A harsher
/// request that comes meanwhile shortens what is left.
async fn shut(process: &mut Process, running: Option<&mut Running>, stop: &mut watch::Receiver<Option<Pace>>) {
    let begin = Instant::now();
    let (mut ended, mut hangs) = (false, false);
    if let Some(running) = running {
        running.keeper.abort();
        hangs = running.hangs;
        if !hangs {
            let close = stop.borrow_and_update().unwrap_or(Pace::ORDERLY).close;
            // It may be gone before it answers, and what counts is that it goes: the time for the answer is part of
            // the whole.
            running.cdp.close(close.min(ANSWER)).await;
            ended = ended_within(process, stop, begin, |pace| pace.close).await;
            if !ended {
                tracing::warn!("the browser did not close; SIGTERM");
            }
        }
    }
    if !ended {
        process.signal(Signal::TERM);
        let most = if hangs { HUNG } else { Duration::MAX };
        if !ended_within(process, stop, Instant::now(), |pace| pace.terminate.min(most)).await {
            tracing::warn!("the browser did not end; SIGKILL");
        }
    }
    // Also for what is left of its group when it ended by itself.
    process.kill().await;
}

/// Whether the process ended within the time that the newest pace allows from `begin` on.
async fn ended_within(
    process: &mut Process,
    stop: &mut watch::Receiver<Option<Pace>>,
    begin: Instant,
    part: impl Fn(&Pace) -> Duration,
) -> bool {
    loop {
        let pace = stop.borrow_and_update().unwrap_or(Pace::ORDERLY);
        tokio::select! {
            _ = process.wait() => return true,
            () = tokio::time::sleep_until(begin + part(&pace)) => return false,
            changed = stop.changed() => if changed.is_err() {
                return tokio::time::timeout_at(begin + part(&pace), process.wait()).await.is_ok();
            },
        }
    }
}
