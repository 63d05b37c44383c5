//! Sends requests over a number of kept connections, and takes the time of every answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;

/// What a load took.
pub(crate) struct Load {
    /// Every answer's time, sorted.
    answers: Vec<Duration>,
    wall: Duration,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.answers.len() as f64 / self.wall.as_secs_f64()
    }

    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.answers.len().saturating_sub(1);
        self.answers.get(last * percent / 100).copied().unwrap_or_default()
    }
}

/// Sends all requests; each must be answered with 202.
pub(crate) fn send(to: SocketAddr, connections: usize, requests: &[Vec<u8>]) -> Result<Load> {
    // One thread: the machine's others belong to the servers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let requests = Arc::new(requests.to_vec());
        let next = Arc::new(AtomicUsize::new(0));
        let mut streams = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for stream in streams {
            tasks.spawn(work(stream, Arc::clone(&requests), Arc::clone(&next)));
        }
        let mut answers = Vec::with_capacity(requests.len());
        while let Some(done) = tasks.join_next().await {
            answers.extend(done??);
        }
        let wall = started.elapsed();
        answers.sort_unstable();
        Ok(Load { answers, wall })
    })
}

async fn work(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> std::io::Result<Vec<Duration>> {
    let mut answers = Vec::new();
    let mut buffer = Vec::with_capacity(4_096);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let started = Instant::now();
        stream.write_all(request).await?;
        answer(&mut stream, &mut buffer).await?;
        answers.push(started.elapsed());
    }
    Ok(answers)
}

/// Reads one answer, which must be a 202 with a `content-length`.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(buffer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if !head.starts_with("HTTP/1.1 202") {
            return Err(std::io::Error::other(format!("not accepted: {text}")));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|n| n.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Ok(());
        }
    }
}
