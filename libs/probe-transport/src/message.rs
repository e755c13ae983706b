//! Messages of DNS (RFC 1035): questions for addresses, and the answers to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER: usize = 12;
const IN: u16 = 1;
const CNAME: u16 = 5;

/// What kind of address is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A records.
    V4 = 1,
    /// AAAA records.
    V6 = 28,
}

/// What a resolver says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The addresses of the name, none if it has none of this kind, and for how many seconds that may be kept.
    Addresses(Vec<IpAddr>, u32),
    /// A response code other than NOERROR.
    Code(u8),
    /// The answer does not fit into a datagram.
    Truncated,
}

/// A question, or None when the host cannot be a name in DNS.
#[must_use]
pub fn question(id: u16, host: &str, family: Family) -> Option<Vec<u8>> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() || host.len() > 253 {
        return None;
    }
    let mut message = Vec::with_capacity(HEADER + host.len() + 6);
    message.extend(id.to_be_bytes());
    // Recursion is desired; one question.
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in host.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        message.push(length);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend((family as u16).to_be_bytes());
    message.extend(IN.to_be_bytes());
    Some(message)
}

/// What a message says about a question; None when it is not the answer to it.
#[must_use]
pub fn answer(message: &[u8], question: &[u8], family: Family) -> Option<Said> {
    let mut reader = Reader { message, at: HEADER };
    let asked = question.get(HEADER..)?;
    let flags = message.get(2..4)?;
    let counts = message.get(4..8)?;
    if message[..2] != question[..2] || flags[0] & 0x80 == 0 {
        return None;
    }
    let code = flags[1] & 0x0f;
    if counts[..2] != [0, 1] {
        // Some resolvers leave the question out when they refuse it.
        return (code != 0 && counts[..2] == [0, 0]).then_some(Said::Code(code));
    }
    if !message.get(HEADER..HEADER + asked.len())?.eq_ignore_ascii_case(asked) {
        return None;
    }
    if flags[0] & 0x02 != 0 {
        return Some(Said::Truncated);
    }
    if code != 0 {
        return Some(Said::Code(code));
    }
    let mut wanted = reader.name()?;
    reader.skip(4)?;
    let records = reader.records(u16::from_be_bytes([counts[2], counts[3]]))?;
    let mut keep_s = u32::MAX;
    let mut found = addresses(&records, &wanted, family, &mut keep_s);
    // Aliases may come in any order; each is followed once, so that a circle ends.
    for _ in 0..records.len() {
        let alias = records.iter().find(|r| r.kind == CNAME && r.owner == wanted);
        let (Some(alias), true) = (alias, found.is_empty()) else { break };
        keep_s = keep_s.min(alias.keep_s);
        wanted = Reader { message, at: alias.at }.name()?;
        found = addresses(&records, &wanted, family, &mut keep_s);
    }
    Some(Said::Addresses(found, keep_s))
}

fn addresses(records: &[Record], owner: &[u8], family: Family, keep_s: &mut u32) -> Vec<IpAddr> {
    let of_owner = records.iter().filter(|r| r.kind == family as u16 && r.owner == owner);
    of_owner
        .filter_map(|record| {
            *keep_s = (*keep_s).min(record.keep_s);
            match family {
                Family::V4 => <[u8; 4]>::try_from(record.data).ok().map(|b| Ipv4Addr::from(b).into()),
                Family::V6 => <[u8; 16]>::try_from(record.data).ok().map(|b| Ipv6Addr::from(b).into()),
            }
        })
        .collect()
}

/// A resource record. `at` is where its data begin in the message.
struct Record<'a> {
    owner: Vec<u8>,
    kind: u16,
    keep_s: u32,
    data: &'a [u8],
    at: usize,
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn skip(&mut self, count: usize) -> Option<&'a [u8]> {
        let skipped = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(skipped)
    }

    fn number(&mut self) -> Option<u16> {
        self.skip(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A name in lower case, its labels with their lengths before them.
    fn name(&mut self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        let mut from = Reader { message: self.message, at: self.at };
        let mut after = None;
        loop {
            let length = usize::from(from.skip(1)?[0]);
            match length {
                0 => break,
                1..64 => {
                    name.push(from.message[from.at - 1]);
                    name.extend(from.skip(length)?.to_ascii_lowercase());
                }
                192.. => {
                    let low = usize::from(from.skip(1)?[0]);
                    after.get_or_insert(from.at);
                    // A pointer leads back, never forward, so that it cannot lead in a circle.
                    let back = (length & 0x3f) << 8 | low;
                    if back >= from.at - 2 {
                        return None;
                    }
                    from.at = back;
                }
                _ => return None,
            }
            if name.len() > 255 {
                return None;
            }
        }
        self.at = after.unwrap_or(from.at);
        Some(name)
    }

    fn records(&mut self, count: u16) -> Option<Vec<Record<'a>>> {
        let mut records = Vec::with_capacity(usize::from(count).min(64));
        for _ in 0..count {
            let owner = self.name()?;
            let kind = self.number()?;
            self.skip(2)?;
            let keep = self.skip(4)?;
            let length = self.number()?;
            let at = self.at;
            let data = self.skip(usize::from(length))?;
            let keep_s = u32::from_be_bytes([keep[0], keep[1], keep[2], keep[3]]);
            records.push(Record { owner, kind, keep_s, data, at });
        }
        Some(records)
    }
}
