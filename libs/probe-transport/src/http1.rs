//! One request and its answer over HTTP/1.1 (RFC 9112).

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::answer::{Head, MAX_HEAD, Progress, too_large};
use crate::client::explain_late;
use crate::failure::{Failure, Kind, text};
use crate::head::{parse_head, refuse_other_protocols};
use crate::hop::Hop;

const READ: usize = 16 * 1024;
/// The longest line that tells the size of a chunk, with its extensions.
const MAX_SIZE_LINE: usize = 16 * 1024;

/// How the end of a body is told.
#[derive(Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length(u64),
    Chunks,
    Close,
}

/// Send the hop's request and read the answer into `progress`.
pub async fn exchange<S>(stream: &mut S, hop: &Hop, progress: &mut Progress) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let sent = stream.write_all(&request(hop)).await;
    progress.sent();
    let mut buffer = BytesMut::with_capacity(READ);
    let head = match read_head(stream, &mut buffer, progress).await {
        // A website that hangs up while it is still being asked may have answered before.
        Err(failure) if sent.is_err() && buffer.is_empty() => {
            return Err(sent.err().map_or(failure, |error| Failure::of_system(Kind::Answer, &error)));
        }
        // Without TLS there is no way to choose another version.
        Err(Failure { kind: Kind::Protocol, detail }) if !hop.tls => return Err(Failure::new(Kind::Answer, detail)),
        head => head?,
    };
    let framing = framing(&head, hop);
    progress.leads_on = hop.leads_on(&head);
    progress.head(head);
    match framing {
        Framing::None => Ok(()),
        Framing::Length(length) => read_length(stream, buffer, length, hop, progress).await,
        Framing::Chunks => read_chunks(stream, buffer, hop, progress).await,
        Framing::Close => read_to_end(stream, buffer, hop, progress).await,
    }
}

fn request(hop: &Hop) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256 + hop.fields.len() + hop.body.as_ref().map_or(0, Vec::len));
    for part in [&hop.method, " ", &hop.path, " HTTP/1.1\r\n"] {
        bytes.extend(part.as_bytes());
    }
    if hop.field("host").is_none() {
        bytes.extend(b"Host: ");
        bytes.extend(hop.authority.as_bytes());
        bytes.extend(b"\r\n");
    }
    bytes.extend(&hop.fields);
    if let Some(length) = hop.content_length() {
        bytes.extend(format!("Content-Length: {length}\r\n").as_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(hop.body.as_deref().unwrap_or_default());
    bytes
}

/// Read heads until one is final; informational ones are skipped (RFC 9110, section 15.2).
async fn read_head<S>(stream: &mut S, buffer: &mut BytesMut, progress: &mut Progress) -> Result<Head, Failure>
where
    S: AsyncRead + Unpin,
{
    let (mut seen, mut skipped) = (0, 0);
    loop {
        if let Some(length) = end_of_head(buffer, seen) {
            let head = parse_head(&buffer[..length])?;
            buffer.advance(length);
            (seen, skipped) = (0, skipped + length);
            if !(100..200).contains(&head.status) || head.status == 101 {
                return Ok(head);
            }
        } else {
            refuse_other_protocols(buffer)?;
            seen = buffer.len().saturating_sub(3);
            if read_more(stream, buffer, progress).await? == 0 {
                let why = if buffer.is_empty() { "closed without an answer" } else { "closed within the headers" };
                return Err(Failure::new(Kind::Answer, why));
            }
        }
        if skipped + buffer.len().min(end_of_head(buffer, seen).unwrap_or(usize::MAX)) > MAX_HEAD {
            return Err(too_large());
        }
    }
}

async fn read_more<S>(stream: &mut S, buffer: &mut BytesMut, progress: &mut Progress) -> Result<usize, Failure>
where
    S: AsyncRead + Unpin,
{
    buffer.reserve(READ / 4);
    let count = match stream.read_buf(buffer).await {
        // An end without close_notify is an end, as browsers have it.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
        read => {
            read.map_err(|error| explain_late(&error).unwrap_or_else(|| Failure::new(Kind::Answer, text(&error))))?
        }
    };
    if count > 0 {
        progress.byte_came();
    }
    Ok(count)
}

/// Where the head ends, if its end has come. The first `seen` bytes hold no end.
fn end_of_head(buffer: &[u8], seen: usize) -> Option<usize> {
    // Empty lines before the status line end nothing.
    let begin = buffer.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let mut at = seen.max(begin);
    while let Some(found) = buffer.get(at..)?.iter().position(|byte| *byte == b'\n') {
        at += found + 1;
        match buffer.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// RFC 9112, section 6.3. A length that is none, or two that differ, are judged by the caller; nothing is read then.
fn framing(head: &Head, hop: &Hop) -> Framing {
    if !hop.wants_body(head) {
        return Framing::None;
    }
    let mut codings = head.all("transfer-encoding").flat_map(|value| value.split(','));
    if codings.any(|coding| coding.trim().eq_ignore_ascii_case("chunked")) {
        return Framing::Chunks;
    }
    let mut lengths = head.all("content-length").flat_map(|value| value.split(',')).map(|text| digits(text.trim()));
    match lengths.next() {
        None => Framing::Close,
        Some(Some(length)) if lengths.all(|other| other == Some(length)) => Framing::Length(length),
        Some(_) => Framing::None,
    }
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

async fn read_length<S>(
    stream: &mut S,
    mut buffer: BytesMut,
    length: u64,
    hop: &Hop,
    progress: &mut Progress,
) -> Result<(), Failure>
where
    S: AsyncRead + Unpin,
{
    let mut left = length;
    loop {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        left -= count as u64;
        if progress.body(&buffer[..count], hop.max_body) || left == 0 {
            return Ok(());
        }
        buffer.clear();
        if more_of_body(stream, &mut buffer, progress).await? == 0 {
            return Err(Failure::new(Kind::Body, format!("ended after {} of {length} bytes", length - left)));
        }
    }
}

async fn read_to_end<S>(stream: &mut S, mut buffer: BytesMut, hop: &Hop, progress: &mut Progress) -> Result<(), Failure>
where
    S: AsyncRead + Unpin,
{
    loop {
        if progress.body(&buffer, hop.max_body) {
            return Ok(());
        }
        buffer.clear();
        if more_of_body(stream, &mut buffer, progress).await? == 0 {
            return Ok(());
        }
    }
}

async fn read_chunks<S>(stream: &mut S, mut buffer: BytesMut, hop: &Hop, progress: &mut Progress) -> Result<(), Failure>
where
    S: AsyncRead + Unpin,
{
    let mut chunks = Chunks::Size;
    loop {
        if chunks.take(&mut buffer, hop.max_body, progress)? {
            return Ok(());
        }
        if more_of_body(stream, &mut buffer, progress).await? == 0 {
            // Everything has come when only the end of the trailers is missing.
            let whole = matches!(chunks, Chunks::Trailers);
            return if whole { Ok(()) } else { Err(Failure::new(Kind::Body, "ended within a chunk")) };
        }
    }
}

/// What comes next in a body of chunks (RFC 9112, section 7.1).
enum Chunks {
    Size,
    Data(u64),
    /// The line break after the data.
    Break,
    Trailers,
}

impl Chunks {
    /// Take what has come; returns whether that was all.
    fn take(&mut self, buffer: &mut BytesMut, limit: usize, progress: &mut Progress) -> Result<bool, Failure> {
        loop {
            match *self {
                Chunks::Data(0) => *self = Chunks::Break,
                Chunks::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(false);
                    }
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    if progress.body(&buffer.split_to(count), limit) {
                        return Ok(true);
                    }
                    *self = Chunks::Data(left - count as u64);
                }
                _ => {
                    let longest = if matches!(self, Chunks::Trailers) { MAX_HEAD } else { MAX_SIZE_LINE };
                    let Some(line) = line(buffer, longest)? else { return Ok(false) };
                    match (&self, line.is_empty()) {
                        (Chunks::Trailers, true) => return Ok(true),
                        (Chunks::Trailers, false) => progress.trailer(line.len())?,
                        (Chunks::Break, true) => *self = Chunks::Size,
                        (Chunks::Break, false) => return Err(malformed()),
                        (_, _) => *self = after_size(&line)?,
                    }
                }
            }
        }
    }
}

/// A whole line without its end, if it has come.
fn line(buffer: &mut BytesMut, longest: usize) -> Result<Option<BytesMut>, Failure> {
    let end = buffer.iter().position(|byte| *byte == b'\n');
    if end.unwrap_or(buffer.len()) > longest {
        return Err(if longest == MAX_HEAD { too_large() } else { malformed() });
    }
    let Some(end) = end else { return Ok(None) };
    let mut line = buffer.split_to(end);
    buffer.advance(1);
    if line.last() == Some(&b'\r') {
        line.truncate(end - 1);
    }
    Ok(Some(line))
}

fn after_size(line: &[u8]) -> Result<Chunks, Failure> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).map_err(|_| malformed())?;
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed());
    }
    match u64::from_str_radix(text, 16).map_err(|_| malformed())? {
        0 => Ok(Chunks::Trailers),
        size => Ok(Chunks::Data(size)),
    }
}

fn malformed() -> Failure {
    Failure::new(Kind::Body, "the body's chunks are malformed")
}

async fn more_of_body<S>(stream: &mut S, buffer: &mut BytesMut, progress: &mut Progress) -> Result<usize, Failure>
where
    S: AsyncRead + Unpin,
{
    let read = read_more(stream, buffer, progress).await;
    read.map_err(|failure| Failure { kind: if failure.kind == Kind::Tls { Kind::Tls } else { Kind::Body }, ..failure })
}
