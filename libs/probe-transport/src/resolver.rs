//! Looks names up: the hosts file, a cache, and the resolvers that resolv.conf names (RFC 1035).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use resolv_conf::ScopedIp;
use rustls::crypto::{GetRandomFailed, aws_lc_rs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::failure::{Failure, Kind, text};
use crate::lock::lock;
use crate::message::{self, Family, Said};

/// How many names the cache keeps.
const MAX_KEPT: usize = 10_000;
/// How often the files are looked at for changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the addresses of one family wait for those of the other (RFC 8305, section 3).
const OTHER_FAMILY: Duration = Duration::from_millis(50);
/// A socket is replaced after so many look-ups or so long: its port is half of what a forger must guess.
const MAX_USES: u32 = 100;
const MAX_AGE: Duration = Duration::from_secs(10);
const MAX_IDLE_SOCKETS: usize = 64;
/// Larger answers come over TCP.
const DATAGRAM: usize = 4096;

/// Addresses in the order in which they are to be tried.
pub type Addresses = Arc<[IpAddr]>;

/// Looks names up.
pub struct Resolver {
    files: Mutex<Files>,
    kept: Option<Mutex<HashMap<String, (Instant, Addresses)>>>,
    idle: Mutex<Vec<Socket>>,
}

/// What the machine's files say.
struct Files {
    looked: Option<Instant>,
    resolv_conf: File,
    hosts_file: File,
    port: u16,
    servers: Arc<Servers>,
    hosts: HashMap<String, Addresses>,
}

struct File {
    path: PathBuf,
    changed: Option<SystemTime>,
}

#[derive(Clone)]
struct Servers {
    addresses: Vec<SocketAddr>,
    timeout: Duration,
    attempts: u32,
}

/// A socket connected to a resolver, with no answer outstanding.
struct Socket {
    udp: UdpSocket,
    server: SocketAddr,
    made: Instant,
    uses: u32,
}

impl Resolver {
    /// A resolver that reads these files and asks at this port. If `keep` says so, it keeps addresses as long as it may.
    pub fn new(resolv_conf: &str, hosts: &str, port: u16, keep: bool) -> Self {
        let files = Files {
            looked: None,
            resolv_conf: File { path: resolv_conf.into(), changed: None },
            hosts_file: File { path: hosts.into(), changed: None },
            port,
            servers: Arc::new(Servers::parse(b"", port)),
            hosts: HashMap::new(),
        };
        Resolver { files: Mutex::new(files), kept: keep.then(Mutex::default), idle: Mutex::default() }
    }

    /// The addresses of a host, which nobody waits for any longer than `until`.
    pub async fn look_up(&self, host: &str, until: Instant) -> Result<Addresses, Failure> {
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if let Some(address) = literal(&name) {
            return Ok([address].into());
        }
        let servers = match self.in_files(&name) {
            Ok(addresses) => return Ok(addresses),
            Err(servers) => servers,
        };
        if let Some(addresses) = self.in_cache(&name) {
            return Ok(addresses);
        }
        let (addresses, keep_s) = self.ask_all(&name, &servers, until).await?;
        self.keep(name, keep_s, &addresses);
        Ok(addresses)
    }

    /// What the hosts file says of a name, else the resolvers to ask.
    fn in_files(&self, name: &str) -> Result<Addresses, Arc<Servers>> {
        let mut files = lock(&self.files);
        files.look();
        if let Some(addresses) = files.hosts.get(name) {
            return Ok(addresses.clone());
        }
        if name == "localhost" || name.ends_with(".localhost") {
            // RFC 6761, section 6.3.
            return Ok([Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()].into());
        }
        Err(files.servers.clone())
    }

    fn in_cache(&self, name: &str) -> Option<Addresses> {
        let kept = lock(self.kept.as_ref()?);
        let (until, addresses) = kept.get(name)?;
        (*until > Instant::now()).then(|| addresses.clone())
    }

    fn keep(&self, name: String, keep_s: u32, addresses: &Addresses) {
        let (Some(kept), true) = (&self.kept, keep_s > 0) else { return };
        let (mut kept, now) = (lock(kept), Instant::now());
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, (until, _)| *until > now);
        }
        // RFC 2181, section 8: a number whose first bit is set stands for zero; a week is long enough.
        let keep_s = if keep_s > i32::MAX as u32 { 0 } else { keep_s.min(7 * 24 * 3600) };
        if kept.len() < MAX_KEPT {
            kept.insert(name, (now + Duration::from_secs(keep_s.into()), addresses.clone()));
        }
    }

    /// Ask one resolver after the other, as often as resolv.conf says. Each is waited for as long as it says, but no longer
    /// than leaves as much to those after it: a lost datagram or a dead resolver does not take all the time of a check.
    async fn ask_all(&self, name: &str, servers: &Servers, until: Instant) -> Result<(Addresses, u32), Failure> {
        let mut failure = Failure::new(Kind::Name, format!("{name}: no resolver is configured"));
        let rounds = (0..servers.attempts).flat_map(|_| &servers.addresses);
        let mut left = servers.attempts * u32::try_from(servers.addresses.len()).unwrap_or(1);
        for &server in rounds {
            let share = until.saturating_duration_since(Instant::now()) / left;
            left -= 1;
            let patience = if left == 0 { servers.timeout } else { servers.timeout.min(share) };
            match timeout(patience, self.ask(name, server)).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(Answered::For(other))) => return Err(other),
                Ok(Err(Answered::Not(other))) => failure = other,
                Err(_) => {
                    failure = Failure::new(Kind::Name, format!("{name}: no answer from the resolver {}", server.ip()));
                }
            }
        }
        Err(failure)
    }

    /// The addresses that one resolver knows, IPv6 and IPv4 in turn (RFC 8305, section 4), and how long to keep them.
    async fn ask(&self, name: &str, server: SocketAddr) -> Result<(Addresses, u32), Answered> {
        let mut socket = self.socket(server).await.map_err(|e| Answered::Not(unreachable(name, server, &e)))?;
        let (four, six) = ask_both(&mut socket, name).await?;
        if four.is_some() && six.is_some() {
            self.put_back(socket);
        }
        let mut keep_s = u32::MAX;
        let mut of = |said: Option<Said>| match said {
            Some(Said::Addresses(addresses, seconds)) => {
                keep_s = keep_s.min(if addresses.is_empty() { u32::MAX } else { seconds });
                Ok(addresses)
            }
            Some(Said::Code(code)) => Err(Some(code)),
            _ => Err(None),
        };
        match (of(six), of(four)) {
            (Err(Some(code)), Err(_)) | (Err(None), Err(Some(code))) => Err(refusal(name, server, code)),
            (Ok(none), Err(Some(code))) | (Err(Some(code)), Ok(none)) if none.is_empty() => {
                Err(refusal(name, server, code))
            }
            (six, four) => {
                let addresses = in_turn(&six.unwrap_or_default(), &four.unwrap_or_default());
                if addresses.is_empty() {
                    return Err(Answered::For(Failure::new(Kind::Name, format!("{name}: the name has no address"))));
                }
                Ok((addresses, if keep_s == u32::MAX { 0 } else { keep_s }))
            }
        }
    }

    async fn socket(&self, server: SocketAddr) -> io::Result<Socket> {
        let now = Instant::now();
        loop {
            let mut idle = lock(&self.idle);
            let Some(socket) = idle.pop() else { break };
            if socket.server == server && socket.uses < MAX_USES && now - socket.made < MAX_AGE {
                return Ok(socket);
            }
        }
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let udp = UdpSocket::bind((any, 0)).await?;
        udp.connect(server).await?;
        Ok(Socket { udp, server, made: now, uses: 0 })
    }

    fn put_back(&self, mut socket: Socket) {
        socket.uses += 1;
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE_SOCKETS {
            idle.push(socket);
        }
    }
}

/// Why a resolver gave no address: an answer that holds for the name, or none that another resolver may not better.
enum Answered {
    For(Failure),
    Not(Failure),
}

/// Ask for the addresses of both families. When one has come, the other is waited for only a little.
async fn ask_both(socket: &mut Socket, name: &str) -> Result<(Option<Said>, Option<Said>), Answered> {
    let lost = |error: io::Error| Answered::Not(unreachable(name, socket.server, &error));
    let ids = random()
        .map_err(|error| Answered::For(Failure::new(Kind::Own, format!("has no random numbers: {error:?}"))))?;
    let is_none = || Answered::For(Failure::new(Kind::Name, format!("{name:.100}: is not a host name")));
    let four = message::question(ids[0], name, Family::V4).ok_or_else(is_none)?;
    let six = message::question(ids[1], name, Family::V6).ok_or_else(is_none)?;
    socket.udp.send(&six).await.map_err(lost)?;
    socket.udp.send(&four).await.map_err(lost)?;
    let mut said: [Option<Said>; 2] = [None, None];
    let mut buffer = [0; DATAGRAM];
    while said.iter().any(Option::is_none) {
        let one_came = said.iter().flatten().any(|s| matches!(s, Said::Addresses(found, _) if !found.is_empty()));
        let patience = if one_came { OTHER_FAMILY } else { Duration::MAX };
        let Ok(received) = timeout(patience, socket.udp.recv(&mut buffer)).await else { break };
        let received = &buffer[..received.map_err(lost)?];
        for (place, question, family) in [(0, &four, Family::V4), (1, &six, Family::V6)] {
            if said[place].is_none() {
                said[place] = message::answer(received, question, family);
                if said[place] == Some(Said::Truncated) {
                    said[place] = Some(over_tcp(socket.server, question, family).await.map_err(lost)?);
                }
            }
        }
    }
    let [four, six] = said;
    Ok((four, six))
}

async fn over_tcp(server: SocketAddr, question: &[u8], family: Family) -> io::Result<Said> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut received = Vec::new();
    let told = async {
        let length = stream.read_u16().await?;
        received.resize(usize::from(length), 0);
        stream.read_exact(&mut received).await
    };
    told.await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::other("closed without an answer"),
        _ => error,
    })?;
    message::answer(&received, question, family).ok_or_else(|| io::Error::other("not an answer"))
}

/// Two ids that nobody can guess, and that differ.
pub fn random() -> Result<[u16; 2], GetRandomFailed> {
    let mut bytes = [0; 4];
    aws_lc_rs::default_provider().secure_random.fill(&mut bytes)?;
    let (first, second) = (u16::from_ne_bytes([bytes[0], bytes[1]]), u16::from_ne_bytes([bytes[2], bytes[3]]));
    Ok([first, if first == second { !second } else { second }])
}

fn refusal(name: &str, server: SocketAddr, code: u8) -> Answered {
    let server = server.ip();
    let failure = |why: String| Failure::new(Kind::Name, format!("{name}: {why}"));
    match code {
        3 => Answered::For(failure("no such name (NXDOMAIN)".into())),
        1 => Answered::Not(failure(format!("the resolver {server} cannot read the question (FORMERR)"))),
        2 => Answered::Not(failure(format!("the resolver {server} failed (SERVFAIL)"))),
        5 => Answered::Not(failure(format!("the resolver {server} refused to answer (REFUSED)"))),
        _ => Answered::Not(failure(format!("the resolver {server} answered with code {code}"))),
    }
}

fn unreachable(name: &str, server: SocketAddr, error: &io::Error) -> Failure {
    let mut failure = Failure::of_system(Kind::Name, error);
    if failure.kind == Kind::Name {
        failure.detail = format!("{name}: the resolver {}: {}", server.ip(), text(error));
    }
    failure
}

fn in_turn(six: &[IpAddr], four: &[IpAddr]) -> Addresses {
    let longer = six.len().max(four.len());
    (0..longer).flat_map(|at| [six.get(at), four.get(at)]).flatten().copied().collect()
}

impl Files {
    /// Read the files again that have changed.
    fn look(&mut self) {
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now - looked < LOOK_EVERY) {
            return;
        }
        self.looked = Some(now);
        if let Some(content) = self.resolv_conf.if_changed() {
            self.servers = Arc::new(Servers::parse(&content, self.port));
        }
        if let Some(content) = self.hosts_file.if_changed() {
            self.hosts = parse_hosts(&String::from_utf8_lossy(&content));
        }
    }
}

impl File {
    /// The content if the file changed since the last look and can be read; nothing for a file that is not there.
    fn if_changed(&mut self) -> Option<Vec<u8>> {
        let changed = modified(&self.path);
        if changed.is_some() && changed == self.changed {
            return None;
        }
        let content = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            content => content.ok()?,
        };
        self.changed = changed;
        Some(content)
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

impl Servers {
    /// What resolv.conf says; the resolver of this machine when it names none, as resolv.conf(5) has it.
    fn parse(content: &[u8], port: u16) -> Self {
        // What is not understood is passed over, line by line and option by option, as the system's resolver does.
        let (config, _) = resolv_conf::Config::parse_with_errors(content);
        let mut addresses: Vec<SocketAddr> = config.nameservers.iter().map(|scoped| place(scoped, port)).collect();
        if addresses.is_empty() {
            addresses.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        }
        let timeout = Duration::from_secs(u64::from(config.timeout).clamp(1, 30));
        Servers { addresses, timeout, attempts: config.attempts.clamp(1, 5) }
    }
}

/// Where a resolver is; a link-local address is one on the link that stands behind its percent sign.
fn place(address: &ScopedIp, port: u16) -> SocketAddr {
    match address {
        ScopedIp::V4(address) => SocketAddr::new((*address).into(), port),
        ScopedIp::V6(address, link) => SocketAddrV6::new(*address, port, 0, link.as_deref().map_or(0, index)).into(),
    }
}

/// The number of a link, by which the system knows it; 0 for one that is not there.
fn index(link: &str) -> u32 {
    let told = || fs::read_to_string(format!("/sys/class/net/{link}/ifindex")).ok()?.trim().parse().ok();
    link.parse().ok().or_else(told).unwrap_or(0)
}

fn parse_hosts(content: &str) -> HashMap<String, Addresses> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in content.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        for name in words {
            let addresses = hosts.entry(name.to_ascii_lowercase()).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    let in_order = |addresses: Vec<IpAddr>| {
        let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
        in_turn(&six, &four)
    };
    hosts.into_iter().map(|(name, addresses)| (name, in_order(addresses))).collect()
}

/// The address that a host is, also in the short and hexadecimal forms of IPv4 that browsers read.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok().or_else(|| {
        let mut numbers = bare.split('.').map(number).collect::<Option<Vec<u32>>>()?;
        let last = numbers.pop()?;
        let room = 8 * u32::try_from(4 - numbers.len().min(4)).ok()?;
        if numbers.len() > 3 || numbers.iter().any(|n| *n > 255) || u64::from(last) >= 1 << room {
            return None;
        }
        let first = numbers.iter().zip([24, 16, 8]).map(|(n, shift)| n << shift).sum::<u32>();
        Some(Ipv4Addr::from(first | last).into())
    })
}

/// A number as URLs write it, in lower case: decimal, hexadecimal after 0x, octal after 0.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None if text.starts_with(|c: char| c.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_found_whatever_stands_beside_them() {
        let read = |content: &str| Servers::parse(content.as_bytes(), 53);
        let odd = read("nameserver dns.test\nunheard-of\noptions ndots:x attempts:3\nnameserver 127.0.0.2 more\n");
        assert_eq!((odd.addresses, odd.attempts), (vec!["127.0.0.2:53".parse().unwrap()], 3));
        assert_eq!(read("search test\n").addresses, ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn a_link_local_resolver_is_asked_on_its_link() {
        for link in ["lo", "1"] {
            let found = Servers::parse(format!("nameserver fe80::53%{link}\n").as_bytes(), 53).addresses;
            assert_eq!(found, [SocketAddrV6::new("fe80::53".parse().unwrap(), 53, 0, 1).into()]);
        }
    }
}
