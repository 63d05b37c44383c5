//! The running service: a listener, the router, and the workers behind it. `serve` and `demo` run the same one.

mod connections;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use dispatch_axum::Service;
use dispatch_axum::worker::Workers;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tower::ServiceExt;

pub(crate) use self::connections::ConnectionLimits;
use self::connections::{Connections, Place};

/// How long requests and work that have begun may take to finish. The service promises to end within ten seconds.
pub(crate) const GRACE: Duration = Duration::from_secs(9);

/// How long a client may take to say what it wants, and how long it may say nothing between two requests. Who only holds
/// connections would otherwise hold all that there can be.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How much of a request is read ahead, in bytes: its head must fit, and GitHub's has about 2 KB.
const READ_AHEAD: usize = 64 * 1024;
/// How long no connection is accepted where none can be, because there are no files left.
const BREATH: Duration = Duration::from_millis(100);

/// The running service.
pub(crate) struct Server {
    address: SocketAddr,
    stop: watch::Sender<()>,
    serving: JoinHandle<()>,
    workers: Workers,
}

impl Server {
    /// Answers on the listener from now on; what arrives wakes the workers.
    ///
    /// # Errors
    /// The listener has no address.
    pub(crate) fn start(
        listener: TcpListener,
        workers: Workers,
        service: Service,
        limits: ConnectionLimits,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let router = dispatch_axum::router(service.on_work(workers.waker()));
        let (stop, stopped) = watch::channel(());
        Ok(Self { address, stop, serving: tokio::spawn(serve(listener, router, stopped, limits)), workers })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more, begins nothing more, and lets what has begun finish. What the last requests make is work for
    /// the next start.
    pub(crate) async fn shutdown(self) {
        drop(self.stop);
        let (served, unfinished) = tokio::join!(timeout(GRACE, self.serving), self.workers.shutdown(GRACE));
        if served.is_err() {
            tracing::warn!("connections are still open, and are cut");
        }
        if unfinished > 0 {
            tracing::warn!(unfinished, "work was cut off; it goes on with the next start");
        }
    }
}

/// Accepts connections until it is told to stop, then lets them end their requests.
async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<()>, limits: ConnectionLimits) {
    let places = Connections::new(limits);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (place, cut) = places.enter(peer);
                    connections.spawn(talk(stream, peer, router.clone(), stopped.clone(), place, cut));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    places.make_room();
                    tokio::time::sleep(BREATH).await;
                }
            },
            Some(_) = connections.join_next() => {}
            // Told by the sender's end.
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection, until it ends or its place is needed.
async fn talk(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stopped: watch::Receiver<()>,
    place: Place,
    cut: oneshot::Receiver<()>,
) {
    // Without it, it is only slower.
    let _ = stream.set_nodelay(true);
    let place = &place;
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        place.speak();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request);
        async move {
            let answer = answer.await;
            place.speak();
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(READ_AHEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A connection that ends badly is the client's to notice.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = cut => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
