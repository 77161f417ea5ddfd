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
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::connection::error::Error;
use crate::context::Context;
use crate::settings::Settings;
use crate::{cleanup, company, connection, definition, metrics, watch};

/// Everything is looked at this often, whatever the watches say.
const SWEEP: Duration = Duration::from_mins(1);

/// Companies' namespaces are put right this often, and those where it failed this often.
const COMPANY_SWEEP: Duration = Duration::from_mins(10);
const COMPANY_RETRY: Duration = Duration::from_secs(5);

/// Reconciles at once. More only queue up at the API server.
const CONCURRENCY: u16 = 64;

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
    runtime::telemetry::log(settings.log_format);
    let (shutdown, handle, client) =
        match (Shutdown::on_signal(), runtime::telemetry::metrics(), crate::client::client().await) {
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
    let (cluster, connections, follow, told) = watch::start(&client);
    let reporter = Reporter { controller: "whatsapp-operator".to_owned(), instance: Some(settings.pod_name) };
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        cluster,
        relay: OperatorRelay::new(settings.redis.connect()?),
        session: settings.session,
        fencing_margin: settings.fencing_margin,
        memory: crate::memory::Memory::default(),
        without_access: crate::context::Marks::default(),
    });
    let watch::Told { look_at, deleted, homes } = told;
    let statuses = statuses(subscribe(settings.redis, vec![OperatorRelay::STATUS.to_owned()]), context.clone());
    let controller = Controller::for_stream(connections.map(Ok), context.cluster.connections.clone())
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(drained(look_at))
        .reconcile_on(statuses)
        .reconcile_all_on(ticks(SWEEP))
        .graceful_shutdown_on(shutdown.token().cancelled_owned())
        .run(reconcile, |connection, error, context| after_error(&connection, error, &context), context.clone())
        // Errors were logged where they happened; here the stream only has to be drained.
        .for_each(|_| std::future::ready(()));

    let token = shutdown.token();
    let definition = definition::watch(context.client.clone(), health.gate("definition"));
    shutdown.spawn("definition", until(token.clone(), definition));
    // Not raced against the token: it ends by itself once the reconciles under way have ended.
    shutdown.spawn("controller", async {
        controller.await;
        Ok::<_, Error>(())
    });
    let follow_token = token.clone();
    shutdown.spawn("companies", async move { until(follow_token, follow).await });
    shutdown.spawn("cleanup", until(token.clone(), clean(deleted, context.clone())));
    shutdown.spawn("sweep", until(token.clone(), sweep(context.clone(), health.clone())));
    shutdown.spawn("homes", until(token, prepare(homes, context, settings.network)));
    Ok(())
}

async fn until(token: tokio_util::sync::CancellationToken, task: impl Future<Output = ()>) -> Result<(), Error> {
    tokio::select! {
        () = token.cancelled() => {}
        () = task => {}
    }
    Ok(())
}

async fn reconcile(connection: Arc<WhatsAppConnection>, context: Arc<Context>) -> Result<Action, Error> {
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
            Note::Subscribed => context.cluster.connections.state().iter().map(|c| ObjectRef::from_obj(&**c)).collect(),
            Note::Message { channel, .. } => {
                Names::of_channel(&channel).and_then(|names| context.cluster.reference(&names.0)).into_iter().collect()
            }
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

async fn clean(mut deleted: tokio::sync::mpsc::Receiver<relay::ConnectionId>, context: Arc<Context>) {
    while let Some(id) = deleted.recv().await {
        cleanup::after_deletion(id, &context).await;
    }
}

/// Clears Redis regularly, and opens the readiness gates once caches are filled and Redis has answered.
async fn sweep(context: Arc<Context>, health: Health) {
    let (caches, redis) = (health.gate("caches"), health.gate("redis"));
    let pulse = health.pulse("sweep", SWEEP * 3);
    let mut soon = interval(Duration::from_secs(1));
    soon.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_sweep = Instant::now();
    loop {
        soon.tick().await;
        pulse.beat();
        let filled = context.cluster.connections_known() && context.cluster.companies_known();
        caches.follow(&filled.then_some(()).ok_or("not filled yet"));
        if !filled || Instant::now() < next_sweep {
            continue;
        }
        let outcome = cleanup::sweep(&context).await;
        redis.follow(&outcome);
        match outcome {
            Ok(()) => next_sweep = Instant::now() + SWEEP,
            Err(error) => {
                tracing::warn!(%error, "sweep of Redis failed");
                next_sweep = Instant::now() + Duration::from_secs(5);
            }
        }
    }
}

/// Puts companies' namespaces right: when they are seen, soon again where that failed, and regularly.
async fn prepare(
    mut homes: tokio::sync::mpsc::Receiver<(String, relay::CompanyId)>,
    context: Arc<Context>,
    network: crate::settings::SessionNetwork,
) {
    let mut again = interval(COMPANY_RETRY);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_sweep = Instant::now() + COMPANY_SWEEP;
    loop {
        let due: Vec<String> = tokio::select! {
            home = homes.recv() => match home {
                Some((namespace, _)) => vec![namespace],
                None => return,
            },
            _ = again.tick() => {
                let all = Instant::now() >= next_sweep;
                if all {
                    next_sweep = Instant::now() + COMPANY_SWEEP;
                }
                let unprepared = |namespace: &String| context.cluster.company(namespace).is_some_and(|home| !home.is_prepared());
                context.cluster.homes().into_iter().filter(|namespace| all || unprepared(namespace)).collect()
            }
        };
        for namespace in due {
            let Some(home) = context.cluster.company(&namespace) else { continue };
            if company::prepare(&context.client, &namespace, &home.id, &network).await {
                home.set_prepared();
            }
        }
    }
}
