//! A simulator, a Redis and volumes, and pods that run between them. Waits are for conditions, each with an end.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use harness::eventually;
use jiff::{SignedDuration, Timestamp};
use relay::{
    ApiRelay, ChatId, Command, CommandAction, ConnectionId, Credentials, Endpoint, Event, LinkCode, Message, MessageId,
    Offset, OperatorRelay, Outcome, Redis, SessionState, SessionStatus,
};
use runtime::health::Health;
use session_pod::pod::{self, Exit, Surroundings};
use session_pod::settings::Arguments;
use simulator::{Simulator, SimulatorSettings};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The phone that is linked, and those that write to it.
pub const PHONE: &str = "5511999999999";
pub const ANA: &str = "5511888888888@c.us";
pub const BEN: &str = "5511777777777@c.us";
pub const HIDDEN: &str = "100000000000077@lid";
pub const GROUP: &str = "120363000000000001@g.us";

/// For what takes a browser: it starts in seconds, on a busy machine in many.
pub const LONG: Duration = Duration::from_secs(90);
/// Within this a session is where it should be once its trouble is over, on a busy machine, and unless a test says otherwise.
pub const RECOVERS: Duration = Duration::from_secs(30);
/// For what takes a message.
pub const SHORT: Duration = Duration::from_secs(20);

/// Worlds at once. Most of a test is waiting; more browsers than this would be waiting for each other.
static PLACES: Semaphore = Semaphore::const_new(4);

/// Everything around a pod.
pub struct World {
    pub simulator: Simulator,
    pub redis: harness::Redis,
    pub connection: ConnectionId,
    pub api: ApiRelay,
    /// Where pods find Redis.
    pub redis_url: String,
    /// Further arguments of the browser.
    pub browser_arguments: String,
    pub folder: tempfile::TempDir,
    arguments: Vec<String>,
    _place: SemaphorePermit<'static>,
}

/// A running pod.
pub struct Pod {
    pub stop: CancellationToken,
    pub health: Health,
    task: JoinHandle<Exit>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(SimulatorSettings::default(), &[]).await
    }

    pub async fn with(settings: SimulatorSettings, arguments: &[&str]) -> Self {
        let place = PLACES.acquire().await.expect("never closed");
        // The first world's holds for all; without a collector there is nothing to end.
        let _telemetry = runtime::telemetry::start("session-pod", runtime::telemetry::LogFormat::Text, None);
        let (simulator, redis) =
            (Simulator::start(settings).await.expect("a simulator"), harness::Redis::start().await);
        let connection = ConnectionId(Uuid::from_u128(u128::from(redis.port())));
        let folder = tempfile::tempdir().expect("a folder");
        let client = connect(&redis.url());
        // As the operator does it: the pod gets a user of its own with the rights it needs and no others.
        let credentials = Credentials::of_session(connection, "secret".to_owned());
        OperatorRelay::new(client.clone()).allow(connection, &[credentials.password()]).await.expect("a user");
        let mut save = redis::cmd("ACL");
        save.arg("SAVE").query_async::<()>(&mut client.clone()).await.expect("saved");
        std::fs::write(folder.path().join("username"), &credentials.user).expect("written");
        std::fs::write(folder.path().join("password"), credentials.password()).expect("written");
        Self {
            simulator,
            redis_url: redis.url(),
            redis,
            connection,
            api: ApiRelay::new(client),
            browser_arguments: String::new(),
            folder,
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            _place: place,
        }
    }

    /// A pod of this name on the connection's volume.
    pub fn pod(&self, uid: &str) -> Pod {
        self.pod_on(uid, "volume")
    }

    /// A pod on a volume of its own.
    pub fn pod_on(&self, uid: &str, volume: &str) -> Pod {
        let settings = Arguments::parse_from(self.command_line(uid, volume)).judge().unwrap_or_else(|complaints| {
            panic!("settings: {:?}; is session-pod/page built (npm ci && npm run build)?", complaints.all())
        });
        // In the process of the tests nobody may end it: the guard of this has no thread.
        let surroundings = Surroundings::default();
        let (stop, health) = (surroundings.stop.clone(), surroundings.health.clone());
        Pod { stop, health, task: tokio::spawn(pod::run(settings, surroundings)) }
    }

    pub fn command_line(&self, uid: &str, volume: &str) -> Vec<String> {
        let folder = self.folder.path();
        let mut all = vec![
            "session-pod".to_owned(),
            format!("--connection-id={}", self.connection),
            "--company-id=acme".to_owned(),
            format!("--pod-uid={uid}"),
            format!("--redis-url={}", self.redis_url),
            format!("--redis-credentials-dir={}", folder.display()),
            format!("--profile-dir={}", folder.join(volume).display()),
            format!("--scratch-dir={}", folder.join("scratch").join(uid).display()),
            format!("--page-dir={}", page().display()),
            format!(
                "--browser-args=--no-sandbox --host-resolver-rules=MAP web.whatsapp.com {} \
                 --ignore-certificate-errors-spki-list={} {}",
                self.simulator.page_addr(),
                self.simulator.spki(),
                self.browser_arguments
            ),
            "--send-gap-ms=0".to_owned(),
            "--log-format=text".to_owned(),
        ];
        all.extend(self.arguments.iter().cloned());
        all
    }

    /// Starts Redis again, and waits until it answers the API: a connection learns from a failure that it is broken.
    pub async fn bring_redis_back(&mut self) {
        self.redis.resume().await;
        let (mut api, connection) = (self.api.clone(), self.connection);
        eventually(SHORT, "an answer of Redis", async || {
            api.status(connection).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }

    /// Where the files with its Redis credentials are.
    pub fn credentials(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A connection of the API's.
    pub fn client(&self) -> Redis {
        connect(&self.redis.url())
    }

    pub async fn status(&mut self) -> Option<SessionStatus> {
        self.api.status(self.connection).await.expect("Redis answers").map(|envelope| envelope.payload)
    }

    /// Takes the status of a pod that is no more out of Redis: what stands there next is the next one's.
    pub async fn forget_status(&mut self) {
        let status = relay::Names(self.connection).status();
        redis::cmd("DEL").arg(status).query_async::<()>(&mut self.client()).await.expect("deleted");
    }

    /// Waits for a state, and gives the whole status.
    pub async fn state(&mut self, state: SessionState) -> SessionStatus {
        let (mut api, connection) = (self.api.clone(), self.connection);
        eventually(LONG, state.as_str(), async || {
            let status = api.status(connection).await.map_err(|error| error.to_string())?;
            match status.map(|envelope| envelope.payload) {
                Some(status) if status.state == state => Ok(status),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// Waits for a link code.
    pub async fn code(&mut self) -> LinkCode {
        let (mut api, connection) = (self.api.clone(), self.connection);
        eventually(LONG, "a link code", async || match api.link(connection).await {
            Ok(Some(code)) => Ok(code),
            other => Err(format!("{other:?}")),
        })
        .await
    }

    /// Waits for a link code and scans it.
    pub async fn scan(&mut self) {
        // The page may have made a newer one by the time it is scanned.
        let (mut api, connection, simulator) = (self.api.clone(), self.connection, &self.simulator);
        eventually(LONG, "a QR code that can be scanned", async || {
            let code = api.link(connection).await.map_err(|error| error.to_string())?.ok_or("no code")?;
            simulator.scan(&code.code, PHONE, Some("Acme")).map_err(|refusal| format!("{refusal:?}"))
        })
        .await;
        self.state(SessionState::Connected).await;
    }

    /// All events so far.
    pub async fn events(&mut self) -> Vec<Event> {
        let entries = self.api.events(self.connection, Offset::START, 10_000).await.expect("Redis answers");
        let mut previous = Offset::START;
        entries
            .iter()
            .map(|entry| {
                assert_eq!(entry.previous, previous, "a gap in the stream");
                previous = entry.offset;
                entry.decode().expect("readable").payload
            })
            .collect()
    }

    /// Waits for an event that `wanted` takes.
    pub async fn event<T>(&mut self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        self.event_within(SHORT, what, wanted).await
    }

    pub async fn event_within<T>(&mut self, patience: Duration, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let (mut api, connection) = (self.api.clone(), self.connection);
        eventually(patience, what, async || {
            let entries = api.events(connection, Offset::START, 10_000).await.map_err(|error| error.to_string())?;
            let events: Vec<_> = entries.iter().filter_map(|e| e.decode().ok()).map(|e| e.payload).collect();
            events.iter().find_map(&wanted).ok_or_else(|| format!("{events:#?}"))
        })
        .await
    }

    /// Waits for a message of this text.
    pub async fn message(&mut self, text: &str) -> Message {
        self.message_within(text, SHORT).await
    }

    pub async fn message_within(&mut self, text: &str, patience: Duration) -> Message {
        self.event_within(patience, &format!("the message {text:?}"), |event| match event {
            Event::Message(message) if message.text.as_deref() == Some(text) => Some(message.clone()),
            _ => None,
        })
        .await
    }

    /// How often a message of this text was told.
    pub async fn times_told(&mut self, text: &str) -> usize {
        let is = |event: &&Event| matches!(event, Event::Message(message) if message.text.as_deref() == Some(text));
        self.events().await.iter().filter(is).count()
    }

    /// Sends a command and waits for its outcome.
    pub async fn order(&mut self, action: CommandAction) -> Outcome {
        let command = command(action, SignedDuration::from_secs(60));
        let id = command.id;
        self.give(command).await;
        self.outcome(id).await
    }

    pub async fn give(&mut self, command: Command) {
        self.api.send(self.connection, command, runtime::ambient::now()).await.expect("Redis answers");
    }

    pub async fn outcome(&mut self, id: Uuid) -> Outcome {
        self.outcome_within(id, SHORT).await
    }

    pub async fn outcome_within(&mut self, id: Uuid, patience: Duration) -> Outcome {
        self.event_within(patience, "the outcome", |event| match event {
            Event::CommandDone { command, outcome } if *command == id => Some(outcome.clone()),
            _ => None,
        })
        .await
    }

    /// How many texts of these words the account's pages have sent.
    pub fn sends(&self, words: &str) -> usize {
        self.simulator.sent(PHONE).expect("an account").iter().filter(|sent| sent.text == words).count()
    }

    /// How many profiles of earlier links stand on the volume.
    pub fn set_aside(&self) -> usize {
        let profile = self.folder.path().join("volume/profile");
        std::fs::read_dir(session_pod::browser::set_aside::folder(&profile)).map_or(0, Iterator::count)
    }

    /// The process ids of the browser on this world's volumes: the browser itself, not its children.
    pub fn browsers(&self) -> Vec<i32> {
        let marker = format!("--user-data-dir={}", self.folder.path().display());
        let all: Vec<_> = processes()
            .filter(|(_, line)| line.contains(&marker) && !line.contains("--type="))
            .map(|(pid, _)| pid)
            .collect();
        // A child that has not become another program yet has its parent's command line.
        all.iter().copied().filter(|pid| stat(*pid).is_some_and(|stat| !all.contains(&stat.parent))).collect()
    }

    /// The process ids of the browser's pages.
    pub fn renderers(&self) -> Vec<i32> {
        let browsers = self.browsers();
        let is_ours = |pid| stat(pid).is_some_and(|stat| browsers.contains(&stat.group));
        processes()
            .filter(|(pid, line)| line.contains("--type=renderer") && is_ours(*pid))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// What the lease says: its holder with its fence, and how long it still runs.
    pub async fn lease(&mut self) -> Option<(String, Duration)> {
        let key = relay::Names(self.connection).lease();
        let (holder, left): (Option<String>, i64) =
            redis::pipe().get(&key).pttl(&key).query_async(&mut self.client()).await.expect("Redis answers");
        let holder = holder?.rsplit_once('#').expect("a count of renewals").0.to_owned();
        Some((holder, Duration::from_millis(u64::try_from(left).unwrap_or(0))))
    }

    /// What becomes of the lease when Redis' clock is set by so many hours, forward or back.
    pub async fn set_the_clock_of_redis(&mut self, hours: i64) {
        let (_, left) = self.lease().await.expect("is held");
        let left = i64::try_from(left.as_millis()).expect("hours") - hours * 3_600_000;
        let mut expire = redis::cmd("PEXPIRE");
        expire.arg(relay::Names(self.connection).lease()).arg(left);
        expire.query_async::<()>(&mut self.client()).await.expect("Redis answers");
    }

    /// How often a link code was shown so far: a login that was lost shows one more.
    pub async fn links_shown(&mut self) -> usize {
        let shows =
            |event: &&Event| matches!(event, Event::State(change) if change.state == SessionState::AwaitingLink);
        self.events().await.iter().filter(shows).count()
    }

    /// No process of a browser is left. One that was killed is gone a moment later.
    pub async fn no_browser_is_left(&self) {
        let marker = self.folder.path().display().to_string();
        eventually(Duration::from_secs(2), "no browser", async || {
            let left: Vec<_> =
                processes().filter(|(_, line)| line.contains(&marker) && line.contains("chrom")).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }
}

/// What `/proc/<pid>/stat` says of a process.
pub struct Stat {
    pub state: char,
    pub parent: i32,
    pub group: i32,
}

pub fn stat(pid: i32) -> Option<Stat> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some(Stat { state, parent: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
}

/// The living processes with their command lines.
fn processes() -> impl Iterator<Item = (i32, String)> {
    std::fs::read_dir("/proc").expect("proc").filter_map(|entry| {
        let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())?;
        Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
    })
}

fn connect(url: &str) -> Redis {
    Endpoint::new(url, None).expect("a URL").connect().expect("a connection")
}

impl Pod {
    /// Ends it as SIGTERM does.
    pub async fn end(self) -> Exit {
        self.stop.cancel();
        self.exit().await
    }

    /// Waits until it ends by itself.
    pub async fn exit(self) -> Exit {
        tokio::time::timeout(Duration::from_secs(45), self.task).await.expect("ends in 45 s").expect("no panic")
    }
}

pub fn command(action: CommandAction, lives: SignedDuration) -> Command {
    let now: Timestamp = runtime::ambient::now();
    Command { id: runtime::ambient::new_id(), deadline: now + lives, action, trace: None }
}

pub fn chat(id: &str) -> ChatId {
    id.parse().expect("a chat id")
}

/// A send under a new id.
pub fn text(to: &str, text: &str) -> (MessageId, CommandAction) {
    let message = MessageId::outgoing(&chat(to), runtime::ambient::random_bytes());
    (message.clone(), CommandAction::SendText { message, chat: chat(to), text: text.to_owned() })
}

/// The scripts for the page, which npm makes.
fn page() -> PathBuf {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("page/dist");
    assert!(page.join("bridge.js").exists(), "{} is not built: run `make lint`", page.display());
    page
}
