//! What session pods, the operator and the API say to each other through Redis: names, types, streams, lease, rights.
//! Nothing here knows Kubernetes, WhatsApp's page or HTTP. The contract in words: `docs/architecture.md`.

mod acl;
mod api_side;
mod command;
mod connection;
mod credential_files;
mod endpoint;
mod envelope;
mod error;
mod event;
mod ids;
mod lease;
mod names;
mod offset;
mod operator_side;
mod session_side;
mod status;
mod subscribe;
mod trace;

pub use acl::{Credentials, acl_rules};
pub use api_side::{ApiRelay, Entry};
pub use command::{Command, CommandAction, Outcome};
pub use connection::Redis;
pub use endpoint::{Authorities, Endpoint};
pub use envelope::{Envelope, Header, Undecodable, VERSION};
pub use error::RelayError;
pub use event::{Ack, Chat, Event, Live, Message, StateChange};
pub use ids::{ChatId, CompanyId, ConnectionId, InvalidId, MessageId, Phone};
pub use lease::{Acquired, Lease};
pub use names::{Names, company_channel, company_of_channel};
pub use offset::{Fence, Offset};
pub use operator_side::OperatorRelay;
pub use session_side::{COMMANDS_AT_ONCE, SessionRelay};
pub use status::{Account, Disconnect, EngineVersions, LinkCode, LinkKind, SessionState, SessionStatus};
pub use subscribe::{Note, Wanted, subscribe, subscribe_also};
pub use trace::{InvalidTraceParent, TraceParent};
