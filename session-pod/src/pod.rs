//! The whole life of the pod: lease, volume, tasks, supervisor, and the end in good order or at once.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use relay::{Redis, SessionRelay, SessionState};
use runtime::health::Health;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::browser::profile;
use crate::browser::reaper::Children;
use crate::commands::Commands;
use crate::engine::{Engine, Pace, WebEngine};
use crate::guard::Guard;
use crate::health::Parts;
use crate::journal::{self, Journal};
use crate::lease::{self, Held, Lost};
use crate::publisher::{self, Snapshots};
use crate::session::{Link, Reason, Session};
use crate::settings::Settings;
use crate::status::StatusBook;
use crate::supervisor::{Ended, Supervisor, Tools};

/// What the tasks may take after the browser is closed: their last words (4 s) side by side, and a margin.
const TASKS_END: Duration = Duration::from_secs(6);

/// For giving the lease back.
const RELEASE: Duration = Duration::from_secs(3);

/// Questions of the commands that wait for the supervisor.
const ASKS: usize = 8;

/// How the pod ended. The code tells the operator why the container was restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// As it was asked to.
    Stopped,
    /// Something that should always work did not.
    Failed,
    /// Another pod took the session over, or might have.
    Fenced,
    /// The browser failed again and again.
    GaveUp,
    /// The volume cannot be written.
    VolumeUnusable,
}

impl Exit {
    /// The exit code of the process.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::Failed => 1,
            // 2 is for wrong settings.
            Self::Fenced => 3,
            Self::GaveUp => 4,
            Self::VolumeUnusable => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What the process gives the pod.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The process' health.
    pub health: Health,
    /// Cancelled when the pod is to end.
    pub stop: CancellationToken,
    /// The children that the reaper leaves alone.
    pub children: Children,
    /// Who ends the process when the pod cannot.
    pub guard: Guard,
}

/// Runs the session until it is asked to end or cannot go on.
pub async fn run(settings: Settings, surroundings: Surroundings) -> Exit {
    let parts = Parts::of(&surroundings.health);
    let mut redis = match settings.redis.connect() {
        Ok(redis) => redis,
        Err(error) => {
            tracing::error!(%error, "no connection to Redis can be made");
            return Exit::Failed;
        }
    };
    let held = {
        // While another pod holds the lease this one has nothing to do, and that is no reason to restart it.
        let waiting = keep_beating(&parts);
        let stop = &surroundings.stop;
        let acquired = lease::acquire(&mut redis, settings.connection, &settings.pod_uid, &parts, stop);
        tokio::select! {
            acquired = acquired => acquired,
            () = waiting => None,
        }
    };
    let Some(held) = held else { return Exit::Stopped };
    surroundings.guard.renewed(held.since());
    let lease = held.lease.clone();
    let exit = hold(settings, &surroundings, parts, held, &redis).await;
    // Not before: until here a write to the volume may have hung.
    surroundings.guard.ended();
    // Whoever lost it has nothing to give back.
    if exit != Exit::Fenced {
        lease::release(&lease, &mut redis, RELEASE).await;
    }
    tracing::info!(?exit, "the session ended");
    exit
}

async fn keep_beating(parts: &Parts) {
    loop {
        parts.supervisor.beat();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// With the lease in hand. When this returns no browser runs.
async fn hold(settings: Settings, surroundings: &Surroundings, parts: Parts, held: Held, redis: &Redis) -> Exit {
    let relay = SessionRelay::new(redis.clone(), settings.connection, &held.lease);
    let mut tasks: JoinSet<Result<(), Lost>> = JoinSet::new();
    let clock = held.clock.clone();
    // Before anything else, because a volume may be slow; and until everything else has ended.
    let kept = CancellationToken::new();
    let guard = surroundings.guard.clone();
    tasks.spawn(lease::keep(held, redis.clone(), parts.clone(), guard, kept.clone()).in_current_span());
    let journal = match open_volume(&settings) {
        Ok(journal) => journal,
        Err(error) => {
            tracing::error!(%error, volume = %settings.volume.display(), "the volume cannot be used");
            tell_unusable(relay, &settings).await;
            return Exit::VolumeUnusable;
        }
    };
    let engine: Arc<dyn Engine> = match WebEngine::new(settings.browser.clone(), surroundings.children.clone()) {
        Ok(engine) => Arc::new(engine),
        Err(error) => {
            tracing::error!(%error, "the scripts for the page cannot be read");
            return Exit::Failed;
        }
    };

    let (status, status_to_write) = watch::channel(None);
    let (link, link_to_write) = watch::channel(None);
    let (state, state_to_watch) = watch::channel(SessionState::Starting);
    let (asks, asked) = mpsc::channel(ASKS);
    let ending = CancellationToken::new();

    let snapshots = Snapshots { status: status_to_write, link: link_to_write };
    tasks.spawn(publisher::publish(relay.clone(), snapshots, ending.clone()).in_current_span());
    tasks.spawn(publisher::send(relay.clone(), journal.clone(), ending.clone()).in_current_span());
    let (settling, settled) = (journal.clone(), ending.clone());
    let keeping = async move {
        journal::keep_on_disk(settling, settled).await;
        Ok(())
    };
    tasks.spawn(keeping.in_current_span());
    let commands = Commands {
        relay,
        clock,
        endpoint: settings.redis.clone(),
        engine: engine.clone(),
        journal: journal.clone(),
        state: state_to_watch,
        asks,
        gap: settings.gap,
    };
    let commands_end = surroundings.stop.child_token();
    let working = async move {
        commands.run(commands_end).await;
        Ok(())
    };
    tasks.spawn(working.in_current_span());

    let tools = Tools {
        engine: engine.clone(),
        linking: settings.linking,
        journal: journal.clone(),
        status,
        link,
        state,
        asks: asked,
        health: parts,
    };
    let supervisor = Supervisor::new(tools, settings.pod_uid, runtime::ambient::now()).traced(settings.trace);
    let stop = surroundings.stop.clone();
    let ended = tokio::select! {
        biased;
        loss = first_loss(&mut tasks, &stop) => Err(loss),
        ended = supervisor.run(stop.clone()) => Ok(ended),
    };
    let exit = match ended {
        Ok(ended) => {
            // The last words go out while the lease is still kept.
            stop.cancel();
            ending.cancel();
            let last = tokio::time::timeout(TASKS_END, last_words(&mut tasks, &kept)).await;
            let exit = match (last, ended) {
                (Ok(Err(loss)), _) => exit_of(&loss),
                (_, Ended::Stopped) => Exit::Stopped,
                (_, Ended::GaveUp) => Exit::GaveUp,
            };
            // Only while the volume is surely ours.
            if exit != Exit::Fenced {
                journal.settle();
            }
            exit
        }
        Err(loss) => exit_of(&loss),
    };
    // No-op after an orderly end. After a loss this is what keeps two browsers from one account.
    engine.stop(Pace::AT_ONCE).await;
    tasks.shutdown().await;
    exit
}

/// The volume, ready for a browser: its locks removed, its journal open.
fn open_volume(settings: &Settings) -> io::Result<Journal> {
    std::fs::create_dir_all(&settings.volume)?;
    let locks = profile::prepare(&settings.browser.profile, &settings.browser.scratch)?;
    if locks > 0 {
        tracing::info!(locks, "locks of an earlier browser removed");
    }
    Journal::open(&settings.volume, settings.outbox_bytes)
}

/// Says in the status why nothing starts. Without it only the container's log would.
async fn tell_unusable(mut relay: SessionRelay, settings: &Settings) {
    let now = runtime::ambient::now();
    let session = Session::stopped(Link::Open, settings.linking.kind(), Reason::VolumeUnusable, now);
    let Some(status) = StatusBook::new(settings.pod_uid.clone(), None).news(&session, false) else { return };
    match tokio::time::timeout(RELEASE, relay.set_status(&status, now)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "nobody could be told"),
        Err(_) => tracing::warn!("nobody could be told: no answer"),
    }
}

/// Why the tasks cannot go on.
enum Loss {
    Lease(Lost),
    Task,
}

fn exit_of(loss: &Loss) -> Exit {
    match loss {
        Loss::Lease(error) => {
            tracing::error!(%error, "closing the browser at once");
            Exit::Fenced
        }
        Loss::Task => Exit::Failed,
    }
}

/// Ends when a task ends that should not.
async fn first_loss(tasks: &mut JoinSet<Result<(), Lost>>, stop: &CancellationToken) -> Loss {
    loop {
        match tasks.join_next().await {
            // The commands end as soon as the pod is asked to.
            Some(Ok(Ok(()))) if stop.is_cancelled() => {}
            Some(Ok(Err(lost))) => return Loss::Lease(lost),
            Some(Ok(Ok(()))) => {
                tracing::error!("a task ended by itself");
                return Loss::Task;
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a task panicked");
                return Loss::Task;
            }
            None => std::future::pending().await,
        }
    }
}

/// Waits for all tasks but the keeper of the lease, and then for that.
async fn last_words(tasks: &mut JoinSet<Result<(), Lost>>, kept: &CancellationToken) -> Result<(), Loss> {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(lost)) => return Err(Loss::Lease(lost)),
            Err(_) => return Err(Loss::Task),
        }
        if tasks.len() == 1 {
            kept.cancel();
        }
    }
    Ok(())
}
