//! How the database can fail, classified by what may help.

/// Classes of SQLSTATE that tell of a server that cannot work now: connection (08), resources (53), operator
/// intervention such as a shutdown or a statement's time-out (57), and serialisation or deadlock (40).
const PASSING: [&str; 4] = ["08", "53", "57", "40"];

/// Classes of SQLSTATE that tell of a value: bad data (22) and broken constraints (23).
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
            E::Database(refusal) => match refusal.code().as_deref().and_then(|code| code.get(..2)) {
                Some(class) if PASSING.contains(&class) => Self::Away(error),
                Some(class) if OF_VALUES.contains(&class) => Self::Refused(error),
                _ => Self::Fault(error),
            },
            _ => Self::Fault(error),
        }
    }
}
