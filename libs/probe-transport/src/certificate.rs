//! What certificates say that the library for them does not tell (RFC 5280, section 4).

/// Identifiers of extensions, without the tag and the length (sections 4.2.1.3, 4.2.1.6, 4.2.1.9, 4.2.1.10 and 4.2.1.12).
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const OTHER_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
const PURPOSES: &[u8] = &[0x55, 0x1d, 0x25];
/// The purpose of a website (section 4.2.1.12).
const OF_SERVERS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// Bits of key usage: digital signature, key encipherment and key agreement; and the signing of certificates.
const IN_TLS: u8 = 0x80 | 0x20 | 0x08;
const SIGNS: u8 = 0x04;

/// A certificate taken apart.
#[derive(Debug)]
pub struct Certificate<'a> {
    /// The content of a name, without its own tag.
    pub issuer: &'a [u8],
    pub subject: &'a [u8],
    /// From when on and until when it is valid, both included, seconds since the epoch; 0 stands for all before that, too.
    pub begins: u64,
    pub ends: u64,
    /// Whether it is of the first version, which had no extensions.
    is_first_version: bool,
    /// Whether it says that it is an authority's, and how many intermediate ones there may be below it.
    is_authority: bool,
    path_length: Option<u64>,
    key_usage: Option<u8>,
    /// Whether websites are among its purposes, if it names any.
    of_servers: Option<bool>,
    /// Whether a critical extension is none of those above, nor about names.
    is_odd: bool,
}

impl<'a> Certificate<'a> {
    /// None if it cannot be read.
    pub fn read(certificate: &'a [u8]) -> Option<Self> {
        let (_, outer, _) = element(certificate)?;
        let (_, mut fields, _) = element(outer)?;
        // The version may be left out; it, the serial number and the algorithm come before the issuer.
        let is_first_version = fields.first()? != &0xa0;
        for _ in 0..if is_first_version { 2 } else { 3 } {
            (_, _, fields) = element(fields)?;
        }
        let (_, issuer, fields) = element(fields)?;
        let (_, validity, fields) = element(fields)?;
        let (_, subject, fields) = element(fields)?;
        let (_, _, mut rest) = element(fields)?;
        let mut moments = elements(validity).map(|(tag, text)| moment(tag, text));
        let mut read = Certificate {
            issuer,
            subject,
            begins: moments.next()??,
            ends: moments.next()??,
            is_first_version,
            is_authority: false,
            path_length: None,
            key_usage: None,
            of_servers: None,
            is_odd: false,
        };
        // Unique identifiers may come before the extensions.
        while let Some((tag, content, after)) = element(rest) {
            if tag == 0xa3 {
                let (_, mut extensions, _) = element(content)?;
                while !extensions.is_empty() {
                    let (_, extension, after) = element(extensions)?;
                    read.extension(extension)?;
                    extensions = after;
                }
            }
            rest = after;
        }
        Some(read)
    }

    fn extension(&mut self, extension: &[u8]) -> Option<()> {
        let (_, id, rest) = element(extension)?;
        let (tag, content, after) = element(rest)?;
        let (is_critical, value) = if tag == 0x01 { (content != [0], element(after)?.1) } else { (false, content) };
        match id {
            KEY_USAGE => self.key_usage = Some(element(value)?.1.get(1).copied().unwrap_or(0)),
            BASIC_CONSTRAINTS => {
                let (_, content, _) = element(value)?;
                for (tag, value) in elements(content) {
                    match tag {
                        0x01 => self.is_authority = value != [0],
                        _ => self.path_length = Some(value.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))),
                    }
                }
            }
            PURPOSES => self.of_servers = Some(elements(element(value)?.1).any(|(_, id)| id == OF_SERVERS)),
            OTHER_NAMES | NAME_CONSTRAINTS => {}
            _ => self.is_odd |= is_critical,
        }
        Some(())
    }

    /// Whether issuer and subject are one.
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Whether it may be a website's, as far as the usage of its key tells.
    pub fn may_serve(&self) -> bool {
        self.key_usage.is_none_or(|bits| bits & IN_TLS != 0)
    }

    /// Whether nothing but its issuer could be held against it as a website's own.
    pub fn is_plain(&self) -> bool {
        self.may_serve() && self.of_servers != Some(false) && !self.is_odd
    }

    /// Whether it may sign certificates, as far as the usage of its key tells.
    pub fn may_sign(&self) -> bool {
        self.key_usage.is_none_or(|bits| bits & SIGNS != 0)
    }

    /// Whether nothing that it says could be held against it as an authority's with so many intermediate ones below it.
    pub fn is_plain_authority(&self, below: u64) -> bool {
        let is_authority = self.is_authority || (self.is_first_version && self.is_self_issued());
        let is_long_enough = self.path_length.is_none_or(|length| below <= length);
        is_authority && is_long_enough && self.may_sign() && self.of_servers != Some(false) && !self.is_odd
    }
}

/// A name as it is compared: kinds of text, capitals and the number of spaces make no difference (section 7.1).
pub fn plain_name(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    for (_, set) in elements(name) {
        for (_, pair) in elements(set) {
            let mut parts = elements(pair);
            let (Some((_, kind)), Some((tag, text))) = (parts.next(), parts.next()) else { continue };
            // Of two bytes a character (BMPString), the second one tells Latin letters apart.
            let text: Vec<u8> =
                if tag == 0x1e { text.iter().skip(1).step_by(2).copied().collect() } else { text.into() };
            let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            plain.extend([b"\0", kind, &words.collect::<Vec<_>>().join(&b' ').to_ascii_lowercase()].concat());
        }
        plain.push(0);
    }
    plain
}

/// A moment as certificates have it, seconds since the epoch; 0 for all before that.
fn moment(tag: u8, text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let at = text.len().checked_sub(10).filter(|digits| matches!(digits, 2 | 4))?;
    let year: u64 = text.get(..at)?.parse().ok()?;
    let year = if tag == 0x17 { year + if year < 50 { 2000 } else { 1900 } } else { year };
    let number = |from: usize| text.get(at + from..at + from + 2)?.parse::<u64>().ok();
    let (month, day, hour, minute, second) = (number(0)?, number(2)?, number(4)?, number(6)?, number(8)?);
    // Days from civil: March is the first month, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    Some(days.checked_sub(719_469).map_or(0, |days| ((days * 24 + hour) * 60 + minute) * 60 + second))
}

/// The elements of a DER encoding, as far as they can be read: tags and contents.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = element(bytes)?;
        bytes = rest;
        Some((tag, content))
    })
}

/// The first element of a DER encoding: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
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
    use super::*;

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    /// A certificate without signature and key.
    fn certificate(version: bool, not_after: (u8, &str), extensions: &[u8]) -> Vec<u8> {
        let before = wrap(0x17, b"200101000000Z");
        let validity = wrap(0x30, &[before, wrap(not_after.0, not_after.1.as_bytes())].concat());
        let mut fields = if version { wrap(0xa0, &wrap(2, &[2])) } else { Vec::new() };
        for field in [wrap(2, &[7]), wrap(0x30, &[]), wrap(0x30, &[]), validity, wrap(0x30, &[]), wrap(0x30, &[])] {
            fields.extend(field);
        }
        if !extensions.is_empty() {
            fields.extend(wrap(0xa3, &wrap(0x30, extensions)));
        }
        wrap(0x30, &wrap(0x30, &fields))
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        for (text, expected) in [
            ((0x17, "500101000000Z"), 0),
            ((0x17, "700101000000Z"), 0),
            ((0x17, "700102000000Z"), 86_400),
            ((0x17, "491231235959Z"), 2_524_607_999),
            ((0x18, "20500101000000Z"), 2_524_608_000),
            ((0x17, "240229120000Z"), 1_709_208_000),
            ((0x17, "240301000000Z"), 1_709_251_200),
            ((0x18, "00010101000000Z"), 0),
            ((0x18, "99991231235959Z"), 253_402_300_799),
        ] {
            for version in [true, false] {
                let bytes = certificate(version, text, &[]);
                let read = Certificate::read(&bytes).unwrap();
                assert_eq!((read.begins, read.ends), (1_577_836_800, expected), "{}", text.1);
            }
        }
    }

    #[test]
    fn what_is_no_certificate_says_nothing() {
        let whole = certificate(true, (0x17, "240229120000Z"), &[]);
        for length in 0..whole.len() {
            assert!(Certificate::read(&whole[..length]).is_none());
        }
        for text in ["2402291200Z", "999999999999999999990229120000Z"] {
            assert!(Certificate::read(&certificate(true, (0x18, text), &[])).is_none());
        }
    }

    #[test]
    fn what_a_certificate_may_be_used_for_is_read() {
        let extension = |id: &[u8], critical: bool, value: &[u8]| {
            let flag = if critical { wrap(0x01, &[0xff]) } else { Vec::new() };
            wrap(0x30, &[wrap(0x06, id), flag, wrap(0x04, value)].concat())
        };
        let authority = |more: &[u8]| {
            let constraints = wrap(0x30, &[wrap(0x01, &[0xff]), wrap(0x02, &[1])].concat());
            [&extension(BASIC_CONSTRAINTS, true, &constraints), more].concat()
        };
        let usage = |bits: u8| extension(KEY_USAGE, true, &wrap(0x03, &[0, bits]));
        let purpose = |id: &[u8]| extension(PURPOSES, false, &wrap(0x30, &wrap(0x06, id)));
        for (extensions, serves, signs) in [
            (Vec::new(), true, false),
            (authority(&[]), true, true),
            (authority(&usage(SIGNS)), false, true),
            (usage(0x80), true, false),
            (usage(0x40), false, false),
            (authority(&purpose(OF_SERVERS)), true, true),
            (authority(&purpose(b"else")), false, false),
            (authority(&extension(b"else", false, &[5, 0])), true, true),
            (authority(&extension(b"else", true, &[5, 0])), false, false),
            (extension(NAME_CONSTRAINTS, true, &[5, 0]), true, false),
        ] {
            let bytes = certificate(true, (0x17, "240229120000Z"), &extensions);
            let read = Certificate::read(&bytes).unwrap();
            assert_eq!((read.is_plain(), read.is_plain_authority(1)), (serves, signs), "{extensions:x?}");
            assert!(!read.is_plain_authority(2), "{extensions:x?}");
        }
    }

    #[test]
    fn names_are_compared_as_people_read_them() {
        let name = |tag: u8, text: &[u8]| {
            let pair = [wrap(0x06, &[0x55, 0x04, 0x0a]), wrap(tag, text)].concat();
            wrap(0x31, &wrap(0x30, &pair))
        };
        let plain = plain_name(&name(0x13, b"My Root"));
        for (tag, text) in [(0x0c, &b"My Root"[..]), (0x13, b" my  ROOT "), (0x1e, b"\0M\0y\0 \0R\0o\0o\0t")] {
            assert_eq!(plain_name(&name(tag, text)), plain);
        }
        for other in [name(0x13, b"MyRoot"), [name(0x13, b"My"), name(0x13, b"Root")].concat(), Vec::new()] {
            assert_ne!(plain_name(&other), plain);
        }
    }
}
