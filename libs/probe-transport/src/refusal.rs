//! What it means that a certificate was refused, and whether it is the website's doing.

use rustls::CertificateError;
use rustls::pki_types::CertificateDer;

use crate::failure::{Failure, Kind};
use crate::verified::element;

/// Critical extensions about policies that the library does not read (RFC 5280, 4.2.1.4, 4.2.1.5, 4.2.1.11 and 4.2.1.14): the
/// last byte of their object identifiers.
const POLICIES: [u8; 4] = [0x20, 0x21, 0x24, 0x36];
const NAME_CONSTRAINTS: [u8; 5] = [0x06, 3, 0x55, 0x1d, 0x1e];
/// A name of a directory among those of a certificate (RFC 5280, section 4.2.1.6).
const DIRECTORY_NAME: u8 = 0xa4;

/// The verdict on a certificate, in the words that OpenSSL has for it, which people search for.
pub fn explain(error: &CertificateError, host: &str, chain: &[CertificateDer<'_>]) -> Failure {
    use CertificateError as E;
    let why = match error {
        E::Expired | E::ExpiredContext { .. } => "certificate has expired".into(),
        E::NotValidYet | E::NotValidYetContext { .. } => "certificate is not yet valid".into(),
        E::UnknownIssuer => "unable to get local issuer certificate".into(),
        E::NotValidForName | E::NotValidForNameContext { .. } => mismatch(host),
        E::BadSignature => "certificate signature failure, or a key that is too weak".into(),
        E::UnsupportedSignatureAlgorithmContext { .. } | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "certificate signed in a way that is too weak or not known".into()
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "unsuitable certificate purpose".into(),
        E::Revoked => "certificate revoked".into(),
        E::Other(other) => match other.to_string().as_str() {
            "CaUsedAsEndEntity" => return unable("it is marked as one of an authority"),
            "MaximumPathDepthExceeded" => return unable("its chain is longer than seven certificates"),
            "UnsupportedCriticalExtension" if chain.iter().any(|one| has_policies(one)) => {
                return unable("a policy is critical in its chain");
            }
            "NameConstraintViolation" if chain.iter().any(|one| constrains_directories(one)) => {
                return unable("its chain constrains the names of directories");
            }
            "UnsupportedCriticalExtension" => "unhandled critical extension".into(),
            "NameConstraintViolation" => "permitted or excluded subtree violation".into(),
            "PathLenConstraintViolated" => "path length constraint exceeded".into(),
            "EndEntityUsedAsCa" => "invalid CA certificate".into(),
            why => format!("certificate refused: {why}"),
        },
        other => format!("certificate refused: {other}"),
    };
    Failure::new(Kind::Tls, why)
}

fn mismatch(host: &str) -> String {
    let kind =
        if host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() { "IP address" } else { "Hostname" };
    format!("{kind} mismatch, certificate is not valid for '{host}'")
}

fn unable(why: &str) -> Failure {
    Failure::new(Kind::Unable, format!("the certificate cannot be judged: {why}"))
}

fn has_policies(certificate: &[u8]) -> bool {
    certificate.windows(8).any(|at| {
        at.starts_with(&NAME_CONSTRAINTS[..4]) && POLICIES.contains(&at[4]) && at.ends_with(&[0x01, 0x01, 0xff])
    })
}

/// Whether names of directories are among those that a certificate permits or excludes (RFC 5280, section 4.2.1.10).
fn constrains_directories(certificate: &[u8]) -> bool {
    let at = certificate.windows(NAME_CONSTRAINTS.len()).position(|at| at == NAME_CONSTRAINTS);
    at.and_then(|at| {
        let rest = &certificate[at + NAME_CONSTRAINTS.len()..];
        let (tag, value, after) = element(rest)?;
        let value = if tag == 0x01 { element(after)?.1 } else { value };
        let (_, mut lists, _) = element(value)?;
        while let Some((_, mut subtrees, after)) = element(lists) {
            while let Some((_, subtree, next)) = element(subtrees) {
                if subtree.first() == Some(&DIRECTORY_NAME) {
                    return Some(());
                }
                subtrees = next;
            }
            lists = after;
        }
        None
    })
    .is_some()
}
