//! What a whole exchange takes from the heap, with both drivers: the body at its limit, one byte more, and a hundred times
//! as much, sent with its length, in chunks, and until the connection ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use allocation_counter::measure;
use grantflow_core::client::Client;
use grantflow_core::error::{Endpoint, Error, TransportKind};
use grantflow_core::grant::{ClientCredentials, Extras};
use grantflow_core::http::UrlPolicy;
use grantflow_core::machine::Event;
use grantflow_core::server::ServerMetadata;
use grantflow_core::token::TokenSet;

use super::{MOST, number, size};

const LIMIT: usize = 1024 * 1024;
const TOKENS: &str = r#"{"access_token":"t","token_type":"Bearer","x":""}"#;

/// How a body says where it ends.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length,
    Chunks,
    Close,
}

/// Answers one request with tokens that are so long, and is gone.
fn serve(listener: &TcpListener, framing: Framing, length: usize) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&request).contains("grant_type=client_credentials") {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the client is gone before it has asked");
        request.extend_from_slice(&piece[..read]);
    }
    // A client that has had enough hangs up.
    let _ = answer(&mut stream, framing, length);
}

fn answer(stream: &mut TcpStream, framing: Framing, length: usize) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    match framing {
        Framing::Length => write!(stream, "{head}Content-Length: {length}\r\n\r\n")?,
        Framing::Chunks => write!(stream, "{head}Transfer-Encoding: chunked\r\n\r\n")?,
        Framing::Close => write!(stream, "{head}\r\n")?,
    }
    let (begin, end) = TOKENS.split_at(TOKENS.len() - 2);
    let filler = [b'a'; 16 * 1024];
    let mut left = length - TOKENS.len();
    let mut send = |piece: &[u8]| match framing {
        Framing::Chunks => {
            write!(stream, "{:x}\r\n", piece.len())?;
            stream.write_all(piece)?;
            stream.write_all(b"\r\n")
        }
        Framing::Length | Framing::Close => stream.write_all(piece),
    };
    send(begin.as_bytes())?;
    while left > 0 {
        let now = left.min(filler.len());
        send(&filler[..now])?;
        left -= now;
    }
    send(end.as_bytes())?;
    if matches!(framing, Framing::Chunks) {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

fn client(listener: &TcpListener) -> Client {
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let server = ServerMetadata::by_hand(&issuer, UrlPolicy::default()).unwrap();
    let server = server.with_endpoint(Endpoint::Token, &format!("{issuer}/token")).unwrap();
    Client::builder(server, "client").secret("secret".into()).build().unwrap()
}

type Running = Box<dyn Fn(&mut ClientCredentials) -> Result<TokenSet, Error>>;

fn drivers() -> [(&'static str, Running); 2] {
    let driver = grantflow_tokio::Driver::new();
    let tokio: Running = Box::new(move |machine| {
        // Its end is the end of a connection on which there is more to read: then the server stops.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(driver.run(machine, Event::Start, &mut grantflow_tokio::Nobody))
    });
    let driver = grantflow_blocking::Driver::new();
    let blocking: Running = Box::new(move |machine| driver.run(machine, Event::Start, &mut grantflow_blocking::Nobody));
    [("tokio", tokio), ("blocking", blocking)]
}

#[test]
fn ds_11_a_whole_exchange_stays_within_eight_times_the_limit_of_its_body() {
    for (name, run) in drivers() {
        for framing in [Framing::Length, Framing::Chunks, Framing::Close] {
            let mut peaks = Vec::new();
            // The first one makes what is made once.
            for length in [LIMIT, LIMIT, LIMIT + 1, LIMIT * 100] {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let client = client(&listener);
                let serving = std::thread::spawn(move || serve(&listener, framing, length));
                let mut outcome = None;
                let counted = measure(|| {
                    let mut machine = ClientCredentials::new(&client, "", &Extras::default()).unwrap();
                    outcome = Some(run(&mut machine).map(drop));
                });
                serving.join().unwrap();
                match outcome.unwrap() {
                    Ok(()) => assert!(length <= LIMIT, "{name}, {framing:?}: {length} bytes are accepted"),
                    Err(Error::Transport(error)) if error.kind == TransportKind::TooLarge => assert!(length > LIMIT),
                    Err(error) => panic!("{name}, {framing:?}: {error:?}"),
                }
                assert!(counted.bytes_max <= MOST * number(LIMIT), "{name}, {framing:?}, {length}: {counted:?}");
                peaks.push(size(counted.bytes_max));
            }
            println!(
                "figure: heap/exchange, {name}, {framing:?} = limit {LIMIT} bytes: peak {}; one more: {}; a hundred times \
                 as much: {}",
                peaks[1], peaks[2], peaks[3]
            );
        }
    }
}
