//! The thread that moves the bytes of all hops.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::alarm::Alarm;
use crate::answer::{Answer, Progress};
use crate::client::ClientCertificate;
use crate::connect::{Network, connect};
use crate::failure::{Failure, Kind};
use crate::hop::Hop;
use crate::lock::lock;
use crate::resolver::{self, Addresses, Resolver};
use crate::tls::{Tls, Wish};
use crate::{http1, http2};

/// Hops begin in groups: waking up for each would cost more than the hop. A group begins with the last of `GROUP` hops,
/// or of those that are due `LONGEST_TURN` after the first; and those of `SHORTEST_TURN` are never divided.
const GROUP: usize = 8;
const SHORTEST_TURN: Duration = Duration::from_millis(5);
const LONGEST_TURN: Duration = Duration::from_millis(200);
/// A tick that comes so much too late is no ordinary scheduling: this process was stopped, swapped out, or starved of the
/// processor.
const TICK: Duration = Duration::from_millis(250);
const STALL: Duration = Duration::from_millis(250);
/// The longest time that anything waits for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Makes hops in a thread of its own, any number at once.
#[pyclass(frozen, module = "probe_transport")]
pub struct Transport {
    shared: Arc<Shared>,
}

struct Shared {
    resolver: Resolver,
    tls: Mutex<Result<Arc<Tls>, String>>,
    denied: Vec<Network>,
    /// The same moment on both clocks.
    instant: Instant,
    monotonic_s: f64,
    submitted: Mutex<Vec<Hop>>,
    wake: Notify,
    closed: AtomicBool,
    places: Semaphore,
    hosts: Hosts,
    finished: Mutex<Finished>,
    came: Condvar,
}

/// The answers that nobody has drained yet.
#[derive(Default)]
struct Finished {
    answers: Vec<Answer>,
    /// Whether one of them leads to another hop, which should not wait.
    urgent: bool,
    /// How many answers someone waits for, if someone does.
    awaited: Option<usize>,
}

#[pymethods]
impl Transport {
    /// Begin a thread that trusts these authorities (PEM) and connects to no address in the denied networks.
    #[new]
    #[pyo3(signature = (authorities, denied_networks, dns_cache, max_concurrent, *, max_per_host = usize::MAX,
                        resolv_conf = "/etc/resolv.conf", hosts = "/etc/hosts", dns_port = 53))]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
    fn new(
        py: Python<'_>,
        authorities: &[u8],
        denied_networks: Vec<String>,
        dns_cache: bool,
        max_concurrent: usize,
        max_per_host: usize,
        resolv_conf: &str,
        hosts: &str,
        dns_port: u16,
    ) -> PyResult<Self> {
        let clock = py.import("time")?.getattr("monotonic")?;
        let (monotonic_s, instant) = same_moment(&clock)?;
        let denied = denied_networks.iter().map(|text| network(text)).collect::<Option<Vec<_>>>();
        let shared = Arc::new(Shared {
            resolver: Resolver::new(resolv_conf, hosts, dns_port, dns_cache),
            tls: Mutex::new(Tls::new(authorities).map(Arc::new)),
            denied: denied.ok_or_else(|| PyValueError::new_err("not a network"))?,
            instant,
            monotonic_s,
            submitted: Mutex::default(),
            wake: Notify::new(),
            closed: AtomicBool::new(false),
            places: Semaphore::new(max_concurrent),
            hosts: Hosts { limit: max_per_host.min(Semaphore::MAX_PERMITS), places: Mutex::default() },
            finished: Mutex::default(),
            came: Condvar::new(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        let alarm = {
            let _entered = runtime.enter();
            Alarm::new().map_err(|error| PyOSError::new_err(error.to_string()))?
        };
        let work = shared.clone();
        thread::Builder::new()
            .name("transport".into())
            .spawn(move || runtime.block_on(accept(work, alarm)))
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Transport { shared })
    }

    /// From the next handshake on, trust these authorities (PEM) in place of those before; no session is resumed that
    /// these agreed on.
    fn trust(&self, py: Python<'_>, authorities: &[u8]) {
        let tls = py.detach(|| Tls::new(authorities).map(Arc::new));
        *lock(&self.shared.tls) = tls;
    }

    /// Hand in a hop, which begins at the moment `due` as soon as there is a place, but not before the next `drain`;
    /// without `due` it goes on with a check that has its place.
    ///
    /// `fields` are the lines of the head but for Host and Content-Length. The body of the answer is read only when
    /// `expected` (ranges, both ends included) has its status, and not if the answer is a redirect and `follow` is set, or
    /// a stream without end and `endless` is not.
    #[pyo3(signature = (token, due, timeout_s, method, url, fields, body, expected, max_body, follow, verify, *,
                        http1 = true, http2 = false, endless = true, connect_to = None, family = 0, target = 0, resume_for_s = 0.0,
                        client_certificate = None))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools)]
    fn submit(
        &self,
        token: u64,
        due: Option<f64>,
        timeout_s: f64,
        method: String,
        url: &str,
        fields: Vec<u8>,
        body: Option<Vec<u8>>,
        expected: Vec<(u16, u16)>,
        max_body: usize,
        follow: bool,
        verify: bool,
        http1: bool,
        http2: bool,
        endless: bool,
        connect_to: Option<(String, Option<u16>)>,
        family: u8,
        target: u64,
        resume_for_s: f64,
        client_certificate: Option<&Bound<'_, ClientCertificate>>,
    ) -> PyResult<()> {
        let due = due.map(|due| self.shared.instant + seconds(due - self.shared.monotonic_s));
        let (timeout, resume_for) = (seconds(timeout_s), seconds(resume_for_s));
        let mut hop = Hop { token, due, timeout, method, fields, body, expected, max_body, ..Hop::default() };
        if !hop.set_url(url) {
            return Err(PyValueError::new_err("not a URL that can be requested"));
        }
        let client = client_certificate.map(|certificate| certificate.get().key.clone());
        let hop = Hop { connect_to, family, follow, verify, http1, http2, endless, target, resume_for, client, ..hop };
        lock(&self.shared.submitted).push(hop);
        Ok(())
    }

    /// The answers since the last call. Waits at most `wait_s` seconds until there are `enough`, or one that leads to
    /// another hop.
    fn drain(&self, py: Python<'_>, wait_s: f64, enough: usize) -> Vec<Answer> {
        let shared = &self.shared;
        if !lock(&shared.submitted).is_empty() {
            shared.wake.notify_one();
        }
        py.detach(|| {
            let mut finished = lock(&shared.finished);
            if wait_s > 0.0 {
                finished.awaited = Some(enough);
                let waiting = |finished: &mut Finished| finished.answers.len() < enough && !finished.urgent;
                let waited = shared.came.wait_timeout_while(finished, seconds(wait_s), waiting);
                (finished, _) = waited.unwrap_or_else(PoisonError::into_inner);
                finished.awaited = None;
            }
            finished.urgent = false;
            std::mem::take(&mut finished.answers)
        })
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn moment(&self, instant: Instant) -> f64 {
        self.monotonic_s + (instant - self.instant).as_secs_f64()
    }

    fn finish(&self, answer: Answer) {
        let mut finished = lock(&self.finished);
        // A website that wants another protocol is asked again, too, and one that cannot be judged in another way.
        let is_asked_again = |failure: &Failure| matches!(failure.kind, Kind::Protocol | Kind::Older | Kind::Unable);
        let again = answer.failure.as_ref().is_some_and(is_asked_again);
        finished.urgent |= answer.progress.leads_on || again;
        finished.answers.push(answer);
        if finished.awaited.is_some_and(|enough| finished.urgent || finished.answers.len() >= enough) {
            self.came.notify_one();
        }
    }
}

/// Start hops when they are due, until the transport is closed.
async fn accept(shared: Arc<Shared>, alarm: Alarm) {
    // The first random number of a thread takes some 30 ms, which would count as the first website's.
    let _ = resolver::random();
    let mut due: BTreeMap<Instant, Vec<Hop>> = BTreeMap::new();
    while !shared.closed.load(Ordering::Relaxed) {
        tokio::select! {
            () = shared.wake.notified() => {}
            () = alarm.rings() => {}
        }
        for hop in std::mem::take(&mut *lock(&shared.submitted)) {
            if let Some(moment) = hop.due {
                due.entry(moment).or_default().push(hop);
            } else {
                tokio::spawn(run(hop, shared.clone()));
            }
        }
        let now = Instant::now();
        if end_of_turn(&due).is_some_and(|end| end <= now) {
            let later = due.split_off(&now);
            for hop in std::mem::replace(&mut due, later).into_values().flatten() {
                tokio::spawn(run(hop, shared.clone()));
            }
        }
        if let Some(end) = end_of_turn(&due) {
            alarm.set(end);
        }
    }
}

/// One hop, from its beginning to its answer. `Unfinished` answers for a hop that does not come to its end.
async fn run(hop: Hop, shared: Arc<Shared>) {
    let mut unfinished = Unfinished { token: hop.token, shared: Some(shared.clone()) };
    let (mut at_host, mut place) = (None, None);
    if hop.due.is_some() {
        at_host = shared.hosts.enter(&hop.host).await;
        place = shared.places.acquire().await.ok();
    }
    let (started, mut progress) = (Instant::now(), Progress::default());
    let (moved, stalled) = within(hop.timeout, move_bytes(&shared, &hop, &mut progress)).await;
    let failure = match moved {
        Some(result) => result.err(),
        None => Some(Failure::new(Kind::Deadline, progress.phase(hop.tls))),
    };
    progress.stalled = stalled;
    let moments = (shared.moment(started), shared.moment(Instant::now()));
    unfinished.shared = None;
    drop(place);
    drop(at_host);
    shared.hosts.leave(&hop.host);
    shared.finish(Answer::new(hop.token, moments, progress, failure));
}

/// How many hops that began when they were due run at each host.
struct Hosts {
    limit: usize,
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Hosts {
    /// A place at the host, as soon as there is one.
    async fn enter(&self, host: &str) -> Option<OwnedSemaphorePermit> {
        let places = {
            let mut places = lock(&self.places);
            places.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.limit))).clone()
        };
        places.acquire_owned().await.ok()
    }

    /// Forget a host at which nobody is, and for which nobody waits.
    fn leave(&self, host: &str) {
        let mut places = lock(&self.places);
        if places.get(host).is_some_and(|places| Arc::strong_count(places) == 1) {
            places.remove(host);
        }
    }
}

/// What the work comes to unless its time is over before; and how long this thread stood still meanwhile, which is how
/// late its ticks came.
async fn within<T>(timeout: Duration, work: impl Future<Output = T>) -> (Option<T>, Duration) {
    let mut work = std::pin::pin!(work);
    let until = Instant::now() + timeout;
    let mut stalled = Duration::ZERO;
    loop {
        let tick = until.min(Instant::now() + TICK);
        if let Ok(done) = tokio::time::timeout_at(tick.into(), &mut work).await {
            return (Some(done), stalled);
        }
        let late = tick.elapsed();
        if late >= STALL {
            stalled += late;
        }
        if until <= Instant::now() {
            return (None, stalled);
        }
    }
}

struct Unfinished {
    token: u64,
    shared: Option<Arc<Shared>>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            let now = shared.moment(Instant::now());
            let failure = Failure::new(Kind::Own, "internal error in the transport");
            shared.finish(Answer::new(self.token, (now, now), Progress::default(), Some(failure)));
        }
    }
}

async fn move_bytes(shared: &Shared, hop: &Hop, progress: &mut Progress) -> Result<(), Failure> {
    let began = Instant::now();
    let (host, port) = match &hop.connect_to {
        Some((host, port)) => (host, port.unwrap_or(hop.port)),
        None => (&hop.host, hop.port),
    };
    let addresses = of_family(shared.resolver.look_up(host, began + hop.timeout).await?, hop.family, host)?;
    let resolved = Instant::now();
    progress.dns = Some(resolved - began);
    let (mut stream, address) = connect(&addresses, port, &shared.denied, &mut progress.attempts).await?;
    let connected = Instant::now();
    progress.connect = Some(connected - resolved);
    progress.address = Some(address);
    if hop.tls {
        return over_tls(shared, hop, stream, progress).await;
    }
    http1::exchange(&mut stream, hop, progress).await
}

fn of_family(addresses: Addresses, family: u8, host: &str) -> Result<Addresses, Failure> {
    if family == 0 {
        return Ok(addresses);
    }
    let wanted: Addresses = addresses.iter().filter(|address| address.is_ipv6() == (family == 6)).copied().collect();
    if wanted.is_empty() {
        return Err(Failure::new(Kind::Name, format!("{host}: the name has no address of IPv{family}")));
    }
    Ok(wanted)
}

async fn over_tls(
    shared: &Shared,
    hop: &Hop,
    stream: tokio::net::TcpStream,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let began = Instant::now();
    let tls = lock(&shared.tls).clone().map_err(|why| Failure::new(Kind::Own, why))?;
    let _ = stream.set_nodelay(true);
    let Hop { host, verify, http1, http2, target, resume_for, client, .. } = hop;
    let (verify, http1, http2, target, resume_for) = (*verify, *http1, *http2, *target, *resume_for);
    let wish = Wish { host, verify, http1, http2, target, resume_for, client: client.clone() };
    let mut stream = tls.handshake(stream, &wish, &mut progress.chain).await?;
    progress.tls = Some(began.elapsed());
    let connection = stream.get_ref().1;
    progress.resumed = connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    progress.tls_version = connection.protocol_version().and_then(|version| match version {
        rustls::ProtocolVersion::TLSv1_3 => Some("1.3"),
        rustls::ProtocolVersion::TLSv1_2 => Some("1.2"),
        _ => None,
    });
    if connection.alpn_protocol() == Some(b"h2") {
        return http2::exchange(stream, hop, progress).await;
    }
    http1::exchange(&mut stream, hop, progress).await
}

/// When the next group of the hops that wait begins.
fn end_of_turn(due: &BTreeMap<Instant, Vec<Hop>>) -> Option<Instant> {
    let first = *due.keys().next()?;
    let (mut end, mut count) = (first, 0);
    for (moment, hops) in due.range(..=first + LONGEST_TURN) {
        if count >= GROUP && *moment > first + SHORTEST_TURN {
            break;
        }
        (end, count) = (*moment, count + hops.len());
    }
    Some(end)
}

/// A moment on Python's monotonic clock and on ours, as close as they can be read, ours first: no moment that is told is
/// before the true one.
fn same_moment(clock: &Bound<'_, PyAny>) -> PyResult<(f64, Instant)> {
    let mut closest = None;
    for _ in 0..10 {
        let (instant, monotonic_s) = (Instant::now(), clock.call0()?.extract()?);
        let took = instant.elapsed();
        if closest.is_none_or(|(before, _)| took < before) {
            closest = Some((took, (monotonic_s, instant)));
        }
    }
    closest.map(|(_, moment)| moment).ok_or_else(|| PyOSError::new_err("no clock"))
}

fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number.max(0.0)).map_or(LONGEST, |duration| duration.min(LONGEST))
}

fn network(text: &str) -> Option<Network> {
    let (address, length) = text.split_once('/')?;
    let (address, length): (IpAddr, u8) = (address.parse().ok()?, length.parse().ok()?);
    (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length))
}
