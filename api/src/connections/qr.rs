//! `GET /whatsapp/connections/{id}/qr`

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use relay::{ConnectionId, LinkCode, LinkKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::link_code::{LinkCodeView, data_url, png_picture, svg_picture, terminal_picture};
use crate::auth::Tenant;
use crate::http::PathId;
use crate::problem::{Code, Problem};

/// The forms in which a code is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Svg,
    Png,
    Text,
}

/// In the order in which one is chosen when the caller does not mind.
const FORMS: [(&str, Form); 4] = [
    ("application/json", Form::Json),
    ("image/svg+xml", Form::Svg),
    ("image/png", Form::Png),
    ("text/plain", Form::Text),
];

/// A code and a picture of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LinkCodeWithPicture)]
pub struct WithPicture {
    #[serde(flatten)]
    code: LinkCodeView,
    /// The QR code as a `data:` URL of an SVG picture; null for a pairing code.
    image: Option<String>,
}

/// Get the code that links a phone
///
/// In the form that `Accept` likes best; JSON when it does not mind. It is a key to the account: whoever reads it can
/// take it.
#[utoipa::path(
    get, path = "/whatsapp/connections/{id}/qr", operation_id = "getQr", tag = "connections",
    params(("id" = Uuid, Path, description = "The connection's id.")),
    responses((status = 200, description = "The code that is shown now.", content(
        (WithPicture = "application/json"),
        (String = "image/svg+xml"),
        (String = "image/png"),
        (String = "text/plain"),
    ))),
    extensions(("x-problems" = json!(["connection_not_found", "no_qr", "not_acceptable"]))),
)]
pub async fn qr(tenant: Tenant, PathId(id): PathId<ConnectionId>, headers: HeaderMap) -> Result<Response, Problem> {
    let known = tenant.connection(id)?;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let form = choose(accept).ok_or_else(|| {
        let detail = "This is given as application/json, image/svg+xml, image/png or text/plain.";
        Problem::new(Code::NotAcceptable, detail)
    })?;
    let code = if known.wanted() { tenant.link_code(&known).await? } else { None };
    let code = code.ok_or_else(|| Problem::new(Code::NoQr, "No code is shown now."))?;
    let mut response = render(&code, form)?;
    response.headers_mut().insert(VARY, ACCEPT.into());
    Ok(response)
}

fn render(code: &LinkCode, form: Form) -> Result<Response, Problem> {
    let failed = |error: &dyn std::fmt::Display| Problem::internal(error);
    Ok(match (form, code.kind) {
        (Form::Json, _) => axum::Json(WithPicture { code: code.into(), image: data_url(code) }).into_response(),
        (Form::Text, LinkKind::PairingCode) => format!("{}\n", code.code).into_response(),
        (Form::Svg | Form::Png, LinkKind::PairingCode) => {
            return Err(Problem::new(Code::NoQr, "A pairing code is shown now, which has no picture."));
        }
        (Form::Text, LinkKind::Qr) => terminal_picture(&code.code).map_err(|error| failed(&error))?.into_response(),
        (Form::Svg, LinkKind::Qr) => {
            ([(CONTENT_TYPE, "image/svg+xml")], svg_picture(&code.code).map_err(|error| failed(&error))?)
                .into_response()
        }
        (Form::Png, LinkKind::Qr) => {
            ([(CONTENT_TYPE, "image/png")], png_picture(&code.code).map_err(|error| failed(&error))?).into_response()
        }
    })
}

/// The form that the caller likes best (RFC 9110, 12.5.1), with the most specific range counting for each.
fn choose(accept: &str) -> Option<Form> {
    let mut best: Option<(f32, Form)> = None;
    for (media_type, form) in FORMS {
        let quality = quality(accept, media_type);
        if quality > 0.0 && best.is_none_or(|(before, _)| quality > before) {
            best = Some((quality, form));
        }
    }
    best.map(|(_, form)| form)
}

fn quality(accept: &str, media_type: &str) -> f32 {
    let whole = media_type.split('/').next().unwrap_or_default();
    let mut found = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let specificity = match parts.next().unwrap_or_default() {
            exact if exact.eq_ignore_ascii_case(media_type) => 3,
            "*/*" => 1,
            part if part.strip_suffix("/*").is_some_and(|kind| kind.eq_ignore_ascii_case(whole)) => 2,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0);
        if specificity > found.0 {
            found = (specificity, weight);
        }
    }
    found.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_what_the_caller_likes_best() {
        for (accept, form) in [
            ("*/*", Some(Form::Json)),
            ("application/json, text/plain, */*", Some(Form::Json)),
            ("text/plain", Some(Form::Text)),
            ("image/*", Some(Form::Svg)),
            ("image/avif,image/webp,image/png,image/svg+xml;q=0.5,*/*;q=0.1", Some(Form::Png)),
            ("IMAGE/PNG", Some(Form::Png)),
            ("image/*, image/svg+xml;q=0", Some(Form::Png)),
            ("application/xml", None),
        ] {
            assert_eq!(choose(accept), form, "{accept}");
        }
    }
}
