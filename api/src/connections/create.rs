//! `POST /whatsapp/connections`

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use crds::{Link, LinkMethod};
use relay::Phone;
use runtime::ambient;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::name::{display_name, resource_name};
use super::view::ConnectionView;
use crate::auth::Tenant;
use crate::fleet::NewConnection;
use crate::http::{Body, Fields, IdempotencyKey, Object, Repeatable, kept, settled};
use crate::openapi::schemas::{self, IdempotencyHeader};
use crate::problem::Problem;
use crate::store::Claim;

/// A connection to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewConnection)]
pub struct NewConnectionRequest {
    /// Name for people, not blank. `displayName` is another word for it; both must say the same.
    #[schema(schema_with = schemas::display_name, required)]
    name: Option<String>,
    #[schema(ignore)]
    display_name: Option<String>,
    /// How its phone is linked; a QR code unless said.
    #[schema(schema_with = schemas::new_link, required = false)]
    link: Option<Object<LinkRequest>>,
}

/// How a phone is to be linked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LinkRequest {
    #[serde(default)]
    method: LinkMethod,
    phone_number: Option<String>,
}

impl NewConnectionRequest {
    fn parse(self) -> Result<(String, Link), Problem> {
        let mut fields = Fields::default();
        let name = fields.either(("displayName", self.display_name), ("name", self.name));
        let name = fields.require("name", name, display_name);
        let link = match self.link {
            None => Some(Link::default()),
            Some(Object(LinkRequest { method, phone_number })) => {
                let needed = method == LinkMethod::PairingCode || phone_number.is_some();
                let parse = |text: String| text.parse::<Phone>();
                let phone = if needed { fields.require("link.phoneNumber", phone_number, parse) } else { None };
                (phone.is_some() == needed).then(|| Link { method, phone_number: phone.map(String::from) })
            }
        };
        fields.finish(name.zip(link))
    }
}

/// Create a connection
///
/// It belongs to the caller's company and is suspended: `POST …/connect` starts it.
#[utoipa::path(
    post, path = "/whatsapp/connections", operation_id = "createConnection", tag = "connections",
    params(IdempotencyHeader),
    request_body = NewConnectionRequest,
    responses((status = 201, description = "The connection.", body = ConnectionView)),
    extensions(("x-problems" = json!(["company_not_provisioned", "quota_exceeded", "conflict"]))),
)]
pub async fn create(
    tenant: Tenant,
    key: Option<IdempotencyKey>,
    body: Body<NewConnectionRequest>,
) -> Result<Response, Problem> {
    let repeatable = key.map(|key| key.with(&body.digest));
    let (display_name, link) = body.value.parse()?;
    if let Some(answered) = claim(&tenant, repeatable.as_ref()).await? {
        return Ok(answered);
    }
    let name = resource_name(&display_name, suffix(&tenant, repeatable.as_ref()));
    let known = tenant.create(NewConnection { name, display_name, link }).await?;
    tracing::info!(connection = %known.id, "connection created");
    let view = ConnectionView::of(&known, None);
    if let Some(Repeatable { key, .. }) = &repeatable {
        let mut tx = tenant.begin().await?;
        tx.answer(key, StatusCode::CREATED.as_u16(), &kept(&view)?).await?;
        tx.commit().await?;
    }
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// The cluster knows nothing of our transactions, so the key is taken first and answered last. Who crashed in between is
/// repeated under the same name, and finds what it made.
async fn claim(tenant: &Tenant, repeatable: Option<&Repeatable>) -> Result<Option<Response>, Problem> {
    let Some(Repeatable { key, fingerprint }) = repeatable else { return Ok(None) };
    let mut tx = tenant.begin().await?;
    let claim: Claim = tx.claim(key, fingerprint, ambient::now()).await?;
    tx.commit().await?;
    settled(claim)
}

/// Random, or the same for every repetition of one request.
fn suffix(tenant: &Tenant, repeatable: Option<&Repeatable>) -> [u8; 4] {
    let Some(Repeatable { key, .. }) = repeatable else { return ambient::random_bytes() };
    let digest = Sha256::new().chain_update(tenant.company().as_str()).chain_update([0]).chain_update(key).finalize();
    let mut suffix = [0; 4];
    suffix.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    suffix
}
