//! Reconciles one connection: observe, validate, plan, apply, report. Nothing else happens here.

pub mod apply;
pub mod build;
pub mod error;
pub mod observe;
pub mod plan;
pub mod status;
pub mod validate;

use std::sync::Arc;
use std::time::Duration;

use crds::WhatsAppConnection;
use kube::runtime::controller::Action;

use crate::context::Context;
use error::Error;

/// Longest reconcile. Every call inside has a shorter deadline; this ends whatever was forgotten.
const DEADLINE: Duration = Duration::from_secs(30);

/// One pass. What it returns says when to look again if nothing happens before.
pub async fn reconcile(connection: Arc<WhatsAppConnection>, context: Arc<Context>) -> Result<Action, Error> {
    tokio::time::timeout(DEADLINE, pass(&connection, &context)).await.unwrap_or(Err(Error::Deadline))
}

async fn pass(connection: &WhatsAppConnection, context: &Context) -> Result<Action, Error> {
    let mut seen = observe::caches(connection, context)?;
    let heard = observe::session(seen.id, context).await;
    let valid = validate::validate(connection, &seen);
    let plan = plan::plan(valid.as_ref(), &seen, &context.attempts.of(&seen.id), runtime::ambient::now());
    let applied = match &valid {
        Ok(valid) => apply::apply(valid, &plan, context).await,
        Err(_) => Ok(()),
    };
    // Without Redis pods are still made and ended, but nothing new can be told of the session: what stands in the status
    // goes on standing.
    seen.session = heard?;
    let hindrance = match (&valid, &applied) {
        (Err(invalid), _) => Hindrance::Invalid(invalid),
        (Ok(_), Err(error)) => Hindrance::Failed(error),
        (Ok(_), Ok(())) if plan.again_after.is_some() => Hindrance::Waiting,
        (Ok(_), Ok(())) => Hindrance::None,
    };
    if matches!(hindrance, Hindrance::None) {
        context.failures.forget(&seen.id);
    }
    let next = status::next(connection, &hindrance, &seen, runtime::ambient::now());
    let wait = apply::report(connection, &seen, next, context).await?;
    applied?;
    Ok(wait.or(plan.again_after).map_or_else(Action::await_change, Action::requeue))
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
