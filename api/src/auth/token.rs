//! JSON Web Tokens: HS256 under one secret, with an expiry and a company. RFC 8725: the algorithm is ours to choose,
//! not the token's, and nothing in a header names a key (`kid`, `jku`, `jwk`, `x5u` are not read). There is no JWKS.

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use relay::CompanyId;
use serde::Deserialize;

/// Bytes of the shortest secret that is taken: as many as the hash has (RFC 7518, 3.2).
pub const SHORTEST_SECRET: usize = 32;

/// The secret in the documentation. It is long enough to look real, and refused.
pub const EXAMPLE_SECRET: &str = "replace-this-example-secret-with-one-of-your-own";

/// Seconds by which clocks of this cluster may differ.
const LEEWAY: u64 = 5;

/// Bytes of the longest token that is looked at. Ours have 300; identity providers put lists of groups into theirs.
const LONGEST: usize = 8 * 1024;

/// Verifies tokens.
#[derive(Clone)]
pub struct TokenKeys {
    key: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKeys").finish_non_exhaustive()
    }
}

/// Who showed a good token. Made by [`TokenKeys::verify`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    company: CompanyId,
    subject: Option<String>,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    sub: Option<String>,
    company_id: String,
    exp: f64,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// There is none.
    #[error("no bearer token")]
    Missing,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It is no token of ours: shape, algorithm, signature or a required claim is wrong.
    #[error("the token is not valid")]
    Invalid,
}

impl TokenKeys {
    /// For that secret.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        // The product names no audience; a token that names one is not refused for it.
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp"]);
        Self { key: DecodingKey::from_secret(secret.as_bytes()), validation }
    }

    /// Who showed the token.
    pub fn verify(&self, token: &str) -> Result<Identity, TokenRefused> {
        if token.len() > LONGEST {
            return Err(TokenRefused::Invalid);
        }
        let claims = decode::<Claims>(token, &self.key, &self.validation).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => TokenRefused::Expired,
            _ => TokenRefused::Invalid,
        })?;
        // An extension that must be understood, and is not: RFC 7515, 4.1.11.
        if claims.header.crit.is_some() {
            return Err(TokenRefused::Invalid);
        }
        let Claims { sub, company_id, exp } = claims.claims;
        let company = company_id.parse().map_err(|_| TokenRefused::Invalid)?;
        Ok(Identity { company, subject: sub, expires_at: expiry(exp) })
    }
}

/// A far expiry is the end of time, not an error: RFC 7519 sets no limit.
fn expiry(seconds: f64) -> Timestamp {
    jiff::SignedDuration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|since_1970| Timestamp::from_duration(since_1970).ok())
        .unwrap_or(Timestamp::MAX)
}

impl Identity {
    /// The company that the token speaks for.
    #[must_use]
    pub const fn company(&self) -> &CompanyId {
        &self.company
    }

    /// The person or program, for the audit trail.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// When the token, and with it a session that it opened, ends.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::EncodingKey;
    use jsonwebtoken::crypto::sign;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "a secret of thirty-two bytes or more";
    const OTHER: &str = "another secret, as long as ours is!!";
    const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

    /// A token of any two texts, under a true signature by that secret.
    fn forge(header: &str, claims: &str, secret: &str, algorithm: Algorithm) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let message = format!("{}.{}", part(header), part(claims));
        let signature = sign(message.as_bytes(), &EncodingKey::from_secret(secret.as_bytes()), algorithm);
        format!("{message}.{}", signature.expect("a signature"))
    }

    fn in_an_hour() -> i64 {
        runtime::ambient::now().as_second() + 3600
    }

    fn good() -> String {
        json!({"sub": "ana", "companyId": "acme", "role": "agent", "exp": in_an_hour()}).to_string()
    }

    fn verify(token: &str) -> Result<Identity, TokenRefused> {
        TokenKeys::new(SECRET).verify(token)
    }

    #[test]
    fn a_good_token_names_its_company() {
        let identity = verify(&forge(HS256, &good(), SECRET, Algorithm::HS256)).expect("good");
        assert_eq!((identity.company().as_str(), identity.subject()), ("acme", Some("ana")));
        assert_eq!(identity.expires_at().as_second(), in_an_hour());
    }

    #[test]
    fn no_header_makes_a_token_good_or_another_key_ours() {
        let kid = "k".repeat(LONGEST);
        for (what, header, ours) in [
            ("unsigned", r#"{"alg":"none"}"#, false),
            ("unsigned, loudly", r#"{"alg":"NONE"}"#, false),
            ("a key pair's algorithm with our secret", r#"{"alg":"RS256"}"#, false),
            ("another key pair's", r#"{"alg":"ES256"}"#, false),
            ("another length", r#"{"alg":"HS512"}"#, false),
            ("no algorithm", r#"{"typ":"JWT"}"#, false),
            ("two algorithms", r#"{"alg":"HS256","alg":"none"}"#, false),
            ("an algorithm that is a list", r#"{"alg":["HS256"]}"#, false),
            ("an extension that must be understood", r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, false),
            ("no object", r#""HS256""#, false),
            ("a key id that is a path", r#"{"alg":"HS256","kid":"../../../../dev/null"}"#, true),
            ("a key id that is SQL", r#"{"alg":"HS256","kid":"x' UNION SELECT 'secret'--"}"#, true),
            ("an empty key id", r#"{"alg":"HS256","kid":""}"#, true),
            ("a key id that is a number", r#"{"alg":"HS256","kid":1}"#, false),
            ("a huge key id", &format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#), false),
            ("a place to get keys from", r#"{"alg":"HS256","jku":"https://evil.example.org/jwks"}"#, true),
            ("another place", r#"{"alg":"HS256","x5u":"https://evil.example.org/x5u"}"#, true),
            ("a key", r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}"#, true),
        ] {
            let outcome = verify(&forge(header, &good(), SECRET, Algorithm::HS256));
            assert_eq!(outcome.is_ok(), ours, "{what}, signed by us: {outcome:?}");
            for stranger in [OTHER, "\0", "AAAA"] {
                let outcome = verify(&forge(header, &good(), stranger, Algorithm::HS256));
                assert_eq!(outcome, Err(TokenRefused::Invalid), "{what}, signed by somebody else");
            }
        }
        let other_length = forge(r#"{"alg":"HS512"}"#, &good(), SECRET, Algorithm::HS512);
        assert_eq!(verify(&other_length), Err(TokenRefused::Invalid), "HS512 under our secret");
    }

    #[test]
    fn every_claim_is_what_it_must_be() {
        use TokenRefused::{Expired, Invalid};
        let exp = in_an_hour();
        let with = |company: &str| format!(r#"{{"companyId":{company},"exp":{exp}}}"#);
        let at = |claims: &str| format!(r#"{{"companyId":"acme",{claims}}}"#);
        let long = format!("\"{}\"", "a".repeat(64));
        for (what, claims, refusal) in [
            ("a company", with(r#""acme""#), None),
            ("no company", format!(r#"{{"exp":{exp}}}"#), Some(Invalid)),
            ("an empty company", with(r#""""#), Some(Invalid)),
            ("a blank", with(r#"" ""#), Some(Invalid)),
            ("every company", with(r#""*""#), Some(Invalid)),
            ("a company that ends a literal", with(r#""a'b""#), Some(Invalid)),
            ("a long company", with(&long), Some(Invalid)),
            ("a null", with("null"), Some(Invalid)),
            ("a number", with("7"), Some(Invalid)),
            ("a list", with(r#"["acme"]"#), Some(Invalid)),
            ("an object", with(r#"{"id":"acme"}"#), Some(Invalid)),
            ("another spelling", format!(r#"{{"company_id":"acme","exp":{exp}}}"#), Some(Invalid)),
            ("two companies", format!(r#"{{"companyId":"acme","companyId":"globex","exp":{exp}}}"#), Some(Invalid)),
            ("a subject that is a number", at(&format!(r#""sub":7,"exp":{exp}"#)), Some(Invalid)),
            ("no expiry", at(r#""iat":1"#), Some(Invalid)),
            ("a null expiry", at(r#""exp":null"#), Some(Invalid)),
            ("an expiry that is text", at(&format!(r#""exp":"{exp}""#)), Some(Invalid)),
            ("two expiries", at(&format!(r#""exp":{exp},"exp":1"#)), Some(Invalid)),
            ("long over", at(r#""exp":1"#), Some(Expired)),
            ("the beginning of time", at(r#""exp":0"#), Some(Expired)),
            ("before it", at(r#""exp":-1"#), Some(Invalid)),
            ("a fraction of a second", at(&format!(r#""exp":{exp}.5"#)), None),
            ("the far future", at(r#""exp":9000000000000000000"#), None),
            ("further than numbers go", at(r#""exp":1e300"#), Some(Invalid)),
            ("not yet", at(&format!(r#""exp":{exp},"nbf":{exp}"#)), Some(Invalid)),
            ("not for ages", at(&format!(r#""exp":{exp},"nbf":9000000000000000000"#)), Some(Invalid)),
            ("not before a text", at(&format!(r#""exp":{exp},"nbf":"now""#)), Some(Invalid)),
            // Only tells when it was made (RFC 7519, 4.1.6), by a clock that may differ from ours.
            ("made in the far future", at(&format!(r#""exp":{exp},"iat":9000000000000000000"#)), None),
            // The product has no name that a token could be meant for.
            ("for somebody else", at(&format!(r#""exp":{exp},"aud":"billing""#)), None),
            ("by anybody", at(&format!(r#""exp":{exp},"iss":"https://evil.example.org""#)), None),
            ("no object", "[]".to_owned(), Some(Invalid)),
            ("no JSON", "{".to_owned(), Some(Invalid)),
        ] {
            let outcome = verify(&forge(HS256, &claims, SECRET, Algorithm::HS256));
            assert_eq!(outcome.err(), refusal, "{what}: {claims}");
        }
        let far = verify(&forge(HS256, &at(r#""exp":9000000000000000000"#), SECRET, Algorithm::HS256));
        assert_eq!(far.expect("good").expires_at(), Timestamp::MAX);
    }

    #[test]
    fn every_other_shape_is_refused() {
        let good = forge(HS256, &good(), SECRET, Algorithm::HS256);
        let (message, signature) = good.rsplit_once('.').expect("three parts");
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let claims = message.split_once('.').expect("two parts").1;
        for (what, token) in [
            ("nothing", String::new()),
            ("a word", "x".to_owned()),
            ("dots", "..".to_owned()),
            ("no signature", format!("{message}.")),
            ("no third part", message.to_owned()),
            ("half a signature", format!("{message}.{}", &signature[..20])),
            ("more after the signature", format!("{good}A")),
            ("four parts", format!("{good}.{signature}")),
            ("five parts, as encrypted ones have", format!("{good}.{signature}.{signature}")),
            ("padding", format!("{good}=")),
            ("a blank", format!(" {good}")),
            ("unsigned", format!("{unsigned}.{claims}.")),
            ("unsigned, with our signature", format!("{unsigned}.{claims}.{signature}")),
            ("huge", format!("{message}{}.{signature}", "A".repeat(1024 * 1024))),
            ("not ASCII", format!("{good}ä")),
        ] {
            assert_eq!(verify(&token), Err(TokenRefused::Invalid), "{what}");
        }
    }
}
