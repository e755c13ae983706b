//! Which certificates are trusted, as browsers and OpenSSL have it.
//!
//! The library knows less than they do of some certificates, and asks less of others; of those, nothing is judged here.

use std::cell::Cell;
use std::collections::HashSet;
use std::ptr;
use std::time::Duration;

use rustls::CertificateError;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

use crate::certificate::{Certificate, plain_name};
use crate::verified::Verified;

/// The verdict that is left to others.
pub const UNABLE: CertificateError = CertificateError::ApplicationVerificationFailure;

/// The certificates that are trusted, and what was verified by them.
#[derive(Debug)]
pub struct Trust {
    pub algorithms: WebPkiSupportedAlgorithms,
    /// Those that may have signed others; `authorities` are their certificates, in the same order.
    anchors: Vec<TrustAnchor<'static>>,
    authorities: Vec<CertificateDer<'static>>,
    names: HashSet<Vec<u8>>,
    /// All of them: one may be a website's own.
    trusted: HashSet<CertificateDer<'static>>,
    verified: Verified,
}

impl Trust {
    /// Trust these certificates, in PEM; what cannot be read is left out. None if nothing can be.
    pub fn new(pem: &[u8], algorithms: WebPkiSupportedAlgorithms) -> Option<Self> {
        let trusted: HashSet<_> = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
        let (mut anchors, mut authorities, mut names) = (Vec::new(), Vec::new(), HashSet::new());
        for certificate in &trusted {
            if let (Ok(anchor), Some(read)) = (anchor_from_trusted_cert(certificate), Certificate::read(certificate)) {
                names.insert(plain_name(read.subject));
                anchors.push(anchor.to_owned());
                authorities.push(certificate.clone());
            }
        }
        let verified = Verified::default();
        (!anchors.is_empty()).then_some(Trust { algorithms, anchors, authorities, names, trusted, verified })
    }

    /// Judge what a website presents: its own certificate, and others in any order.
    pub fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), CertificateError> {
        let subject = self.verified.subject(own, others, name);
        if !self.verified.holds(&subject, now) {
            let until = self.examine(own, others, name, now)?;
            self.verified.add(subject, until, now);
        }
        Ok(())
    }

    /// Until when the certificates are good, seconds since the epoch, unless they are not.
    fn examine(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<u64, CertificateError> {
        let website = EndEntityCert::try_from(own).map_err(|_| UNABLE)?;
        let (until, is_doubtful) = (Cell::new(0), Cell::new(false));
        let examine = |path: &VerifiedPath<'_>| {
            let Some(end) = self.examine_path(path, now)? else {
                is_doubtful.set(true);
                return Err(webpki::Error::UnknownIssuer);
            };
            until.set(end);
            Ok(())
        };
        let (algorithms, usage) = (self.algorithms.all, KeyUsage::server_auth());
        let found =
            website.verify_for_usage(algorithms, &self.anchors, others, now, usage, None, Some(&examine)).map(drop);
        match found {
            Err(_) if self.trusted.contains(own) => until.set(examine_alone(own, now)?),
            Err(_) if is_doubtful.get() => return Err(UNABLE),
            Err(webpki::Error::UnknownIssuer) if self.may_know_the_issuer(own, others) => return Err(UNABLE),
            found => found.map_err(|error| told(&error))?,
        }
        website.verify_is_valid_for_subject_name(name).map_err(|error| told(&error))?;
        Ok(until.get())
    }

    /// Look at what the library does not in a path that it has found, and tell when the first of its certificates ends;
    /// None if it cannot be judged here.
    fn examine_path(&self, path: &VerifiedPath<'_>, now: UnixTime) -> Result<Option<u64>, webpki::Error> {
        let at = self.anchors.iter().position(|anchor| ptr::eq(anchor, path.anchor()));
        let authority = at.and_then(|at| Certificate::read(&self.authorities[at]));
        let Some(authority) = authority else { return Ok(None) };
        within(&authority, now)?;
        let ders: Vec<_> = path.intermediate_certificates().map(webpki::Cert::der).collect();
        let own = path.end_entity().der();
        let between: Option<Vec<_>> = ders.iter().map(|der| Certificate::read(der)).collect();
        let (Some(own), Some(between)) = (Certificate::read(&own), between) else { return Ok(None) };
        let below = between.iter().filter(|one| !one.is_self_issued()).count();
        let is_plain = own.may_serve()
            && between.iter().all(Certificate::may_sign)
            && authority.is_plain_authority(u64::try_from(below).unwrap_or(u64::MAX));
        let ends = between.iter().map(|one| one.ends).chain([own.ends, authority.ends]);
        Ok(ends.min().filter(|_| is_plain))
    }

    /// Whether an issuer that the library did not find is known under its name as it is spelled elsewhere.
    fn may_know_the_issuer(&self, own: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> bool {
        let presented: Vec<_> = [own].into_iter().chain(others).filter_map(|one| Certificate::read(one)).collect();
        let is_known = |issuer: &[u8]| {
            self.anchors.iter().any(|anchor| anchor.subject.as_ref() == issuer)
                || presented.iter().any(|one| one.subject == issuer)
        };
        let names: HashSet<_> = presented.iter().map(|one| plain_name(one.subject)).collect();
        presented.iter().filter(|one| !is_known(one.issuer)).any(|one| {
            let name = plain_name(one.issuer);
            self.names.contains(&name) || names.contains(&name)
        })
    }
}

/// Until when a website's certificate is good that is trusted itself; it may be one of an authority then.
fn examine_alone(own: &CertificateDer<'_>, now: UnixTime) -> Result<u64, CertificateError> {
    let own = Certificate::read(own).ok_or(UNABLE)?;
    within(&own, now).map_err(|error| told(&error))?;
    if own.is_plain() { Ok(own.ends) } else { Err(UNABLE) }
}

/// Whether a certificate is valid now.
fn within(certificate: &Certificate<'_>, now: UnixTime) -> Result<(), webpki::Error> {
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let (not_before, not_after) = (at(certificate.begins), at(certificate.ends));
    if now < not_before {
        return Err(webpki::Error::CertNotValidYet { time: now, not_before });
    }
    if now > not_after {
        return Err(webpki::Error::CertExpired { time: now, not_after });
    }
    Ok(())
}

/// What the library finds often, and nobody else sees in another way; whatever else it refuses is left to others.
fn told(error: &webpki::Error) -> CertificateError {
    match error {
        webpki::Error::CertExpired { .. } => CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::CertNotValidForName(_) => CertificateError::NotValidForName,
        _ => UNABLE,
    }
}
