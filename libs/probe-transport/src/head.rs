//! The head of an answer over HTTP/1.1 (RFC 9112), read as leniently as browsers read it.
//!
//! The engine requests reads heads by the same rules (answer.py): change both or none.

use std::borrow::Cow;

use crate::answer::{Head, MAX_FIELDS, too_large};
use crate::failure::{Failure, Kind};

/// Status and fields of a whole head. What no browser reads is refused.
pub fn parse_head(bytes: &[u8]) -> Result<Head, Failure> {
    refuse_other_protocols(bytes)?;
    let lines = bytes.trim_ascii_start().split(|byte| *byte == b'\n');
    let mut lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status_line = status_line(lines.next().unwrap_or_default());
    let (version, status) = status_line.ok_or_else(|| Failure::new(Kind::Answer, "the answer is not HTTP"))?;
    let mut unfolded: Vec<Cow<[u8]>> = Vec::with_capacity(16);
    for line in lines.take_while(|line| !line.is_empty()) {
        if matches!(line, [b' ' | b'\t', ..]) {
            let begin = unfolded.last_mut().ok_or_else(malformed)?.to_mut();
            begin.push(b' ');
            begin.extend_from_slice(line.trim_ascii());
            continue;
        }
        if unfolded.len() == MAX_FIELDS {
            return Err(too_large());
        }
        unfolded.push(Cow::Borrowed(line));
    }
    let mut fields = Vec::with_capacity(unfolded.len());
    for line in &unfolded {
        fields.extend(field(line)?);
    }
    Ok(Head { version, status, fields })
}

/// A website that speaks something else may wait for more; its first line tells.
pub fn refuse_other_protocols(buffer: &[u8]) -> Result<(), Failure> {
    let first = buffer.trim_ascii_start();
    let compared = first.len().min(5);
    if first[..compared].eq_ignore_ascii_case(&b"HTTP/"[..compared]) {
        return Ok(());
    }
    // What HTTP/2 begins with, whether it is asked for or not: SETTINGS (RFC 9113, section 3.4).
    if matches!(buffer, [0, _, _, 4, ..]) {
        return Err(Failure::new(Kind::Protocol, "the website speaks HTTP/2 alone"));
    }
    Err(Failure::new(Kind::Answer, "the answer is not HTTP"))
}

/// Version and status code. A number of another version is taken for 1.1, as browsers do.
fn status_line(line: &[u8]) -> Option<(&'static str, u16)> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let version = line.get(5..space)?;
    let mut numbers = version.splitn(2, |byte| *byte == b'.');
    if !numbers.all(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let rest = line[space..].trim_ascii_start();
    let (code, reason) = rest.split_at_checked(3)?;
    if !code.iter().all(u8::is_ascii_digit) || !matches!(reason, [] | [b' ' | b'\t', ..]) {
        return None;
    }
    let status = code.iter().fold(0, |status, digit| 10 * status + u16::from(digit - b'0'));
    Some((if version == b"1.0" { "1.0" } else { "1.1" }, status))
}

fn malformed() -> Failure {
    Failure::new(Kind::Answer, "the answer is not HTTP: malformed header")
}

/// A name in lower case and its value; None if the name cannot be one, which browsers pass over. White space before the
/// colon is passed over.
fn field(line: &[u8]) -> Result<Option<(String, String)>, Failure> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or_else(malformed)?;
    let name = line[..colon].trim_ascii_end();
    if name.contains(&0) {
        return Err(malformed());
    }
    let is_none = name.is_empty() || name.iter().any(|byte| *byte <= b' ' || *byte == 0x7f);
    Ok((!is_none).then(|| (text(name).to_lowercase(), text(&line[colon + 1..]))))
}

/// A character for each byte. A bare CR is read as a space (RFC 9112, section 2.2).
fn text(value: &[u8]) -> String {
    let bytes = value.trim_ascii().iter();
    bytes.map(|byte| if *byte == b'\r' { ' ' } else { char::from(*byte) }).collect()
}
