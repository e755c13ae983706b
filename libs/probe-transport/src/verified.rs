//! Chains that were verified lately, so that their signatures need not be verified again.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::lock::lock;

const MAX_CHAINS: usize = 20_000;
/// For how long a verdict holds, seconds, unless a certificate expires before.
const HOLDS_S: u64 = 600;

/// The chains that were found to be trusted, each for one name, and until when that holds.
///
/// A chain is known by two keyed hashes of all its bytes, so that nobody can make another one that passes for it.
#[derive(Debug, Default)]
pub struct Verified {
    keys: [RandomState; 2],
    until: Mutex<HashMap<[u64; 2], u64>>,
}

/// What a verdict is about.
pub type Subject = [u64; 2];

impl Verified {
    /// The chain and the name that a verdict is about.
    pub fn subject(&self, own: &CertificateDer<'_>, others: &[CertificateDer<'_>], name: &ServerName<'_>) -> Subject {
        let subject = (own.as_ref(), others, name);
        [self.keys[0].hash_one(subject), self.keys[1].hash_one(subject)]
    }

    /// Whether the chain was verified lately and none of its certificates has expired since.
    pub fn holds(&self, subject: &Subject, now: UnixTime) -> bool {
        lock(&self.until).get(subject).is_some_and(|until| now.as_secs() < *until)
    }

    /// Remember that the chain was verified, and when the first certificate of its path ends.
    pub fn add(&self, subject: Subject, ends: u64, now: UnixTime) {
        let now = now.as_secs();
        let mut known = lock(&self.until);
        if known.len() >= MAX_CHAINS {
            known.retain(|_, until| *until > now);
        }
        if known.len() < MAX_CHAINS {
            known.insert(subject, ends.min(now + HOLDS_S));
        }
    }
}
