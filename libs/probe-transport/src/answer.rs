//! What comes of a hop.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::connect::Attempt;
use crate::failure::{Failure, Kind};
use crate::tls::Chain;

/// How many fields a head may have, as curl has it, and how many bytes, as Chrome has it.
pub const MAX_FIELDS: usize = 5_000;
pub const MAX_HEAD: usize = 256 * 1024;

/// The head of an answer; names in lower case, values with a character for each byte.
#[derive(Debug, Default)]
pub struct Head {
    pub version: &'static str,
    pub status: u16,
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// The values of all fields with this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

pub fn too_large() -> Failure {
    Failure::new(Kind::Answer, "the answer has too many headers, or too large ones")
}

/// How far a hop has come. It outlives the hop's work, which may be given up at any moment.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Default)]
pub struct Progress {
    pub dns: Option<Duration>,
    pub connect: Option<Duration>,
    pub tls: Option<Duration>,
    pub address: Option<IpAddr>,
    pub attempts: Vec<Attempt>,
    pub chain: Chain,
    pub tls_version: Option<&'static str>,
    pub resumed: bool,
    pub leads_on: bool,
    pub stalled: Duration,
    head: Option<Head>,
    body: Vec<u8>,
    cut: bool,
    trailer_bytes: usize,
    first_byte: Option<Duration>,
    /// Whether anything of the answer came.
    begun: bool,
    sent_at: Option<Instant>,
    head_at: Option<Instant>,
}

impl Progress {
    /// The request is on its way.
    pub fn sent(&mut self) {
        self.sent_at = Some(Instant::now());
    }

    /// Bytes of the answer came.
    pub fn byte_came(&mut self) {
        self.begun = true;
    }

    /// The head is whole.
    pub fn head(&mut self, head: Head) {
        self.first_byte = self.sent_at.map(|sent| sent.elapsed());
        self.head = Some(head);
        self.head_at = Some(Instant::now());
    }

    /// Keep a piece of the body; returns whether it is larger than `limit` now.
    pub fn body(&mut self, piece: &[u8], limit: usize) -> bool {
        self.body.extend(piece);
        self.cut = self.body.len() > limit;
        self.cut
    }

    /// How many bytes of the body were kept.
    pub fn body_length(&self) -> usize {
        self.body.len()
    }

    /// Count the bytes of a trailer, of which nothing is kept.
    pub fn trailer(&mut self, bytes: usize) -> Result<(), Failure> {
        self.trailer_bytes += bytes + 1;
        if self.trailer_bytes > MAX_HEAD { Err(too_large()) } else { Ok(()) }
    }

    /// What the hop was at, for a person.
    pub fn phase(&self, tls: bool) -> &'static str {
        match self {
            Progress { dns: None, .. } => "looking up the name",
            Progress { connect: None, .. } => "connecting",
            Progress { tls: None, .. } if tls => "in the TLS handshake",
            Progress { begun: false, .. } => "waiting for the answer",
            Progress { head: None, .. } => "reading the headers",
            _ => "reading the body",
        }
    }
}

/// What came of a hop. Moments are seconds on Python's monotonic clock, durations seconds.
#[pyclass(frozen, module = "probe_transport")]
pub struct Answer {
    #[pyo3(get)]
    pub token: u64,
    #[pyo3(get)]
    pub started: f64,
    #[pyo3(get)]
    pub ended: f64,
    pub progress: Progress,
    pub failure: Option<Failure>,
    transfer: Option<Duration>,
}

impl Answer {
    pub fn new(token: u64, (started, ended): (f64, f64), progress: Progress, failure: Option<Failure>) -> Self {
        let transfer = progress.head_at.map(|head| head.elapsed());
        Answer { token, started, ended, progress, failure, transfer }
    }
}

#[pymethods]
impl Answer {
    #[getter]
    fn dns_s(&self) -> Option<f64> {
        self.progress.dns.map(|d| d.as_secs_f64())
    }

    #[getter]
    fn connect_s(&self) -> Option<f64> {
        self.progress.connect.map(|d| d.as_secs_f64())
    }

    #[getter]
    fn tls_s(&self) -> Option<f64> {
        self.progress.tls.map(|d| d.as_secs_f64())
    }

    #[getter]
    fn first_byte_s(&self) -> Option<f64> {
        self.progress.first_byte.map(|d| d.as_secs_f64())
    }

    #[getter]
    fn transfer_s(&self) -> Option<f64> {
        self.transfer.map(|d| d.as_secs_f64())
    }

    #[getter]
    fn address(&self) -> Option<String> {
        self.progress.address.map(|address| address.to_string())
    }

    #[getter]
    fn attempts(&self) -> Vec<(String, &str)> {
        self.progress.attempts.iter().map(|a| (a.address.to_string(), a.outcome.as_str())).collect()
    }

    #[getter]
    fn certificates<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.progress.chain.iter().map(|certificate| PyBytes::new(py, certificate)).collect()
    }

    #[getter]
    fn tls_version(&self) -> Option<&str> {
        self.progress.tls_version
    }

    #[getter]
    fn http_version(&self) -> Option<&str> {
        self.progress.head.as_ref().map(|head| head.version)
    }

    #[getter]
    fn resumed(&self) -> bool {
        self.progress.resumed
    }

    #[getter]
    fn stalled_s(&self) -> f64 {
        self.progress.stalled.as_secs_f64()
    }

    #[getter]
    fn status(&self) -> Option<u16> {
        self.progress.head.as_ref().map(|head| head.status)
    }

    #[getter]
    fn fields(&self) -> Vec<(&str, &str)> {
        let head = self.progress.head.iter();
        head.flat_map(|head| &head.fields).map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.progress.body)
    }

    #[getter]
    fn cut(&self) -> bool {
        self.progress.cut
    }

    #[getter]
    fn failure(&self) -> Option<&str> {
        self.failure.as_ref().map(|failure| failure.kind.name())
    }

    #[getter]
    fn detail(&self) -> &str {
        self.failure.as_ref().map_or("", |failure| &failure.detail)
    }
}
