//! A connection as clients see it.

use crds::{LinkMethod, State};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::ResourceExt;
use relay::{ConnectionId, Envelope, SessionStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::live::{Live, live};
use crate::auth::Tenant;
use crate::fleet::Known;
use crate::openapi::schemas;

/// Statuses that are asked for at once; they share one Redis connection, so this only bounds memory.
const AT_ONCE: usize = 32;

/// The body of every answer about one connection.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Connection)]
pub struct ConnectionView {
    /// The connection's id, for ever.
    #[schema(value_type = Uuid)]
    pub id: ConnectionId,
    /// Name for people.
    #[schema(example = "Sales")]
    pub name: String,
    /// The same.
    #[schema(example = "Sales")]
    pub display_name: String,
    /// Name of the `WhatsAppConnection`, for kubectl.
    #[schema(example = "sales-0a1b2c3d")]
    pub resource_name: String,
    /// What is wanted.
    #[schema(schema_with = schemas::wanted_state)]
    pub state: State,
    /// How it is.
    #[schema(schema_with = schemas::connection_status)]
    pub status: &'static str,
    /// Why, as a CamelCase word, where the status alone does not say.
    pub reason: Option<String>,
    /// How its phone is linked.
    pub link: LinkView,
    /// The linked account.
    pub account: Option<AccountView>,
    /// When it was last seen connected to WhatsApp.
    pub last_connected_at: Option<Timestamp>,
    /// The latest loss of that.
    pub last_disconnect: Option<DisconnectView>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// How a phone is linked.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Link)]
pub struct LinkView {
    /// By which kind of code.
    #[schema(schema_with = schemas::link_method)]
    pub method: LinkMethod,
    /// Number of the phone, where a pairing code is used: digits with country code.
    #[schema(example = "5511999999999")]
    pub phone_number: Option<String>,
}

/// The linked account.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Account)]
pub struct AccountView {
    /// WhatsApp's id.
    #[schema(example = "5511999999999@c.us")]
    pub id: String,
    /// Its phone number, digits with country code.
    pub phone: Option<String>,
    /// Name that it shows to others.
    pub push_name: Option<String>,
}

/// A loss of the connection to WhatsApp.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Disconnect)]
pub struct DisconnectView {
    /// When.
    pub at: Timestamp,
    /// Why, as a CamelCase word.
    pub reason: String,
}

impl ConnectionView {
    /// Of what the cluster and the session say.
    #[must_use]
    pub fn of(known: &Known, session: Option<&Envelope<SessionStatus>>) -> Self {
        let Live { status, reason } = live(known, session);
        let session = session.map(|envelope| &envelope.payload);
        let seen = known.resource.status.as_ref();
        let name = known.display_name();
        let account = session
            .and_then(|session| session.account.as_ref())
            .map(|account| (&account.id, &account.push_name))
            .or_else(|| seen.and_then(|seen| seen.account.as_ref()).map(|account| (&account.id, &account.push_name)));
        let disconnect = session.and_then(|session| session.last_disconnect.as_ref());
        let disconnect = disconnect.map(|last| DisconnectView { at: last.at, reason: last.reason.clone() });
        let seen_disconnect = || {
            let last = seen?.last_disconnect.as_ref()?;
            Some(DisconnectView { at: last.at.0, reason: last.reason.clone() })
        };
        Self {
            id: known.id,
            display_name: name.clone(),
            name,
            resource_name: known.resource.name_any(),
            state: known.resource.spec.state,
            status,
            reason,
            link: LinkView {
                method: known.resource.spec.link.method,
                phone_number: known.resource.spec.link.phone_number.clone(),
            },
            account: account.map(|(id, push_name)| AccountView {
                id: id.clone(),
                phone: id.strip_suffix("@c.us").map(str::to_owned),
                push_name: push_name.clone(),
            }),
            last_connected_at: session
                .and_then(|session| session.last_connected_at)
                .or_else(|| seen.and_then(|seen| seen.last_connected_at.as_ref()).map(|time| time.0)),
            last_disconnect: disconnect.or_else(seen_disconnect),
            created_at: known.created_at(),
        }
    }
}

/// The view of one connection. Reading goes on without Redis: then the cluster's word is all there is.
pub async fn view(tenant: &Tenant, known: &Known) -> ConnectionView {
    let session = tenant.status(known).await;
    ConnectionView::of(known, session.ok().flatten().as_ref())
}

/// The views of several connections, in their order.
pub async fn views(tenant: &Tenant, all: Vec<Known>) -> Vec<ConnectionView> {
    stream::iter(all).map(|known| async move { view(tenant, &known).await }).buffered(AT_ONCE).collect().await
}
