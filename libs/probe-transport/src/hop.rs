//! What a hop is: one request that one connection of its own carries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::sign::CertifiedKey;

use crate::answer::Head;

/// What goes on without end; the others do when nothing tells their length.
const ENDLESS: [&str; 2] = ["text/event-stream", "multipart/x-mixed-replace"];
const ENDLESS_WITHOUT_LENGTH: [&str; 2] = ["audio/", "video/"];

/// One request, and how it is to be made.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Default)]
pub struct Hop {
    pub token: u64,
    /// When the hop begins, if there is a place; without it at once.
    pub due: Option<Instant>,
    /// How long the hop may take.
    pub timeout: Duration,
    pub method: String,
    pub tls: bool,
    /// Host and port as the URL has them.
    pub authority: String,
    pub host: String,
    pub port: u16,
    /// Where to connect in place of host and port.
    pub connect_to: Option<(String, Option<u16>)>,
    /// The version of IP that is connected to; 0 for both.
    pub family: u8,
    /// Path and query.
    pub path: String,
    /// Lines of the head, each with its line break.
    pub fields: Vec<u8>,
    pub body: Option<Vec<u8>>,
    /// The body of other statuses is not read.
    pub expected: Vec<(u16, u16)>,
    /// Whether a redirect ends the hop at its head.
    pub follow: bool,
    pub verify: bool,
    pub http1: bool,
    pub http2: bool,
    /// Whether a stream that never ends is read until the time is over.
    pub endless: bool,
    /// How many bytes of the body are read before the rest is left.
    pub max_body: usize,
    pub target: u64,
    pub resume_for: Duration,
    /// The certificate that is shown to a website that asks for one.
    pub client: Option<Arc<CertifiedKey>>,
}

impl Hop {
    /// Take a URL apart; false when it is not `http://` or `https://` with a host.
    pub fn set_url(&mut self, url: &str) -> bool {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        self.tls = scheme == "https";
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (authority, Some(if self.tls { 443 } else { 80 })),
        };
        // As browsers and curl have it: the scheme's own port is not told.
        let own_port = if self.tls { ":443" } else { ":80" };
        authority.strip_suffix(own_port).unwrap_or(authority).clone_into(&mut self.authority);
        host.clone_into(&mut self.host);
        self.port = port.unwrap_or_default();
        self.path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        matches!(scheme, "http" | "https") && !host.is_empty() && self.port > 0
    }

    /// The fields of the request's head.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
    }

    /// The value of the request's first field with this name, in lower case.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// How long the request says that its body is (RFC 9110, section 8.6).
    pub fn content_length(&self) -> Option<usize> {
        let length = self.body.as_ref().map(Vec::len).or((self.method == "POST").then_some(0));
        length.filter(|_| self.field("content-length").is_none())
    }

    /// Whether the answer leads to another hop, and ends here.
    pub fn leads_on(&self, head: &Head) -> bool {
        let redirect = matches!(head.status, 301..=303 | 307 | 308);
        self.follow && redirect && head.all("location").any(|value| !value.is_empty())
    }

    /// Whether the answer has a body that is to be read (RFC 9112, section 6.3).
    pub fn wants_body(&self, head: &Head) -> bool {
        let status = head.status;
        let has_one = self.method != "HEAD" && !matches!(status, ..200 | 204 | 304);
        has_one
            && (self.endless || !is_endless(head))
            && !self.leads_on(head)
            && self.expected.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }
}

/// Whether nobody can wait for the end of a body.
fn is_endless(head: &Head) -> bool {
    let begins = |value: &str, kind: &&str| {
        value.trim_start().get(..kind.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(kind))
    };
    let is_any = |kinds: [&str; 2]| head.all("content-type").any(|value| kinds.iter().any(|kind| begins(value, kind)));
    is_any(ENDLESS) || head.all("content-length").next().is_none() && is_any(ENDLESS_WITHOUT_LENGTH)
}
