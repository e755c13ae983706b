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
    pub fn subject(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Subject {
        let bytes: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
        [self.keys[0].hash_one((&bytes, name)), self.keys[1].hash_one((&bytes, name))]
    }

    /// Whether the chain was verified lately and none of its certificates has expired since.
    pub fn holds(&self, subject: &Subject, now: UnixTime) -> bool {
        lock(&self.until).get(subject).is_some_and(|until| now.as_secs() < *until)
    }

    /// Remember that the chain was verified.
    pub fn add(&self, subject: Subject, chain: &[CertificateDer<'_>], now: UnixTime) {
        let now = now.as_secs();
        let Some(expires) = chain.iter().map(|one| expiry(one)).min().flatten() else { return };
        let mut known = lock(&self.until);
        if known.len() >= MAX_CHAINS {
            known.retain(|_, until| *until > now);
        }
        if known.len() < MAX_CHAINS {
            known.insert(subject, expires.min(now + HOLDS_S));
        }
    }
}

/// When a certificate expires, seconds since the epoch (RFC 5280, section 4.1); None if it cannot be read.
pub fn expiry(certificate: &[u8]) -> Option<u64> {
    let (_, outer, _) = element(certificate)?;
    let (_, mut fields, _) = element(outer)?;
    // The version may be left out; serial number, signature and issuer come before the validity.
    let before = if fields.first()? == &0xa0 { 4 } else { 3 };
    for _ in 0..before {
        (_, _, fields) = element(fields)?;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let at = text.len().checked_sub(10)?;
    let year: u64 = text.get(..at)?.parse().ok()?;
    let year = if tag == 0x17 { year + if year < 50 { 2000 } else { 1900 } } else { year };
    let number = |from: usize| text.get(at + from..at + from + 2)?.parse::<u64>().ok();
    let (month, day, hour, minute, second) = (number(0)?, number(2)?, number(4)?, number(6)?, number(8)?);
    // Days from civil: March is the first month, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = (365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day).checked_sub(719_469)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// The first element of a DER encoding: its tag, its content, and what follows it.
pub fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::expiry;

    /// A certificate cut down to the fields before its validity, and that.
    fn certificate(version: bool, not_after: (u8, &str)) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let before = wrap(0x17, b"200101000000Z");
        let validity = wrap(0x30, &[before, wrap(not_after.0, not_after.1.as_bytes())].concat());
        let mut fields = if version { wrap(0xa0, &wrap(2, &[2])) } else { Vec::new() };
        for field in [wrap(2, &[7]), wrap(0x30, &[]), wrap(0x30, &[]), validity] {
            fields.extend(field);
        }
        wrap(0x30, &wrap(0x30, &fields))
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        for (text, expected) in [
            ((0x17, "700101000000Z"), 0),
            ((0x17, "491231235959Z"), 2_524_607_999),
            ((0x18, "20500101000000Z"), 2_524_608_000),
            ((0x17, "240229120000Z"), 1_709_208_000),
            ((0x17, "240301000000Z"), 1_709_251_200),
            ((0x18, "99991231235959Z"), 253_402_300_799),
        ] {
            assert_eq!(expiry(&certificate(true, text)), Some(expected), "{}", text.1);
            assert_eq!(expiry(&certificate(false, text)), Some(expected), "{}", text.1);
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let whole = certificate(true, (0x17, "240229120000Z"));
        for length in 0..whole.len() {
            assert_eq!(expiry(&whole[..length]), None);
        }
        assert_eq!(expiry(&certificate(true, (0x17, "2402291200Z"))), None);
    }
}
