//! Starting the simulator, and playing the phones from Rust: each method is the control call of the same name.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::listener::TlsListener;
use crate::plan::PagePlan;
use crate::tls::Identity;
use crate::world::{
    AccountView, Answers, Ban, ChatId, ChatView, GroupRequest, MessageId, MessageRequest, MessageView, Moment, Names,
    PageView, Phone, QrRules, Refusal, SentView, World,
};
use crate::{control, page};

/// How to run a simulator. The default is for tests: free ports of this machine, a key of its own.
#[derive(Clone, Debug)]
pub struct SimulatorSettings {
    /// Where the page is served, with TLS.
    pub listen: SocketAddr,
    /// Where the control API is served, without.
    pub control: SocketAddr,
    /// Where key and certificate are kept; None for new ones.
    pub tls_dir: Option<PathBuf>,
    /// How long a QR code is shown. WhatsApp: 20 s, the first one longer.
    pub qr_lifetime: Duration,
    /// How many QR codes are shown before the page stops until it is refreshed. WhatsApp: about 5.
    pub qr_codes: u32,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen: anywhere, control: anywhere, tls_dir: None, qr_lifetime: Duration::from_secs(20), qr_codes: 5 }
    }
}

/// Why a simulator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address is taken, or a directory cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The key in the directory is none.
    #[error("key or certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The key cannot be used for TLS.
    #[error("TLS: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
}

/// What the servers share.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    pub(crate) qr_lifetime: Duration,
}

impl Shared {
    /// Never kept over an await.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        // Nothing panics under the lock; were it so, a simulator that goes on is still of more use than one that does not.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running simulator. It ends when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    page: SocketAddr,
    control: SocketAddr,
    spki: String,
    servers: [AbortOnDropHandle<io::Result<()>>; 2],
}

impl Simulator {
    /// Starts both servers.
    pub async fn start(settings: SimulatorSettings) -> Result<Self, Error> {
        let identity = match &settings.tls_dir {
            Some(directory) => Identity::in_directory(directory)?,
            None => Identity::generate()?,
        };
        let world = Mutex::new(World::new(QrRules { codes: settings.qr_codes }));
        let shared = Arc::new(Shared { world, qr_lifetime: settings.qr_lifetime });
        let page_listener = TcpListener::bind(settings.listen).await?;
        let control_listener = TcpListener::bind(settings.control).await?;
        let (page, control) = (page_listener.local_addr()?, control_listener.local_addr()?);
        let tls = TlsListener::new(page_listener, identity.acceptor()?)?;
        let serve_page = axum::serve(tls, page::router(Arc::clone(&shared)));
        let serve_control = axum::serve(control_listener, control::router(Arc::clone(&shared)));
        let servers = [
            AbortOnDropHandle::new(tokio::spawn(serve_page.into_future())),
            AbortOnDropHandle::new(tokio::spawn(serve_control.into_future())),
        ];
        Ok(Self { shared, page, control, spki: identity.spki(), servers })
    }

    /// Where the page is served. For Chromium: `--host-resolver-rules=MAP web.whatsapp.com <this>`.
    #[must_use]
    pub fn page_addr(&self) -> SocketAddr {
        self.page
    }

    /// Where the control API is served, without a slash at the end.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// The key to trust. For Chromium: `--ignore-certificate-errors-spki-list=<this>`.
    #[must_use]
    pub fn spki(&self) -> &str {
        &self.spki
    }

    /// Returns when a server has ended, which none does by itself.
    pub async fn ended(&mut self) -> io::Error {
        let [page, control] = &mut self.servers;
        let ended = tokio::select! { ended = page => ended, ended = control => ended };
        match ended {
            Ok(Ok(())) => io::Error::other("a server has ended"),
            Ok(Err(error)) => error,
            Err(panic) => io::Error::other(panic),
        }
    }

    /// The connected pages.
    #[must_use]
    pub fn pages(&self) -> Vec<PageView> {
        self.shared.world().pages()
    }

    /// Every account.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountView> {
        self.shared.world().accounts()
    }

    /// The phone scans a QR code; its account is created when it is new.
    pub fn scan(&self, qr: &str, phone: &str, push_name: Option<&str>) -> Result<(), Refusal> {
        let names = Names { push_name: push_name.map(str::to_owned) };
        self.shared.world().scan(qr, parse_phone(phone)?, names, &Moment::ambient())
    }

    /// The person types a pairing code into the phone.
    pub fn pair(&self, phone: &str, code: &str) -> Result<(), Refusal> {
        self.shared.world().pair(parse_phone(phone)?, code, Names::default(), &Moment::ambient())
    }

    /// A message comes in. Gives its id.
    pub fn receive(&self, phone: &str, message: MessageRequest) -> Result<String, Refusal> {
        self.shared.world().receive(&parse_phone(phone)?, message, &Moment::ambient()).map(|id| id.to_string())
    }

    /// A text comes in from a person, without more ado.
    pub fn receive_text(&self, phone: &str, chat: &str, text: &str) -> Result<String, Refusal> {
        self.receive(phone, MessageRequest::text(ChatId::try_from(chat.to_owned())?, text))
    }

    /// The account is a member of a group.
    pub fn group(&self, phone: &str, group: GroupRequest) -> Result<(), Refusal> {
        self.shared.world().group(&parse_phone(phone)?, group)
    }

    /// A receipt for a message that a page sent: 2 delivered, 3 read.
    pub fn acknowledge(&self, phone: &str, id: &str, ack: i8) -> Result<(), Refusal> {
        self.shared.world().acknowledge(&parse_phone(phone)?, &MessageId::try_from(id.to_owned())?, ack)
    }

    /// What pages of the account sent, each send once.
    pub fn sent(&self, phone: &str) -> Result<Vec<SentView>, Refusal> {
        self.shared.world().sent(&parse_phone(phone)?)
    }

    /// The account's chats, newest first.
    pub fn chats(&self, phone: &str) -> Result<Vec<ChatView>, Refusal> {
        self.shared.world().chats(&parse_phone(phone)?)
    }

    /// A chat's messages, oldest first.
    pub fn messages(&self, phone: &str, chat: &str) -> Result<Vec<MessageView>, Refusal> {
        self.shared.world().messages(&parse_phone(phone)?, &ChatId::try_from(chat.to_owned())?)
    }

    /// The account's pages lose their connection until `reconnect`.
    pub fn disconnect(&self, phone: &str) -> Result<(), Refusal> {
        self.shared.world().disconnect(&parse_phone(phone)?)
    }

    /// The account's pages are let in again.
    pub fn reconnect(&self, phone: &str) -> Result<(), Refusal> {
        self.shared.world().reconnect(&parse_phone(phone)?)
    }

    /// The account is opened elsewhere.
    pub fn conflict(&self, phone: &str) -> Result<(), Refusal> {
        self.shared.world().conflict(&parse_phone(phone)?)
    }

    /// The account's pages load themselves anew.
    pub fn reload(&self, phone: &str) -> Result<(), Refusal> {
        self.shared.world().reload(&parse_phone(phone)?)
    }

    /// WhatsApp tells the account's pages of a ban.
    pub fn ban(&self, phone: &str, kind: Ban) -> Result<(), Refusal> {
        self.shared.world().ban(&parse_phone(phone)?, kind)
    }

    /// What pages of the account hear of their sends from now on.
    pub fn answer_sends(&self, phone: &str, answers: Answers) -> Result<(), Refusal> {
        self.shared.world().answer_sends(&parse_phone(phone)?, answers)
    }

    /// The pairing codes for this phone are void.
    pub fn expire_pairing(&self, phone: &str) -> Result<(), Refusal> {
        self.shared.world().expire_pairing(&parse_phone(phone)?)
    }

    /// Pages that are loaded from now on are like this.
    pub fn plan_page(&self, plan: PagePlan) -> Result<(), Refusal> {
        self.shared.world().plan_page(plan)
    }

    /// The phone unlinks its devices.
    pub fn log_out(&self, phone: &str, reason: Option<&str>) -> Result<(), Refusal> {
        self.shared.world().log_out(&parse_phone(phone)?, reason.unwrap_or(control::UNLINKED_BY_PHONE))
    }
}

fn parse_phone(phone: &str) -> Result<Phone, Refusal> {
    Phone::try_from(phone.to_owned())
}
