//! Starts everything in order and stops it in order. The only place that knows all the parts.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crds::WhatsAppConnection;
use futures::{Stream, StreamExt, stream};
use kube::Client;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use relay::{Names, Note, OperatorRelay, subscribe};
use runtime::health::Health;
use runtime::shutdown::Shutdown;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::error::Error;
use crate::context::Context;
use crate::leader::{Leadership, campaign, guarded};
use crate::settings::Settings;
use crate::watch::Started;
use crate::{census, cleanup, company, connection, definition, metrics, rotation, watch};

/// Everything is looked at this often, whatever the watches say.
pub(crate) const SWEEP: Duration = Duration::from_mins(1);

/// How often the watches are looked at.
const WATCHDOG: Duration = Duration::from_secs(1);

/// Longest round of the election: its calls have deadlines of seconds.
const ELECTION: Duration = Duration::from_mins(1);

/// Connections that wait to be looked at again.
const QUEUE: usize = 1024;

/// Reconciles at once. More only queue up at the API server.
const CONCURRENCY: u16 = 64;

/// What is under way when the operator is told to end may go on for this long. Then it is dropped: every step can be done
/// again, and the next leader waits. With its poll of 2 s and three calls an orderly change takes less than 5 s.
const LAST_STEPS: Duration = Duration::from_millis(1500);

/// How long tasks may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Prints the custom resource definitions.
#[must_use]
#[expect(clippy::print_stdout, reason = "printing them is the task")]
pub fn print_definitions() -> ExitCode {
    match crds::yaml::definitions() {
        Ok(definitions) => {
            for (_, yaml) in definitions {
                println!("---\n{yaml}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    tracing::error!(%error, "cannot start");
    ExitCode::FAILURE
}

/// The operator as a process.
pub async fn run(settings: Settings) -> ExitCode {
    let telemetry = runtime::telemetry::start("whatsapp-operator", settings.log_format, settings.collector.as_ref());
    let code = run_until_told(settings).await;
    telemetry.finish().await;
    code
}

async fn run_until_told(settings: Settings) -> ExitCode {
    let (shutdown, handle, client) = match (
        Shutdown::on_signal(),
        runtime::metrics::install(metrics::ALL, &metrics::READY),
        crate::client::client().await,
    ) {
        (Ok(shutdown), Ok(handle), Ok(client)) => (shutdown, handle, client),
        (Err(error), ..) => return failed(&error),
        (_, Err(error), _) => return failed(&error),
        (.., Err(error)) => return failed(&error),
    };
    let health = Health::default();
    shutdown.spawn("admin", runtime::admin::serve(settings.admin_address, health.clone(), handle, shutdown.token()));
    if let Err(error) = operate(settings, client, &health, &shutdown) {
        return failed(&error);
    }
    if shutdown.finished(GRACE).await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Starts the operator's tasks; they end with the shutdown's token.
pub fn operate(
    settings: Settings,
    client: Client,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), relay::RelayError> {
    let Started { cluster, connections, companies, told, lives } = watch::start(&client, settings.watch);
    let reporter = Reporter { controller: "whatsapp-operator".to_owned(), instance: Some(settings.pod_name) };
    let leadership = Leadership::default();
    let writes = guarded(&client, &leadership);
    let permit = leadership.clone();
    let (look_again, looked_at_again) = mpsc::channel(QUEUE);
    let context = Arc::new(Context {
        recorder: Recorder::new(writes.clone(), reporter),
        client: writes,
        cluster,
        relay: OperatorRelay::new(settings.redis.connect()?).changing_while(move || permit.holds()),
        leadership: leadership.clone(),
        session: settings.session,
        fencing_margin: settings.fencing_margin,
        memory: crate::memory::Memory::new(settings.checking),
        without_access: crate::context::Marks::default(),
        redis_is_back: tokio::sync::Notify::default(),
        look_again,
        turns: crate::context::Turns::default(),
    });
    let watch::Told { look_at, deleted, homes } = told;
    let statuses = statuses(subscribe(settings.redis, vec![OperatorRelay::STATUS.to_owned()]), context.clone());
    let controller = Controller::for_stream(connections.map(Ok), context.cluster.connections.clone())
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(drained(look_at))
        .reconcile_on(drained(looked_at_again))
        .reconcile_on(statuses)
        .reconcile_all_on(ticks(SWEEP))
        .reconcile_all_on(leadership.gained())
        .graceful_shutdown_on(shutdown.token().cancelled_owned())
        .run(reconcile, |connection, error, context| after_error(&connection, error, &context), context.clone())
        // Errors were logged where they happened; here the stream only has to be drained.
        .for_each(|_| std::future::ready(()));

    let (token, acting) = (shutdown.token(), TaskTracker::new());
    let definition = definition::watch(context.client.clone(), health.gate("definition"));
    shutdown.spawn("definition", until(token.clone(), definition));
    // It ends by itself once the reconciles under way have ended.
    let late = token.clone();
    let late = async move {
        late.cancelled().await;
        tokio::time::sleep(LAST_STEPS).await;
    };
    let controller = async move {
        tokio::select! {
            () = controller => {}
            () = late => tracing::warn!("reconciles that did not end in time are left to the next leader"),
        }
    };
    shutdown.spawn("controller", acting.track_future(finished(controller)));
    shutdown.spawn("companies", until(token.clone(), companies));
    shutdown.spawn("census", until(token.clone(), census::run(context.clone())));
    shutdown.spawn("users", finished(context.relay.clone().keep_users(token.clone().cancelled_owned())));
    shutdown.spawn("watchdog", until(token.clone(), watchdog(lives, health.clone(), settings.watch.stale)));
    shutdown.spawn("cleanup", acting.track_future(until(token.clone(), cleanup::follow(deleted, context.clone()))));
    shutdown
        .spawn("sweep", acting.track_future(until(token.clone(), cleanup::regularly(context.clone(), health.clone()))));
    let rotation = until(token.clone(), rotation::keep(context.clone(), settings.rotation));
    shutdown.spawn("rotation", acting.track_future(rotation));
    shutdown.spawn("homes", acting.track_future(until(token.clone(), company::keep(homes, context, settings.network))));
    acting.close();
    let pulse = health.pulse("election", ELECTION);
    let idle = async move { acting.wait().await };
    let election = async move { campaign(&client, settings.election, leadership, || pulse.beat(), token, idle).await };
    shutdown.spawn("election", finished(election));
    Ok(())
}

async fn finished(task: impl Future<Output = ()>) -> Result<(), Error> {
    task.await;
    Ok(())
}

async fn until(token: CancellationToken, task: impl Future<Output = ()>) -> Result<(), Error> {
    tokio::select! {
        () = token.cancelled() => {}
        () = task => {}
    }
    Ok(())
}

async fn reconcile(connection: Arc<WhatsAppConnection>, context: Arc<Context>) -> Result<Action, Error> {
    if !context.leadership.holds() {
        // A standby keeps its caches warm and decides nothing; everything is looked at when it is its turn.
        return Ok(Action::await_change());
    }
    let began = Instant::now();
    let outcome = connection::reconcile(connection.clone(), context).await;
    metrics::reconciled(began.elapsed(), outcome.as_ref().err().map(Error::category));
    if let Err(error) = &outcome
        && !error.is_passing()
    {
        let (id, company) = (&connection.metadata.uid, &connection.spec.company_id);
        tracing::warn!(%error, connection = id, company, "reconcile failed");
    }
    outcome
}

fn after_error(connection: &WhatsAppConnection, _: &Error, context: &Context) -> Action {
    let id = connection.metadata.uid.as_deref().and_then(|uid| uid.parse().ok());
    let id = id.filter(|id| context.cluster.reference(id).is_some());
    let (now, jitter) = (runtime::ambient::now(), runtime::ambient::random_fraction());
    Action::requeue(id.map_or(SWEEP, |id| context.memory.failures.another(id, now, jitter)))
}

/// The connections whose sessions have spoken. After a lost subscription that may be any of them.
fn statuses(
    notes: impl Stream<Item = Note> + Send + Unpin + 'static,
    context: Arc<Context>,
) -> impl Stream<Item = ObjectRef<WhatsAppConnection>> + Send + 'static {
    notes.flat_map(move |note| {
        let references = match note {
            Note::Subscribed => {
                context.redis_is_back.notify_one();
                context.cluster.connections.state().iter().map(|c| ObjectRef::from_obj(&**c)).collect()
            }
            Note::Message { channel, .. } => {
                Names::of_channel(&channel).and_then(|names| context.cluster.reference(&names.0)).into_iter().collect()
            }
            Note::Joined(_) => Vec::new(),
        };
        stream::iter::<Vec<_>>(references)
    })
}

fn drained<T: Send + 'static>(receiver: tokio::sync::mpsc::Receiver<T>) -> impl Stream<Item = T> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) })
}

fn ticks(period: Duration) -> impl Stream<Item = ()> + Send + 'static {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold(interval, |mut interval| async move {
        interval.tick().await;
        Some(((), interval))
    })
}

/// Tells how long the watches have been silent, and lets the liveness probe fail when one of them is stale: what it
/// cannot mend by itself a restart does.
async fn watchdog(lives: watch::Lives, health: Health, stale: Duration) {
    let pulse = health.pulse("watches", stale);
    let mut look = interval(WATCHDOG);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        pulse.beat_at(lives.all_answered_since());
        metrics::watch_ages(lives.ages(std::time::Instant::now()));
    }
}
