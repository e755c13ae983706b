//! What it means that a certificate was refused.

use rustls::CertificateError;

use crate::failure::{Failure, Kind};

/// The verdict on a certificate, in the words that OpenSSL has for it, which people search for.
pub fn explain(error: &CertificateError, host: &str) -> Failure {
    use CertificateError as E;
    let why = match error {
        E::Expired => "certificate has expired".into(),
        E::NotValidYet => "certificate is not yet valid".into(),
        E::UnknownIssuer => "unable to get local issuer certificate".into(),
        E::NotValidForName => mismatch(host),
        other => return Failure::new(Kind::Unable, format!("the certificate cannot be judged: {other}")),
    };
    Failure::new(Kind::Tls, why)
}

fn mismatch(host: &str) -> String {
    let kind =
        if host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() { "IP address" } else { "Hostname" };
    format!("{kind} mismatch, certificate is not valid for '{host}'")
}
