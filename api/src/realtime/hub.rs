//! From Redis and the cluster to the sockets of this replica. Each replica listens for itself, for the companies whose
//! sockets it has: there is no second hop between replicas that could lose something. What one of them did not hear, it
//! finds missing by the places that each event names, and reads it from the database.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use relay::{
    ApiRelay, CompanyId, ConnectionId, Endpoint, Envelope, LinkCode, Live, Names, Note, Offset, Wanted,
    company_channel, company_of_channel, subscribe_also,
};
use serde_json::json;
use socketioxide::extract::SocketRef;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::audience::Audience;
use super::member::{Member, Pace};
use super::positions::{Positions, Verdict};
use super::transports::Transports;
use crate::app::App;
use crate::connections::link_code::{LinkCodeView, data_url};
use crate::connections::live::live;
use crate::fleet::{Change, Known};
use crate::ingest::{Committed, Step, Told, status_now};
use crate::metrics;
use crate::store::{StoreError, TenantScope, ToldEvent};

/// What a connection that is gone is called, once.
const DELETED: &str = "Deleted";

/// Wishes to listen for a company that wait. Each is a socket that is being let in.
const WISHES: usize = 1024;

/// How often it looks for companies that nobody listens for any more, and for what it could not read before.
const ROUND: Duration = Duration::from_secs(2);

/// Missing events of one reading.
const READING: i64 = 500;

/// How sockets ask to be told of their company. Clones share it.
#[derive(Debug, Clone)]
pub struct Listening(mpsc::Sender<Wish>);

/// What sockets ask for.
#[derive(Debug)]
pub struct Wishes(mpsc::Receiver<Wish>);

#[derive(Debug)]
enum Wish {
    /// To be told where the company's connections stand, once everything after that will be heard.
    Listen(TenantScope, oneshot::Sender<Positions>),
    /// To be closed: it fell behind.
    Close(SocketRef),
}

impl Listening {
    /// The asking end, and the end for [`run`].
    #[must_use]
    pub fn new() -> (Self, Wishes) {
        let (sender, receiver) = mpsc::channel(WISHES);
        (Self(sender), Wishes(receiver))
    }

    /// Where the company's connections stand; everything after that will be heard.
    pub async fn to(&self, scope: &TenantScope) -> Option<Positions> {
        let (ready, wait) = oneshot::channel();
        self.0.send(Wish::Listen(scope.clone(), ready)).await.ok()?;
        wait.await.ok()
    }

    /// Closes a socket that fell behind.
    pub async fn close(&self, socket: SocketRef) {
        // The hub ends with the process, and then all sockets do.
        let _ = self.0.send(Wish::Close(socket)).await;
    }
}

/// A company that is listened for.
struct Followed {
    scope: TenantScope,
    state: State,
}

enum State {
    /// Not before that version of the wanted channels is joined, and known where its connections stand. These wait for it.
    NotYet { version: u64, waiting: Vec<oneshot::Sender<Positions>> },
    /// So far its sockets were told.
    Ready(Positions),
}

struct Hub {
    app: App,
    audience: Audience,
    transports: Transports,
    wanted: watch::Sender<Wanted>,
    /// The version of them that is joined.
    joined: u64,
    companies: HashMap<CompanyId, Followed>,
    /// Where something is missing that could not be read.
    behind: BTreeSet<(CompanyId, ConnectionId)>,
}

/// Emits until the process ends.
pub async fn run(
    app: App,
    audience: Audience,
    transports: Transports,
    mut wishes: Wishes,
    redis: Endpoint,
    stop: CancellationToken,
) -> Result<(), RecvError> {
    let wanted = watch::Sender::new(Wanted::default());
    let mut notes = subscribe_also(redis, vec![ApiRelay::LIVE.to_owned()], wanted.subscribe());
    let mut changes = app.fleet().changes();
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (companies, behind) = (HashMap::new(), BTreeSet::new());
    let mut hub = Hub { app, audience, transports, wanted, joined: 0, companies, behind };
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(wish) = wishes.0.recv() => hub.wished(wish),
            Some(note) = notes.next() => hub.heard(note).await,
            change = changes.recv() => match change {
                Ok(change) => hub.changed(change).await,
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "changes of the cluster missed: sockets are closed");
                    hub.close_all();
                }
                Err(RecvError::Closed) => return Err(RecvError::Closed),
            },
            _ = rounds.tick() => hub.round().await,
        }
    }
}

impl Hub {
    fn wished(&mut self, wish: Wish) {
        let (scope, ready) = match wish {
            Wish::Close(socket) => return self.transports.close(&socket),
            Wish::Listen(scope, ready) => (scope, ready),
        };
        match self.companies.get_mut(scope.company()).map(|followed| &mut followed.state) {
            // That nobody waits any more is no error.
            Some(State::Ready(positions)) => drop(ready.send(positions.clone())),
            Some(State::NotYet { waiting, .. }) => waiting.push(ready),
            None => {
                let channel = company_channel(scope.company());
                let version = want(&self.wanted, |channels| channels.insert(channel));
                let state = State::NotYet { version, waiting: vec![ready] };
                self.companies.insert(scope.company().clone(), Followed { scope, state });
            }
        }
    }

    async fn heard(&mut self, note: Note) {
        match note {
            Note::Subscribed => {
                // Also link codes and what is in no database: whoever was open then must look again.
                self.joined = 0;
                for followed in self.companies.values_mut().filter(|one| matches!(one.state, State::Ready(_))) {
                    followed.state = State::NotYet { version: 0, waiting: Vec::new() };
                }
                if !self.companies.is_empty() {
                    tracing::warn!("subscribed again: sockets may have missed something and are closed");
                    self.close_all();
                }
            }
            Note::Joined(version) => {
                self.joined = version;
                self.look().await;
            }
            Note::Message { channel, payload } => self.message(&channel, &payload).await,
        }
    }

    /// Everything of these is heard now: where do they stand? Gives whether the database was there. Each call to one that is
    /// away takes seconds, in which no company is told anything; so the rest waits for the next round.
    async fn look(&mut self) -> bool {
        let heard = |(company, followed): (&CompanyId, &Followed)| {
            let heard = matches!(followed.state, State::NotYet { version, .. } if version <= self.joined);
            heard.then(|| company.clone())
        };
        let heard: Vec<_> = self.companies.iter().filter_map(heard).collect();
        for company in heard {
            if !self.begin(&company).await {
                return false;
            }
        }
        true
    }

    /// Gives whether the database was there.
    async fn begin(&mut self, company: &CompanyId) -> bool {
        let Some(followed) = self.companies.get_mut(company) else { return true };
        let State::NotYet { version, waiting } = &mut followed.state else { return true };
        let (version, waiting) = (*version, std::mem::take(waiting));
        match positions(&self.app, &followed.scope).await {
            Ok(positions) => {
                for ready in waiting {
                    let _ = ready.send(positions.clone());
                }
                followed.state = State::Ready(positions);
                for member in self.audience.of(company).iter().filter(|member| member.blind.load(Ordering::Relaxed)) {
                    self.close(member);
                }
                true
            }
            Err(error) => {
                tracing::warn!(%company, %error, "not known how far its sockets were told");
                followed.state = State::NotYet { version, waiting };
                !matches!(error, StoreError::Away(_))
            }
        }
    }

    async fn message(&mut self, channel: &str, payload: &str) {
        if let Some(company) = company_of_channel(channel) {
            match serde_json::from_str(payload) {
                Ok(Committed::Told(told)) => match told.step() {
                    Some(step) => self.step(&company, step, Some(&told)).await,
                    None => self.emit(&company, &told),
                },
                Ok(Committed::Position { position }) => self.step(&company, position, None).await,
                Err(error) => tracing::warn!(%company, %error, "a replica says something that is not understood"),
            }
            return;
        }
        let Some(known) = Names::of_channel(channel).and_then(|names| self.app.fleet().connection(names.0)) else {
            return;
        };
        // What follows a code that ran out is told as the session's state.
        if let Ok(Envelope { payload: Live::Link(Some(code)), .. }) = Envelope::<Live>::decode(payload) {
            self.emit(&known.company, &code_shown(&known, &code));
        }
    }

    /// Tells a step if it is the next, and what is missing before it if it is not.
    async fn step(&mut self, company: &CompanyId, step: Step, told: Option<&Told>) {
        // Before it is ready nobody was let in: whoever is will be told where it stands.
        let Some(State::Ready(positions)) = self.companies.get_mut(company).map(|followed| &mut followed.state) else {
            return;
        };
        match (positions.judge(&step), told) {
            (Verdict::Told, _) => {}
            (Verdict::Tell, Some(told)) => {
                positions.advance(step.connection_id, step.offset);
                self.emit(company, told);
            }
            (Verdict::Tell, None) | (Verdict::Missing(_), _) => {
                self.fill(company, step.connection_id).await;
            }
        }
    }

    /// Tells what the database has of a connection and its sockets were not told. Gives whether the database was there.
    async fn fill(&mut self, company: &CompanyId, connection: ConnectionId) -> bool {
        metrics::GAPS_FILLED.count([]);
        loop {
            let Some(Followed { scope, state: State::Ready(positions) }) = self.companies.get_mut(company) else {
                return true;
            };
            let missing = match missing(&self.app, scope, connection, positions.of(connection)).await {
                Ok(missing) => missing,
                Err(error) => {
                    tracing::warn!(%company, %error, "what sockets missed cannot be read now");
                    self.behind.insert((company.clone(), connection));
                    return !matches!(error, StoreError::Away(_));
                }
            };
            for event in &missing {
                positions.advance(connection, event.offset);
            }
            let all = i64::try_from(missing.len()).is_ok_and(|read| read < READING);
            for told in missing.into_iter().filter_map(|event| serde_json::from_value(event.payload).ok()) {
                self.emit(company, &told);
            }
            if all {
                self.behind.remove(&(company.clone(), connection));
                return true;
            }
        }
    }

    async fn round(&mut self) {
        let (audience, wanted) = (&self.audience, &self.wanted);
        self.companies.retain(|company, followed| {
            let awaited = |waiting: &[oneshot::Sender<_>]| waiting.iter().any(|ready| !ready.is_closed());
            let keep =
                audience.has(company) || matches!(&followed.state, State::NotYet { waiting, .. } if awaited(waiting));
            if !keep {
                want(wanted, |channels| channels.remove(&company_channel(company)));
            }
            keep
        });
        metrics::COMPANIES_FOLLOWED.set_count(self.companies.len(), []);
        if self.joined > 0 && !self.look().await {
            return;
        }
        let mut behind = std::mem::take(&mut self.behind).into_iter();
        while let Some((company, connection)) = behind.next()
            && self.fill(&company, connection).await
        {}
        self.behind.extend(behind);
    }

    /// What a change in the cluster says.
    async fn changed(&self, change: Change) {
        let (known, gone) = match change {
            Change::Deleted(known) => (known, true),
            Change::Wanted(known) => (known, false),
        };
        if !self.audience.has(&known.company) {
            return;
        }
        if gone {
            return self.emit(&known.company, &status_now(known.id, DELETED, None));
        }
        let session = self.app.ask_relay(async |relay| relay.status(known.id).await).await;
        // Without Redis nobody knows how a running one is. When it is back the sockets are closed and look again.
        if session.is_err() && known.wanted() {
            return;
        }
        let now = live(&known, session.ok().flatten().as_ref());
        self.emit(&known.company, &status_now(known.id, now.status, now.reason.as_deref()));
    }

    fn emit(&self, company: &CompanyId, told: &Told) {
        for member in self.audience.of(company) {
            if member.tell(told) == Pace::FellBehind {
                self.transports.close(&member.socket);
            }
        }
    }

    /// Clients then come again by themselves, and resume or load everything.
    fn close_all(&self) {
        for member in self.audience.all() {
            self.close(&member);
        }
    }

    /// It may have missed something: what comes after that is not told to it.
    fn close(&self, member: &Member) {
        member.give_up();
        self.transports.close(&member.socket);
    }
}

/// Changes what is wanted and gives the version from which on that holds.
fn want(wanted: &watch::Sender<Wanted>, change: impl FnOnce(&mut BTreeSet<String>) -> bool) -> u64 {
    wanted.send_modify(|wanted| {
        wanted.version += 1;
        change(&mut wanted.channels);
    });
    wanted.borrow().version
}

async fn positions(app: &App, scope: &TenantScope) -> Result<Positions, StoreError> {
    let mut tx = app.store().begin(scope).await?;
    let positions = tx.positions().await?;
    tx.commit().await?;
    Ok(Positions::new(positions))
}

async fn missing(
    app: &App,
    scope: &TenantScope,
    connection: ConnectionId,
    after: Offset,
) -> Result<Vec<ToldEvent>, StoreError> {
    let mut tx = app.store().begin(scope).await?;
    let events = tx.told_after(&[(connection, after)], READING).await?;
    tx.commit().await?;
    Ok(events)
}

/// A new code, in the words of a status, so that one listener of the frontend serves both.
fn code_shown(known: &Known, code: &LinkCode) -> Told {
    let mut told = status_now(known.id, relay::SessionState::AwaitingLink.as_str(), None);
    if let Some(data) = told.data.as_object_mut() {
        data.insert("qr".to_owned(), json!(data_url(code)));
        data.insert("linkCode".to_owned(), json!(LinkCodeView::from(code)));
    }
    told
}
