//! Schemas of what other crates name, and of parameters. Lists of words come from the types themselves.

use relay::SessionState;
use utoipa::IntoParams;
use utoipa::openapi::schema::{Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};

use crate::connections::live::{STARTING, SUSPENDED};
use crate::messages::view::STATUSES;

/// The parameters of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is read by the derive only: crate::http::ListParams parses them")]
pub struct PageParams {
    /// Items of the page at most.
    #[param(value_type = u16, required = false, minimum = 1, maximum = 200, default = 50, example = 50)]
    limit: Option<u16>,
    /// `nextCursor` of the page before; the first page without it.
    #[param(value_type = String, required = false)]
    cursor: Option<String>,
}

/// The header of requests that may be repeated.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is read by the derive only: crate::http::IdempotencyKey parses it")]
pub struct IdempotencyHeader {
    /// The same request sent twice under one key, within a day, has one effect and one answer. The repeated answer has the
    /// header `Idempotency-Replayed: true`.
    #[param(rename = "Idempotency-Key", required = false, min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: String,
}

/// Name for people: what people write, without NUL, and not blank.
pub fn display_name() -> Object {
    let name = text(128, r"^[^\x00]*[^\s\x00][^\x00]*$", "Sales");
    let description = "Name for people, not blank. `displayName` is another word for it; both must say the same.";
    name.description(Some(description)).build()
}

/// The text of a message.
pub fn message_text() -> Object {
    let text = text(65_536, r"^[^\x00]+$", "Hello");
    text.description(Some("Its text. `content` is another word for it; both must say the same.")).build()
}

/// Whom a message is for.
pub fn recipient() -> Object {
    let number = r"[ .()-]*\+?[ .()-]*[1-9]([ .()-]*[0-9]){6,14}[ .()-]*";
    let chat = r"[0-9]{5,20}@(c\.us|lid)|([0-9]{5,25}|[0-9]{5,20}-[0-9]{5,20})@g\.us";
    let description = "A phone number with country code, as people write them, or WhatsApp's id of a chat.";
    text(255, &format!("^({number}|{chat})$"), "+55 11 99999-9999").description(Some(description)).build()
}

fn text(longest: usize, pattern: &str, example: &str) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(longest));
    text.pattern(Some(pattern)).examples([example])
}

/// How the phone of a new connection is to be linked. A pairing code needs its number.
pub fn new_link() -> Schema {
    let of = |method: &'static str, number: SchemaType| {
        let number = text(15, "^[1-9][0-9]{6,14}$", "5511999999999").schema_type(number);
        let number = number.description(Some("Number of the phone: 7 to 15 digits with country code."));
        ObjectBuilder::new()
            .property("method", one_of("By which kind of code.", [method]))
            .property("phoneNumber", number)
    };
    let maybe = SchemaType::Array(vec![Type::String, Type::Null]);
    let pairing_code = of("PairingCode", Type::String.into()).required("method").required("phoneNumber");
    let link = OneOfBuilder::new()
        .item(of("QrCode", maybe))
        .item(pairing_code)
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(Some("How its phone is linked; by a QR code unless said."))
        .build();
    Schema::OneOf(link)
}

fn one_of(description: &str, words: impl IntoIterator<Item = &'static str>) -> Object {
    let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    words.description(Some(description)).build()
}

/// What is wanted of a connection.
pub fn wanted_state() -> Object {
    one_of("What is wanted.", ["Running", "Suspended"])
}

/// How a connection is.
pub fn connection_status() -> Object {
    // What a session calls stopping is shown as one of the first two.
    let states = SessionState::ALL.iter().copied().filter(|state| *state != SessionState::Stopping);
    let states = states.map(SessionState::as_str).filter(|state| *state != STARTING);
    one_of("How it is.", [SUSPENDED, STARTING].into_iter().chain(states))
}

/// How a phone is linked.
pub fn link_method() -> Object {
    one_of("By which kind of code.", ["QrCode", "PairingCode"])
}

/// What kind of code links a phone.
pub fn link_kind() -> Object {
    one_of("How it links.", ["qr", "pairingCode"])
}

/// How far a message is.
pub fn message_status() -> Object {
    one_of("How far it is.", STATUSES)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn words(object: &Object) -> Value {
        serde_json::to_value(object).expect("JSON")["enum"].clone()
    }

    /// The words are other crates' own; should one get a new one, this says where it is missing.
    #[test]
    fn every_word_is_one_of_its_type() {
        use crds::{LinkMethod, State};
        assert_eq!(words(&wanted_state()), json!([State::Running, State::Suspended]));
        assert_eq!(words(&link_method()), json!([LinkMethod::QrCode, LinkMethod::PairingCode]));
        assert_eq!(words(&link_kind()), json!([relay::LinkKind::Qr, relay::LinkKind::PairingCode]));
    }
}
