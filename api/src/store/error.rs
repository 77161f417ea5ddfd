//! How the database can fail, classified by what may help.

/// Beginnings of SQLSTATE that tell of a server that cannot work now: connection (08), resources (53), operator
/// intervention such as a shutdown or a statement's time-out (57), serialisation or deadlock (40), and a transaction that
/// was ended because it paused (25P03).
const PASSING: [&str; 5] = ["08", "53", "57", "40", "25P03"];

/// Beginnings of SQLSTATE that tell of a value: bad data (22) and broken constraints (23).
const OF_VALUES: [&str; 2] = ["22", "23"];

/// A failed exchange with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is away or overloaded. Trying again later helps.
    #[error("the database is away: {0}")]
    Away(#[source] sqlx::Error),
    /// It refuses a value. The same value is refused again.
    #[error("the database refuses a value: {0}")]
    Refused(#[source] sqlx::Error),
    /// Anything else is a fault of ours.
    #[error("the database failed: {0}")]
    Fault(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::BeginFailed => {
                Self::Away(error)
            }
            // A value that has no form in PostgreSQL, such as a time too far off.
            E::Encode(_) => Self::Refused(error),
            E::Database(refusal) => {
                let code = refusal.code().unwrap_or_default();
                let begins_with_one = |of: &[&str]| of.iter().any(|beginning| code.starts_with(beginning));
                if begins_with_one(&PASSING) {
                    Self::Away(error)
                } else if begins_with_one(&OF_VALUES) {
                    Self::Refused(error)
                } else {
                    Self::Fault(error)
                }
            }
            _ => Self::Fault(error),
        }
    }
}
