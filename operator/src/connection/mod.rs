//! Reconciles one connection: observe, validate, plan, apply, report. Nothing else happens here.

pub mod apply;
pub mod build;
pub mod error;
pub mod fencing;
pub mod observe;
pub mod ownership;
pub mod plan;
pub mod report;
pub mod status;
pub mod validate;

use std::sync::Arc;
use std::time::Duration;

use crds::WhatsAppConnection;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use relay::ConnectionId;
use runtime::trace;
use tracing::Instrument;
use tracing::field::Empty;

use crate::context::Context;
use error::{Class, Error};
use plan::Tried;

/// Longest reconcile. Every call inside has a shorter deadline; this ends whatever was forgotten.
const DEADLINE: Duration = Duration::from_secs(30);

/// One pass. What it returns says when to look again if nothing happens before.
pub async fn reconcile(connection: Arc<WhatsAppConnection>, context: Arc<Context>) -> Result<Action, Error> {
    let id = connection.uid().unwrap_or_default().parse()?;
    let outcome = tokio::time::timeout(DEADLINE, pass(id, &connection, &context)).await.unwrap_or(Err(Error::Deadline));
    // One that was deleted meanwhile had been forgotten, and was just remembered anew.
    if context.cluster.reference(&id).is_none() {
        context.memory.forget(&id);
    }
    outcome
}

async fn pass(id: ConnectionId, connection: &WhatsAppConnection, context: &Context) -> Result<Action, Error> {
    let memory = &context.memory;
    if memory.generations.edited(id, connection.metadata.generation.unwrap_or_default()) {
        // Whatever was refused, something else is asked for now.
        for ledger in [&memory.refusals, &memory.growths, &memory.attempts] {
            ledger.forget(&id);
        }
        memory.reports.edited(id);
    }
    let before = memory.reports.standing(id, connection);
    let now = runtime::ambient::now();
    let mut seen = match observe::objects(connection, before.as_ref(), context).await {
        Err(error @ Error::HomeNotReady { lasts: true, .. }) => {
            let next = status::unready_namespace(connection, before.as_ref(), &error, now);
            report::report(connection, id, before.as_ref(), next, context).await?;
            return Err(error);
        }
        seen => seen?,
    };
    seen.lease = observe::lease(connection, &seen, context).await;
    let valid = validate::validate(connection, &seen);
    let tried =
        Tried { starts: memory.attempts.of(&id), refusals: memory.refusals.of(&id), growths: memory.growths.of(&id) };
    let plan = plan::plan(valid.as_ref(), &seen, &tried, now);
    let applied = match &valid {
        Ok(valid) => {
            let answered = before.as_ref().and_then(|before| before.observed_generation);
            apply::apply(valid, &plan, context).instrument(span(connection, answered, &plan)).await
        }
        Err(_) => Ok(()),
    };
    remember(id, &plan, &applied, context);
    // What was just made is seen already; the caches will know it in a moment.
    seen.pod = memory.pods.written(&id).or(seen.pod);
    seen.claim = memory.claims.written(&id).or(seen.claim);
    seen.storage_class = observe::storage_class(&seen, context).await;
    // Without Redis pods are still made and ended, and what is wrong with them is told. Of the session of a pod that is ready
    // nothing new is known: what stands in its status goes on standing.
    seen.session = observe::session(&seen, context).await?;
    let hindrance = match (&valid, &applied) {
        (Err(invalid), _) => Hindrance::Invalid(invalid),
        (Ok(_), Err(error)) => Hindrance::Failed(error),
        (Ok(_), Ok(())) if plan.again_after.is_some() => Hindrance::Waiting,
        (Ok(_), Ok(())) => Hindrance::None,
    };
    if matches!(hindrance, Hindrance::None) {
        memory.failures.forget(&id);
    }
    let next = status::next(connection, before.as_ref(), &hindrance, &seen, now);
    let wait = report::report(connection, id, before.as_ref(), next, context).await?;
    applied?;
    let soonest = [wait, plan.again_after, memory.pods.believed(&id), memory.claims.believed(&id), seen.check_after]
        .into_iter()
        .flatten()
        .min();
    Ok(soonest.map_or_else(Action::await_change, Action::requeue))
}

/// A refusal that only somebody else can lift is not asked for again and again.
fn remember(id: ConnectionId, plan: &plan::Plan, applied: &Result<(), Error>, context: &Context) {
    let (memory, now, jitter) = (&context.memory, runtime::ambient::now(), runtime::ambient::random_fraction());
    match applied {
        Err(Error::CannotGrow(_)) => _ = memory.growths.another(id, now, jitter),
        Err(error) if matches!(error.class(), Class::Blocked(_)) => _ = memory.refusals.another(id, now, jitter),
        // Nothing was held back and everything was taken.
        Ok(()) if !plan.actions.is_empty() && plan.again_after.is_none() => {
            memory.refusals.forget(&id);
            memory.growths.forget(&id);
        }
        Ok(()) | Err(_) => {}
    }
}

/// Of the trace of what asked for the spec, where something is done about it. That most reconciles do nothing is no news,
/// and would make a trace that never ends.
fn span(connection: &WhatsAppConnection, answered: Option<i64>, plan: &plan::Plan) -> tracing::Span {
    if plan.actions.is_empty() {
        return tracing::Span::none();
    }
    let (id, company) = (connection.metadata.uid.as_deref(), &connection.spec.company_id);
    let span = tracing::info_span!(target: trace::TARGET, "apply", connection = id, company, trace_id = Empty);
    // What is done about a spec that was answered already, such as another pod for one that was killed, nobody asked for.
    if answered != connection.metadata.generation {
        trace::follow(&span, connection.annotations().get(crds::TRACE_ANNOTATION));
    }
    span
}

/// What stands in the way of what is wanted.
pub enum Hindrance<'a> {
    /// Nothing.
    None,
    /// The spec.
    Invalid(&'a validate::Invalid),
    /// A step that failed just now.
    Failed(&'a Error),
    /// Too many tries lately. Why they failed was said before and still holds.
    Waiting,
}
