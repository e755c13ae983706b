//! How a step of a hop fails.

use std::io;

/// The step that failed, or whose fault it is; the names are those that Python sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The name has no address.
    Name,
    /// No address can be connected to.
    Connect,
    /// The peer hung up during the TLS handshake.
    HungUp,
    /// The TLS handshake failed, or the certificate is not to be trusted.
    Tls,
    /// The website speaks none of the protocols that were offered.
    Protocol,
    /// The website wants this request over HTTP/1.1 (RFC 9113, section 7).
    Older,
    /// The library for TLS knows less than browsers do, and cannot tell whether the website is at fault.
    Unable,
    /// There is no answer, or it is not HTTP.
    Answer,
    /// The body broke off, or is not framed as its head says.
    Body,
    /// The time is over.
    Deadline,
    /// This machine ran out of something.
    Own,
}

impl Kind {
    /// The name that Python sees.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Name => "name",
            Kind::Connect => "connect",
            Kind::HungUp => "hung_up",
            Kind::Tls => "tls",
            Kind::Protocol => "protocol",
            Kind::Older => "older",
            Kind::Unable => "unable",
            Kind::Answer => "answer",
            Kind::Body => "body",
            Kind::Deadline => "deadline",
            Kind::Own => "own",
        }
    }
}

/// A step failed: its kind, and one line for a person.
#[derive(Clone, Debug)]
pub struct Failure {
    pub kind: Kind,
    pub detail: String,
}

impl Failure {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Failure { kind, detail: detail.into() }
    }

    /// An error of a system call: the machine's own when it ran out of something, else of this kind.
    pub fn of_system(kind: Kind, error: &io::Error) -> Self {
        if is_own(error) {
            return Failure::new(Kind::Own, format!("ran out of resources: {}", text(error)));
        }
        Failure::new(kind, text(error))
    }
}

/// What the system calls an error, without its number.
pub fn text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Whether an error means that this machine has run out of something, or has no network at all:
/// ENOMEM, ENFILE, EMFILE, EADDRNOTAVAIL, ENOBUFS as Linux numbers them.
fn is_own(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(12 | 23 | 24 | 99 | 105))
}
