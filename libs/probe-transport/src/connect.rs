//! Connects to the first address of a host that accepts, as Happy Eyeballs has it (RFC 8305).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::failure::{Failure, Kind};

/// How long an attempt is alone before the next address is tried, too (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// What addresses of IPv4 begin with that are translated (RFC 6052, section 2.1).
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// A network: its address and the length of its prefix.
pub type Network = (IpAddr, u8);

/// An address, and what came of it.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub address: IpAddr,
    pub outcome: String,
}

/// A connection to the first address that accepts one, and that address. Addresses in denied networks are left out.
///
/// `attempts` tells of every address that was tried, also when the caller gives up waiting.
pub async fn connect(
    addresses: &[IpAddr],
    port: u16,
    denied: &[Network],
    attempts: &mut Vec<Attempt>,
) -> Result<(TcpStream, IpAddr), Failure> {
    let mut running = JoinSet::new();
    let mut failure = (0, Failure::new(Kind::Connect, "no address"));
    let mut left = addresses.iter();
    loop {
        if let Some(&address) = left.next() {
            if let Some(why) = why_denied(address, denied) {
                failure = heavier(failure, (1, Failure::new(Kind::Connect, why.clone())));
                attempts.push(Attempt { address, outcome: why });
                continue;
            }
            let place = attempts.len();
            attempts.push(Attempt { address, outcome: "no answer".into() });
            let attempt = TcpStream::connect(SocketAddr::new(address, port));
            if addresses.len() == 1 {
                let connected = attempt.await.map(|stream| (stream, address));
                return connected.map_err(|error| note(attempts, place, &error));
            }
            running.spawn(async move { (place, attempt.await) });
        }
        let patience = if left.len() == 0 { Duration::MAX } else { ATTEMPT_DELAY };
        match timeout(patience, running.join_next()).await {
            Ok(Some(Ok((place, Ok(stream))))) => {
                attempts[place].outcome = "connected".into();
                return Ok((stream, attempts[place].address));
            }
            Ok(Some(Ok((place, Err(error))))) => {
                failure = heavier(failure, (weight(&error), note(attempts, place, &error)));
            }
            Ok(Some(Err(error))) => failure = (2, Failure::new(Kind::Own, error.to_string())),
            Ok(None) if left.len() == 0 => return Err(failure.1),
            Ok(None) | Err(_) => {}
        }
    }
}

fn note(attempts: &mut [Attempt], place: usize, error: &std::io::Error) -> Failure {
    let failure = Failure::of_system(Kind::Connect, error);
    attempts[place].outcome.clone_from(&failure.detail);
    failure
}

/// How much a failure of one address says about the whole: a machine that ran out of something could not try it, and one
/// that has no address of its family (EADDRNOTAVAIL) tells nothing as long as others failed otherwise.
fn weight(error: &std::io::Error) -> u8 {
    match (error.raw_os_error(), Failure::of_system(Kind::Connect, error).kind) {
        (Some(99), _) => 0,
        (_, Kind::Own) => 2,
        _ => 1,
    }
}

fn heavier(before: (u8, Failure), other: (u8, Failure)) -> (u8, Failure) {
    if other.0 >= before.0 { other } else { before }
}

fn why_denied(address: IpAddr, denied: &[Network]) -> Option<String> {
    let meant = meant(address);
    let (network, length) = denied.iter().find(|network| holds(network, address) || holds(network, meant))?;
    Some(format!("{address} is in {network}/{length}, which monitor.denied_networks forbids"))
}

/// The address that is reached in the end: one of IPv4 may be written in IPv6, mapped (RFC 4291, section 2.5.5.2) or to be
/// translated (RFC 6052), and none at all stands for this machine.
fn meant(address: IpAddr) -> IpAddr {
    let address = match address {
        IpAddr::V6(six) if six.segments().starts_with(&TRANSLATED) => {
            let [.., a, b, c, d] = six.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        other => other.to_canonical(),
    };
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

fn holds((network, length): &Network, address: IpAddr) -> bool {
    let shift = |bits: u32| bits - u32::from(*length);
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}
