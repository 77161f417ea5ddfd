//! JSON Web Tokens: HS256 under one secret, with an expiry and a company. RFC 8725: the algorithm is ours to choose,
//! not the token's; nothing in a header names a key.

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
        let claims = decode::<Claims>(token, &self.key, &self.validation).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => TokenRefused::Expired,
            _ => TokenRefused::Invalid,
        })?;
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
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "a secret of thirty-two bytes or more";

    fn token(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
    }

    fn in_an_hour() -> i64 {
        runtime::ambient::now().as_second() + 3600
    }

    #[test]
    fn a_good_token_names_its_company() {
        let claims = json!({"sub": "ana", "companyId": "acme", "role": "agent", "exp": in_an_hour()});
        let identity = TokenKeys::new(SECRET).verify(&token(Algorithm::HS256, SECRET, &claims)).expect("good");
        assert_eq!((identity.company().as_str(), identity.subject()), ("acme", Some("ana")));
        assert_eq!(identity.expires_at().as_second(), in_an_hour());
    }

    #[test]
    fn every_other_token_is_refused() {
        let (good, exp) = (SECRET, in_an_hour());
        let claims = json!({"companyId": "acme", "exp": exp});
        let unsigned = token(Algorithm::HS256, good, &claims).rsplit_once('.').expect("three parts").0.to_owned();
        for (what, token, refusal) in [
            (
                "wrong secret",
                token(Algorithm::HS256, "another secret, as long as ours is!", &claims),
                TokenRefused::Invalid,
            ),
            ("another algorithm", token(Algorithm::HS512, good, &claims), TokenRefused::Invalid),
            ("no expiry", token(Algorithm::HS256, good, &json!({"companyId": "acme"})), TokenRefused::Invalid),
            (
                "expired",
                token(Algorithm::HS256, good, &json!({"companyId": "acme", "exp": exp - 7200})),
                TokenRefused::Expired,
            ),
            (
                "not yet valid",
                token(Algorithm::HS256, good, &json!({"companyId": "acme", "exp": exp, "nbf": exp})),
                TokenRefused::Invalid,
            ),
            ("no company", token(Algorithm::HS256, good, &json!({"exp": exp})), TokenRefused::Invalid),
            (
                "a company that is none",
                token(Algorithm::HS256, good, &json!({"companyId": "a'b", "exp": exp})),
                TokenRefused::Invalid,
            ),
            (
                "every company",
                token(Algorithm::HS256, good, &json!({"companyId": "*", "exp": exp})),
                TokenRefused::Invalid,
            ),
            ("no signature", format!("{unsigned}."), TokenRefused::Invalid),
            // {"alg":"none"}
            (
                "no algorithm",
                format!("eyJhbGciOiJub25lIn0.{}.", unsigned.split_once('.').expect("two parts").1),
                TokenRefused::Invalid,
            ),
            ("no token at all", "x".to_owned(), TokenRefused::Invalid),
        ] {
            assert_eq!(TokenKeys::new(good).verify(&token), Err(refusal), "{what}");
        }
    }
}
