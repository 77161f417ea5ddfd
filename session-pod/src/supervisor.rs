//! The loop of a session: what the engine tells and what the API asks goes into the state machine, and what that decides
//! is done. It decides nothing itself, and no step of it waits for the network.

mod effects;
mod events;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use relay::{LinkCode, SessionState, SessionStatus, TraceParent};
use runtime::trace;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::commands::Ask;
use crate::engine::{Engine, EngineError, EngineEvent, Pace};
use crate::health::Parts;
use crate::hearing::Hearing;
use crate::journal::Journal;
use crate::session::{CodeText, Session, Signal, step};
use crate::settings::Linking;
use crate::status::StatusBook;
use crate::sync;

/// The loop turns at least so often, which its liveness counts on.
const TURN: Duration = Duration::from_secs(15);

/// Messages of our own tasks that wait: each kind of task runs once at a time.
const NOTES: usize = 16;

/// After a comparison of the page's store that failed.
const SYNC_AGAIN: Duration = Duration::from_secs(10);

/// After each that could not read every chat. Then what was missed in those is given up, or the mark would stand still for
/// ever, and with it every later comparison would begin there.
const UNREAD_AGAIN: [Duration; 4] =
    [Duration::from_mins(1), Duration::from_mins(2), Duration::from_mins(4), Duration::from_mins(8)];

/// How the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As it was asked to; the browser is closed.
    Stopped,
    /// The browser fails again and again; it is closed.
    GaveUp,
}

/// What the supervisor works with.
pub struct Tools {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// How a phone is linked.
    pub linking: Linking,
    /// Where events go.
    pub journal: Journal,
    /// Where the newest status goes.
    pub status: watch::Sender<Option<SessionStatus>>,
    /// Where the newest code goes.
    pub link: watch::Sender<Option<LinkCode>>,
    /// Where the newest state goes.
    pub state: watch::Sender<SessionState>,
    /// What the commands ask for.
    pub asks: mpsc::Receiver<Ask>,
    /// The pod's health.
    pub health: Parts,
}

/// What a task of the supervisor's brings back.
enum Note {
    CodeMade(Result<Option<CodeText>, EngineError>),
    Synced(Result<sync::Told, EngineError>),
    /// The old browser is gone and the pause is over.
    Start,
}

/// The supervisor of a session.
pub struct Supervisor {
    tools: Tools,
    session: Session,
    book: StatusBook,
    /// Of the browser that runs now; those of an earlier one are not listened to.
    events: Option<mpsc::Receiver<EngineEvent>>,
    notes: (mpsc::Sender<Note>, mpsc::Receiver<Note>),
    sync: Option<JoinHandle<()>>,
    /// What was missed while a comparison ran may be where it had looked already: another one follows.
    sync_more: bool,
    /// When chats that could not be read are looked at again, and how often that was.
    unread: (Option<Instant>, usize),
    restart: Option<JoinHandle<()>>,
    hearing: Hearing,
    volume_failing: watch::Receiver<bool>,
    logout_asked: bool,
    ended: Option<Ended>,
    /// What the pod was made in the course of, until the session is connected for the first time. What comes later has
    /// other causes.
    trace: Option<TraceParent>,
    start: Option<Span>,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        for task in [&self.sync, &self.restart].into_iter().flatten() {
            task.abort();
        }
    }
}

impl Supervisor {
    /// For a session whose lease is held.
    #[must_use]
    pub fn new(tools: Tools, pod_uid: String, now: Timestamp) -> Self {
        let session = Session::new(tools.journal.link(), tools.linking.kind(), now);
        let book = StatusBook::new(pod_uid, tools.journal.account());
        let volume_failing = tools.journal.volume_failing();
        Self {
            tools,
            session,
            book,
            events: None,
            notes: mpsc::channel(NOTES),
            sync: None,
            sync_more: false,
            unread: (None, 0),
            restart: None,
            hearing: Hearing::default(),
            volume_failing,
            logout_asked: false,
            ended: None,
            trace: None,
            start: None,
        }
    }

    /// The same, in the course of something.
    #[must_use]
    pub fn traced(mut self, trace: Option<TraceParent>) -> Self {
        self.trace = trace;
        self
    }

    /// Runs the session until it ends. When this future is dropped the engine still runs: whoever drops it stops that.
    pub async fn run(mut self, stop: CancellationToken) -> Ended {
        let mut tick = tokio::time::interval(TURN);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let start = tracing::info_span!(target: trace::TARGET, "start", trace_id = Empty);
        trace::follow(&start, self.trace);
        self.start = Some(start);
        self.publish();
        self.events = Some(self.tools.engine.start().await);
        loop {
            self.tools.health.supervisor.beat();
            tokio::select! {
                biased;
                () = stop.cancelled() => self.signal(Signal::Stop).await,
                Some(note) = self.notes.1.recv() => self.on_note(note).await,
                Some(ask) = self.tools.asks.recv() => self.on_ask(ask).await,
                event = next(&mut self.events) => self.on_event(event).await,
                () = self.tools.journal.lost() => self.sync(),
                // Which goes into the status.
                Ok(()) = self.volume_failing.changed() => {}
                now = tick.tick() => if self.sync.is_none() && self.unread.0.is_some_and(|due| due <= now) { self.sync() },
            }
            self.publish();
            if let Some(ended) = self.ended {
                return ended;
            }
        }
    }

    async fn signal(&mut self, signal: Signal) {
        let now = runtime::ambient::now();
        let from = self.session.state;
        let (next, effects) = step(&self.session, signal, now);
        self.session = next;
        self.tools.journal.set_link(self.session.link);
        self.book.moved(from, &self.session, now);
        for effect in effects {
            self.apply(effect, from).await;
        }
    }

    /// Tells whoever listens, if there is news.
    fn publish(&mut self) {
        let volume_failing = *self.volume_failing.borrow_and_update();
        if let Some(status) = self.book.news(&self.session, volume_failing) {
            self.tools.status.send_replace(Some(status));
        }
    }

    /// Runs something of our own beside the loop; what it brings back comes as a note.
    fn spawn(&self, task: impl Future<Output = Note> + Send + 'static) -> JoinHandle<()> {
        let notes = self.notes.0.clone();
        let run = async move {
            // Fails only when the supervisor is gone.
            let _ = notes.send(task.await).await;
        };
        tokio::spawn(run.in_current_span())
    }

    async fn stop_engine(&mut self) {
        self.events = None;
        if let Some(restart) = self.restart.take() {
            restart.abort();
        }
        self.tools.engine.stop(Pace::ORDERLY).await;
    }
}

/// The next event; waits for ever when there is no engine. A stream that ends without a last word is a lost browser.
async fn next(events: &mut Option<mpsc::Receiver<EngineEvent>>) -> EngineEvent {
    match events {
        Some(receiver) => receiver.recv().await.unwrap_or(EngineEvent::Lost),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use relay::EngineVersions;
    use runtime::health::Health;
    use tokio::sync::Notify;

    use super::*;
    use crate::engine::scripted::Scripted;
    use crate::health::SILENT;
    use crate::session::Phase;

    fn supervisor(folder: &tempfile::TempDir) -> Supervisor {
        supervisor_of(folder, Arc::new(Scripted::default()), &Health::default())
    }

    fn supervisor_of(folder: &tempfile::TempDir, engine: Arc<dyn Engine>, health: &Health) -> Supervisor {
        let tools = Tools {
            engine,
            linking: Linking::Qr,
            journal: Journal::open(folder.path(), 1 << 20).expect("opens"),
            status: watch::channel(None).0,
            link: watch::channel(None).0,
            state: watch::channel(SessionState::Starting).0,
            asks: mpsc::channel(1).1,
            health: Parts::of(health),
        };
        Supervisor::new(tools, "pod-1".to_owned(), Timestamp::UNIX_EPOCH)
    }

    async fn hear(supervisor: &mut Supervisor, events: impl IntoIterator<Item = EngineEvent>) {
        for event in events {
            supervisor.on_event(event).await;
        }
        while !supervisor.tools.journal.is_empty() {
            supervisor.tools.journal.sent();
        }
    }

    fn connected() -> [EngineEvent; 3] {
        let up = EngineEvent::Stream { phase: Some(Phase::Up), account: None };
        [EngineEvent::Up(EngineVersions::default()), EngineEvent::Ready(EngineVersions::default()), up]
    }

    async fn note(supervisor: &mut Supervisor) {
        let note = supervisor.notes.1.recv().await.expect("never closed");
        supervisor.on_note(note).await;
    }

    #[tokio::test]
    async fn what_is_missed_while_the_store_is_compared_is_looked_for_in_another_comparison() {
        let folder = tempfile::tempdir().expect("folder");
        let mut supervisor = supervisor(&folder);
        hear(&mut supervisor, connected()).await;
        hear(&mut supervisor, [EngineEvent::Missed]).await;
        note(&mut supervisor).await;
        assert!(!supervisor.tools.journal.mark().complete, "declared closed");
        note(&mut supervisor).await;
        assert!(supervisor.tools.journal.mark().complete && supervisor.sync.is_none());
    }

    #[tokio::test]
    async fn chats_that_cannot_be_read_are_tried_again_before_they_are_given_up() {
        let folder = tempfile::tempdir().expect("folder");
        let mut supervisor = supervisor(&folder);
        let journal = supervisor.tools.journal.clone();
        hear(&mut supervisor, connected()).await;
        note(&mut supervisor).await;
        let mark = journal.mark();
        journal.interrupted();
        journal.tell(crate::journal::fixtures::message("false_5511999999999@c.us_3A1", 10), Timestamp::UNIX_EPOCH);
        hear(&mut supervisor, []).await;
        for pause in UNREAD_AGAIN {
            let before = Instant::now();
            compared(&mut supervisor, sync::Told { messages: 1, unread: 1 }).await;
            let due = supervisor.unread;
            assert!(due.0.is_some_and(|due| due >= before + pause));
            // As after each of several losses of the connection in a row: no chat is given up for that.
            compared(&mut supervisor, sync::Told { messages: 1, unread: 1 }).await;
            assert_eq!(supervisor.unread, due, "only what was waited for counts");
            supervisor.unread.0 = Some(Instant::now());
            assert_eq!(journal.mark(), mark, "what is missing may be older than what was told");
        }
        compared(&mut supervisor, sync::Told { messages: 0, unread: 1 }).await;
        assert_eq!(supervisor.unread, (None, 0));
        assert_ne!(journal.mark(), mark);
    }

    /// A comparison that ends so.
    async fn compared(supervisor: &mut Supervisor, told: sync::Told) {
        supervisor.sync = Some(tokio::spawn(async {}));
        supervisor.on_note(Note::Synced(Ok(told))).await;
    }

    #[tokio::test]
    async fn a_loop_that_hangs_in_a_call_is_named_by_liveness_within_its_bound() {
        let (folder, health) = (tempfile::tempdir().expect("folder"), Health::default());
        let engine = Arc::new(Scripted { hangs: Some(Notify::new()), ..Scripted::default() });
        let running = supervisor_of(&folder, engine.clone(), &health).run(CancellationToken::new());
        let hangs = engine.hangs.as_ref().expect("set").notified();
        tokio::select! {
            _ = running => panic!("it ended"),
            // The first browser is lost at once, and the pause before the next is a second at most.
            hangs = tokio::time::timeout(Duration::from_secs(10), hangs) => hangs.expect("it hangs"),
        }
        let now = std::time::Instant::now();
        assert_eq!(health.stopped(now), Vec::<String>::new());
        let told = health.stopped(now + SILENT + Duration::from_secs(1));
        assert!(told.len() == 1 && told[0].starts_with("supervisor: silent for 6"), "{told:?}");
        // One that has nothing to do turns several times within the bound.
        assert!(TURN * 3 < SILENT);
    }

    #[tokio::test]
    async fn a_comparison_that_ended_as_the_connection_went_closes_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let mut supervisor = supervisor(&folder);
        hear(&mut supervisor, connected()).await;
        let late = supervisor.notes.1.recv().await.expect("never closed");
        hear(&mut supervisor, [EngineEvent::Stream { phase: Some(Phase::Down), account: None }]).await;
        supervisor.on_note(late).await;
        assert!(!supervisor.tools.journal.mark().complete);
    }
}
