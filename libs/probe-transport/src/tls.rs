//! TLS handshakes, and the certificates that websites present in them.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{Client, of_tls};
use crate::crypto::provider;
use crate::failure::{Failure, Kind};
use crate::lock::lock;
use crate::refusal;
use crate::trust::Trust;

/// How many targets' sessions are kept.
const MAX_SESSIONS: usize = 10_000;

/// The certificates that a website presented, its own first.
pub type Chain = Vec<CertificateDer<'static>>;

/// What all handshakes share.
pub struct Tls {
    config: ClientConfig,
    trust: Arc<Trust>,
    sessions: Mutex<HashMap<u64, Session>>,
}

/// What can be resumed of a target's last full handshake. Witness and client belong to it: a session is not resumed
/// under others.
#[derive(Clone)]
struct Session {
    full: Instant,
    store: Arc<ClientSessionMemoryCache>,
    witness: Arc<Witness>,
    client: Arc<Client>,
}

/// What one handshake is to be like.
pub struct Wish<'a> {
    pub host: &'a str,
    /// Whether the certificate is verified.
    pub verify: bool,
    /// Which versions of HTTP are offered; HTTP/2 first.
    pub http1: bool,
    pub http2: bool,
    /// Whose session is resumed, and for how long after a full handshake; zero for never.
    pub target: u64,
    pub resume_for: Duration,
    /// The certificate that is shown to a website that asks for one.
    pub client: Option<Arc<CertifiedKey>>,
}

impl Tls {
    /// Trust these authorities, in PEM; what cannot be read is left out.
    pub fn new(authorities: &[u8]) -> Result<Self, String> {
        let provider = Arc::new(provider());
        let trust = Trust::new(authorities, provider.signature_verification_algorithms);
        let trust = Arc::new(trust.ok_or("cannot check: no certificate authority can be read")?);
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Witness::new(trust.clone(), true)))
            .with_no_client_auth();
        Ok(Tls { config, trust, sessions: Mutex::default() })
    }

    /// Make a handshake; `chain` is filled with what the website presents, also when that is refused.
    pub async fn handshake(
        &self,
        stream: TcpStream,
        wish: &Wish<'_>,
        chain: &mut Chain,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let bare = wish.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(wish.host);
        let bare = bare.strip_suffix('.').unwrap_or(bare).to_owned();
        let name = ServerName::try_from(bare)
            // The library takes fewer names than browsers do, such as none with a hyphen at the beginning of a label.
            .map_err(|_| Failure::new(Kind::Unable, format!("{}: cannot be asked for over TLS", wish.host)))?;
        let session = self.session(wish);
        let witness = session.as_ref().map_or_else(|| self.witness(wish), |session| session.witness.clone());
        let mut config = self.config.clone();
        let offers = [(wish.http2, &b"h2"[..]), (wish.http1, &b"http/1.1"[..])];
        config.alpn_protocols = offers.iter().filter(|(wanted, _)| *wanted).map(|(_, name)| name.to_vec()).collect();
        config.resumption =
            session.as_ref().map_or_else(Resumption::disabled, |session| Resumption::store(session.store.clone()));
        config.dangerous().set_certificate_verifier(witness.clone());
        let client = session.as_ref().map_or_else(|| client_of(wish), |session| session.client.clone());
        config.client_auth_cert_resolver = client.clone();
        let made = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        // A resumed session has the certificates of its full handshake; one that failed before has none.
        if made.is_ok() || session.is_none() {
            chain.clone_from(&lock(&witness.seen));
        }
        made.map_err(|error| client.explain(&error, explain(&error, wish.host)))
    }

    fn witness(&self, wish: &Wish<'_>) -> Arc<Witness> {
        Arc::new(Witness::new(self.trust.clone(), wish.verify))
    }

    /// The session that may be resumed, or a new one; None if none is to be.
    fn session(&self, wish: &Wish<'_>) -> Option<Session> {
        // A session in which the website knows the client may be resumed by that client alone.
        if wish.resume_for.is_zero() || wish.client.is_some() {
            return None;
        }
        let (mut sessions, now) = (lock(&self.sessions), Instant::now());
        let fresh = |session: &Session| now - session.full < wish.resume_for;
        if let Some(session) = sessions.get(&wish.target) {
            if fresh(session) && session.witness.verify == wish.verify {
                return Some(session.clone());
            }
        }
        if sessions.len() >= MAX_SESSIONS {
            sessions.retain(|_, session| fresh(session));
        }
        let store = Arc::new(ClientSessionMemoryCache::new(8));
        let session = Session { full: now, store, witness: self.witness(wish), client: Arc::default() };
        (sessions.len() < MAX_SESSIONS).then(|| sessions.insert(wish.target, session.clone()))?;
        Some(session)
    }
}

fn client_of(wish: &Wish<'_>) -> Arc<Client> {
    Arc::new(Client::new(wish.client.clone()))
}

/// Keeps what the website presents, and verifies it as browsers do if it is to be verified.
#[derive(Debug)]
struct Witness {
    trust: Arc<Trust>,
    verify: bool,
    seen: Mutex<Chain>,
}

impl Witness {
    fn new(trust: Arc<Trust>, verify: bool) -> Self {
        Witness { trust, verify, seen: Mutex::default() }
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = std::iter::once(own).chain(others);
        *lock(&self.seen) = presented.map(|certificate| certificate.clone().into_owned()).collect();
        if self.verify {
            self.trust.judge(own, others, name, now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, own, signed, &self.trust.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, own, signed, &self.trust.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// Why a handshake failed, and whose doing that is.
fn explain(error: &io::Error, host: &str) -> Failure {
    let Some(refusal) = of_tls(error) else {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Failure::new(Kind::HungUp, "closed during the TLS handshake");
        }
        let failure = Failure::of_system(Kind::HungUp, error);
        return Failure { detail: format!("during the TLS handshake: {}", failure.detail), ..failure };
    };
    match refusal {
        Error::InvalidCertificate(why) => refusal::explain(why, host),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) | Error::NoApplicationProtocol => {
            Failure::new(Kind::Protocol, "the website does not speak HTTP/1.1")
        }
        // There may be no cipher in common: the library has none of CBC, of DHE, and without forward secrecy.
        Error::AlertReceived(alert @ (AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity)) => {
            Failure::new(Kind::Unable, format!("the website refused the handshake: {alert:?}"))
        }
        Error::PeerIncompatible(why) => Failure::new(Kind::Unable, format!("the website is incompatible: {why:?}")),
        Error::PeerMisbehaved(why) => Failure::new(Kind::Unable, format!("the website misbehaves: {why:?}")),
        Error::AlertReceived(alert) => Failure::new(Kind::Tls, format!("the website refused the handshake: {alert:?}")),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            Failure::new(Kind::Tls, "the answer is not TLS")
        }
        other => Failure::new(Kind::Tls, other.to_string()),
    }
}
