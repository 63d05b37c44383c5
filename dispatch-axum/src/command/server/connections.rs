//! Which connections are open, and which of them makes room for a new one: the one that was silent for the longest time.
//!
//! A connection speaks when it is opened, when a request's head is there, and when the request is answered. GitHub's speak
//! and end. Those of a flood stall, and are cut as soon as somebody else wants to speak.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio::sync::oneshot;

/// Connections at the same time.
const TOTAL: usize = 2_048;
/// Of them, connections from one address.
const PER_ADDRESS: usize = 256;
/// Open files that are left for everything else: the database, connections to GitHub, the log.
const OTHER_FILES: usize = 256;

/// How many connections there may be.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimits {
    total: usize,
    per_address: usize,
    proxies: Vec<IpNet>,
}

impl ConnectionLimits {
    /// The service's limits: as many connections as there may be open files, and no more than 2,048, of them 256 from one
    /// address (IPv6: one network of 64 bits) that is none of these proxies, behind which everybody is.
    pub(crate) fn new(proxies: Vec<IpNet>) -> Self {
        let files = open_files().unwrap_or(usize::MAX);
        let total = TOTAL.min(files.saturating_sub(OTHER_FILES)).max(1);
        Self { total, per_address: PER_ADDRESS.min(total), proxies }
    }
}

/// How many files this process may open, where the system says so.
fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Connections {
    limits: ConnectionLimits,
    open: Mutex<Open>,
}

/// The connections by when they spoke last, and whose they are.
#[derive(Debug, Default)]
struct Open {
    spoken: u64,
    by_silence: BTreeMap<u64, (IpAddr, oneshot::Sender<()>)>,
}

/// A connection's place among the others, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    spoke: Mutex<u64>,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default() })
    }

    /// Takes a place for a new connection; what is answered with it tells when the place is needed by somebody else.
    pub(super) fn enter(self: &Arc<Self>, peer: SocketAddr) -> (Place, oneshot::Receiver<()>) {
        let address = network(peer.ip());
        let (cut, is_cut) = oneshot::channel();
        let mut open = self.open();
        if !self.is_proxy(peer.ip()) {
            let of_address = open.by_silence.iter().filter(|(_, (other, _))| *other == address);
            let of_address: Vec<_> = of_address.map(|(spoke, _)| *spoke).collect();
            let too_many = (of_address.len() + 1).saturating_sub(self.limits.per_address);
            of_address.into_iter().take(too_many).for_each(|spoke| open.cut(spoke));
        }
        while open.by_silence.len() >= self.limits.total {
            open.cut_the_most_silent();
        }
        let spoke = open.speak(address, cut);
        drop(open);
        (Place { connections: Arc::clone(self), spoke: Mutex::new(spoke) }, is_cut)
    }

    /// Cuts a connection: there are no files left for another one.
    pub(super) fn make_room(&self) {
        self.open().cut_the_most_silent();
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.limits.proxies.iter().any(|network| network.contains(&address.to_canonical()))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing in here panics while it holds the lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn speak(&mut self, address: IpAddr, cut: oneshot::Sender<()>) -> u64 {
        self.spoken += 1;
        self.by_silence.insert(self.spoken, (address, cut));
        self.spoken
    }

    fn cut(&mut self, spoke: u64) {
        if let Some((_, cut)) = self.by_silence.remove(&spoke) {
            // Whoever has gone needs no cutting.
            let _ = cut.send(());
        }
    }

    fn cut_the_most_silent(&mut self) {
        if let Some((_, (_, cut))) = self.by_silence.pop_first() {
            let _ = cut.send(());
        }
    }
}

impl Place {
    /// The connection said something, or was answered.
    pub(super) fn speak(&self) {
        let mut spoke = self.spoke.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = self.connections.open();
        if let Some((address, cut)) = open.by_silence.remove(&spoke) {
            *spoke = open.speak(address, cut);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let spoke = self.spoke.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.connections.open().by_silence.remove(spoke);
    }
}

/// Whose an address is: one customer of a provider has a whole network of IPv6 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::sync::watch;

    use super::*;

    /// A server with these limits, and what keeps it going.
    async fn serve(limits: ConnectionLimits) -> (SocketAddr, watch::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(());
        let router = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(super::super::serve(listener, router, stopped, limits));
        (address, stop)
    }

    fn limits(total: usize, per_address: usize, proxies: &[&str]) -> ConnectionLimits {
        ConnectionLimits {
            total,
            per_address,
            proxies: proxies.iter().map(|network| network.parse().unwrap()).collect(),
        }
    }

    async fn connect(from: &str, to: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        socket.connect(to).await.unwrap()
    }

    /// Asks, and answers whether there was an answer; the connection stays.
    async fn asks(stream: &mut TcpStream) -> bool {
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        if stream.write_all(request).await.is_err() {
            return false;
        }
        let mut answer = [0; 1024];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await;
        matches!(read.expect("an answer, or the end"), Ok(n) if answer[..n].ends_with(b"here"))
    }

    #[tokio::test]
    async fn flooding_with_connections_that_say_nothing_does_not_keep_others_out() {
        let (server, _stop) = serve(limits(20, 20, &[])).await;
        let mut flood = Vec::new();
        for n in 0..200 {
            flood.push(connect(&format!("127.0.1.{n}"), server).await);
            if n % 50 == 49 {
                let mut stream = connect("127.0.0.9", server).await;
                assert!(asks(&mut stream).await, "answered at once, after {n}");
            }
        }
        let mut oldest = flood.into_iter().next().unwrap();
        assert!(!asks(&mut oldest).await, "the most silent one was cut");
    }

    #[tokio::test]
    async fn flooding_from_one_address_does_not_cut_the_connections_of_others() {
        let (server, _stop) = serve(limits(100, 5, &[])).await;
        let mut other = connect("127.0.0.9", server).await;
        assert!(asks(&mut other).await);
        let mut flood = Vec::new();
        for _ in 0..200 {
            flood.push(connect("127.0.0.2", server).await);
        }
        let mut last = flood.pop().unwrap();
        assert!(asks(&mut last).await, "the address has its newest ones");
        assert!(asks(&mut other).await, "although it was silent for longer");
        assert!(!asks(&mut flood[0]).await);
    }

    #[tokio::test]
    async fn a_trusted_proxy_brings_as_many_as_there_may_be() {
        let (server, _stop) = serve(limits(100, 5, &["127.0.0.2/32"])).await;
        let mut connections = Vec::new();
        for _ in 0..50 {
            connections.push(connect("127.0.0.2", server).await);
        }
        for stream in &mut connections {
            assert!(asks(stream).await);
        }
    }

    #[tokio::test]
    async fn who_speaks_stays() {
        let (server, _stop) = serve(limits(10, 10, &[])).await;
        let mut speaking = connect("127.0.0.9", server).await;
        let mut flood = Vec::new();
        for n in 0..60 {
            flood.push(connect(&format!("127.0.1.{n}"), server).await);
            if n % 5 == 0 {
                assert!(asks(&mut speaking).await, "after {n}");
            }
        }
    }

    #[test]
    fn a_network_of_ipv6_addresses_is_one_address() {
        let of = |address: &str| network(address.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"), "the same address, seen by another socket");
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }

    #[test]
    fn there_are_fewer_connections_than_files() {
        let limits = ConnectionLimits::new(Vec::new());
        assert!(limits.total <= TOTAL && limits.per_address <= limits.total);
        if let Some(files) = open_files() {
            assert!(limits.total == 1 || limits.total + OTHER_FILES <= files);
        }
    }
}
