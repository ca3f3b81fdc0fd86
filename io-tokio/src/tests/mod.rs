//! What the driver promises, against servers that are written by hand, on loopback, with a clock that the tests move.

mod api;
mod client;
mod driver;
mod listener;
mod person;
#[cfg(feature = "reqwest")]
mod reqwest;
mod store;
mod tls;
#[cfg(feature = "tower")]
mod tower;
mod transport;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use grantflow_core::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::race::{Either, race};
use crate::{Clock, ManualClock};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn clock() -> (ManualClock, Arc<dyn Clock>) {
    let clock = ManualClock::new(NOW);
    (clock.clone(), Arc::new(clock))
}

/// A server on loopback that treats each connection as `treat` does, told its number.
async fn server<F>(treat: impl Fn(usize, TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(treat(number, stream));
        }
    });
    address
}

/// A server that answers the first request of each connection with these bytes and closes.
async fn answering(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = Arc::new(answer.into());
    server(move |_, mut stream| {
        let answer = answer.clone();
        async move {
            request(&mut stream).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            rest(&mut stream).await;
        }
    })
    .await
}

/// Reads one request, its body left out.
async fn request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => read.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(read).unwrap()
}

/// Reads until the other side closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let _ = stream.read_to_end(&mut read).await;
    String::from_utf8_lossy(&read).into_owned()
}

/// Moves the clock by one second at a time until `work` is done; gives the seconds that it took.
async fn ticking<T>(clock: &ManualClock, work: impl Future<Output = T>) -> (T, u64) {
    let mut work = pin!(work);
    for seconds in 0..1000 {
        // Everything that can happen without the clock happens first.
        if let Either::Left(done) = race(work.as_mut(), settled()).await {
            return (done, seconds);
        }
        clock.advance(Duration::from_secs(1));
    }
    panic!("it is never done");
}

/// Lets everything happen that can. Messages on loopback need a few turns of the runtime, not time.
async fn settled() {
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
}
