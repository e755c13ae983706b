//! The certificate with which a check shows who it is, and how websites ask for one and refuse it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, Error, SignatureScheme};

use crate::crypto::provider;
use crate::failure::{Failure, Kind};

/// What is told of a website that does not go on without a client certificate.
pub const ASKED: &str = "the website asks for a client certificate";
/// What is told of one that does not take the certificate that it gets.
pub const REFUSED: &str = "the website refuses the client certificate";

/// A certificate, those above it, and its key.
#[pyclass(frozen, module = "probe_transport")]
pub struct ClientCertificate {
    pub key: Arc<CertifiedKey>,
}

#[pymethods]
impl ClientCertificate {
    /// Read certificates, the own one first, and a key that is not encrypted (PEM).
    #[new]
    fn new(pem: &[u8]) -> PyResult<Self> {
        // Not what the libraries say: no part of a key must come into an error.
        let refused = || PyValueError::new_err("not a certificate and its key in PEM");
        let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| refused())?;
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| refused())?;
        if chain.is_empty() {
            return Err(refused());
        }
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|_| refused())?;
        Ok(ClientCertificate { key: Arc::new(key) })
    }
}

/// Shows a certificate if it has one; else notes whether the website asked for one.
#[derive(Debug, Default)]
pub struct Client {
    own: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Client {
    pub fn new(own: Option<Arc<CertifiedKey>>) -> Self {
        Client { own, asked: AtomicBool::default() }
    }

    /// What a failed handshake comes to, of which something else is known already.
    pub fn explain(&self, error: &io::Error, known: Failure) -> Failure {
        let told = match of_tls(error) {
            Some(Error::InvalidCertificate(_)) => None,
            Some(Error::AlertReceived(alert)) if self.own.is_some() => is_refusal(*alert).then_some(REFUSED),
            _ => self.asked.load(Ordering::Relaxed).then_some(ASKED),
        };
        let kind = if known.kind == Kind::Own { Kind::Own } else { Kind::Tls };
        told.map_or(known, |told| Failure { detail: told.into(), kind })
    }
}

impl ResolvesClientCert for Client {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(self.own.is_none(), Ordering::Relaxed);
        self.own.clone()
    }

    fn has_certs(&self) -> bool {
        self.own.is_some()
    }
}

/// The failure of reading from a website that misses or refuses a client certificate: in TLS 1.3, it says so after the
/// handshake.
pub fn explain_late(error: &io::Error) -> Option<Failure> {
    match of_tls(error)? {
        Error::AlertReceived(AlertDescription::CertificateRequired) => Some(Failure::new(Kind::Tls, ASKED)),
        Error::AlertReceived(alert) if is_refusal(*alert) => Some(Failure::new(Kind::Tls, REFUSED)),
        _ => None,
    }
}

/// The error of TLS that an error in reading or writing stands for.
pub fn of_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether an alert is about the certificate that its receiver has shown (RFC 8446, section 6.2).
fn is_refusal(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(
        alert,
        A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
    )
}
