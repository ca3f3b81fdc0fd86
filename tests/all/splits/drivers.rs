//! An answer that a socket delivers in pieces is the answer that it delivers at once, with either driver.
//!
//! The server waits a moment between pieces, so that most of them are read apart. Nothing depends on it: pieces that are
//! read together are the case that must not differ.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantflow_core::client::Client;
use grantflow_core::error::{Error, SendFailure};
use grantflow_core::grant::{ClientCredentials, Extras};
use grantflow_core::http::Body;
use grantflow_core::machine::{Event, Outgoing};
use grantflow_core::token::TokenSet;
use grantflow_tokio::Pending;
use serde_json::json;

use crate::scripted::{CLIENT_ID, discovered};

/// How long the server waits between two pieces.
const PAUSE: Duration = Duration::from_micros(300);

const TOKENS: &str = r#"{"access_token":"at","token_type":"Bearer","expires_in":60}"#;
const REFUSAL: &str = r#"{"error":"invalid_scope"}"#;

/// An answer on the wire, and whether the connection ends with it.
struct Answer {
    name: &'static str,
    bytes: Vec<u8>,
    closes: bool,
}

fn answers() -> [Answer; 4] {
    let kind = "content-type: application/json\r\n";
    let sized = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\n{kind}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let (begin, end) = TOKENS.split_at(20);
    let chunks = format!("{:x}\r\n{begin}\r\n{:x};x=y\r\n{end}\r\n0\r\nx-trailer: z\r\n\r\n", begin.len(), end.len());
    let chunked = format!("HTTP/1.1 200 OK\r\n{kind}transfer-encoding: chunked\r\n\r\n{chunks}").into_bytes();
    let closed = format!("HTTP/1.1 200 OK\r\n{kind}connection: close\r\n\r\n{TOKENS}").into_bytes();
    [
        Answer { name: "tokens of a declared length", bytes: sized("200 OK", TOKENS), closes: false },
        Answer { name: "tokens in chunks", bytes: chunked, closes: false },
        Answer { name: "tokens until the end", bytes: closed, closes: true },
        Answer { name: "a refusal", bytes: sized("400 Bad Request", REFUSAL), closes: false },
    ]
}

/// A server on loopback that answers each request with the pieces that it is told next.
struct Server {
    address: String,
    script: Sender<(Vec<Vec<u8>>, bool)>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (script, told) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &told);
            }
        });
        Self { address, script }
    }

    fn client(&self) -> Client {
        let issuer = format!("http://{}", self.address);
        let metadata = json!({ "issuer": issuer, "token_endpoint": format!("{issuer}/token") });
        let server = discovered(&metadata).unwrap();
        Client::builder(server, CLIENT_ID).secret("canary-client-secret".into()).build().unwrap()
    }

    fn answer_next(&self, answer: &Answer, cuts: &[usize]) {
        let mut pieces = Vec::new();
        let mut begin = 0;
        for end in cuts.iter().copied().chain([answer.bytes.len()]) {
            pieces.push(answer.bytes[begin..end].to_vec());
            begin = end;
        }
        self.script.send((pieces, answer.closes)).unwrap();
    }
}

/// Answers the requests of one connection.
fn serve(mut stream: TcpStream, told: &Receiver<(Vec<Vec<u8>>, bool)>) {
    stream.set_nodelay(true).unwrap();
    while request_came(&mut stream) {
        let Ok((pieces, closes)) = told.recv() else { return };
        for (at, piece) in pieces.iter().enumerate() {
            if at > 0 {
                std::thread::sleep(PAUSE);
            }
            stream.write_all(piece).unwrap();
        }
        if closes {
            return;
        }
    }
}

/// Reads one request with a form; `false` if the client has hung up.
fn request_came(stream: &mut TcpStream) -> bool {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(length) if length > 0 => read.extend_from_slice(&piece[..length]),
            Ok(_) | Err(_) => return false,
        }
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
        if body.len() >= length.trim().parse().unwrap() {
            return true;
        }
    }
}

/// What a driver's client got: status, header fields in order, body.
type Seen = Arc<Mutex<Vec<String>>>;

/// A client whose answers are noted byte for byte.
struct Noting<C>(C, Seen);

fn note(seen: &Seen, answer: &Result<http::Response<Body>, SendFailure>) {
    seen.lock().unwrap().push(match answer {
        Ok(answer) => {
            let body = String::from_utf8_lossy(answer.body().expose());
            format!("{} {:?} {body}", answer.status(), answer.headers())
        }
        Err(failure) => format!("{failure:?}"),
    });
}

impl<C: grantflow_tokio::HttpClient> grantflow_tokio::HttpClient for Noting<C> {
    fn send(&self, outgoing: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>> {
        Box::pin(async move {
            let answer = self.0.send(outgoing).await;
            note(&self.1, &answer);
            answer
        })
    }
}

impl<C: grantflow_blocking::HttpClient> grantflow_blocking::HttpClient for Noting<C> {
    fn send(&self, outgoing: Outgoing) -> Result<http::Response<Body>, SendFailure> {
        let answer = self.0.send(outgoing);
        note(&self.1, &answer);
        answer
    }
}

/// Runs a flow with a driver.
type Running = Box<dyn Fn(&mut ClientCredentials) -> Result<TokenSet, Error>>;

/// One of the drivers with a server of its own. What came is told in words.
struct Rig {
    server: Server,
    client: Client,
    seen: Seen,
    run: Running,
}

impl Rig {
    fn new(run: impl FnOnce(Seen) -> Running) -> Self {
        let server = Server::start();
        let client = server.client();
        let seen = Seen::default();
        let run = run(seen.clone());
        Self { server, client, seen, run }
    }

    fn tokio() -> Self {
        Self::new(|seen| {
            let driver = grantflow_tokio::Driver::with_client(Noting(grantflow_tokio::HyperClient::default(), seen));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            Box::new(move |machine| runtime.block_on(driver.run(machine, Event::Start, &mut grantflow_tokio::Nobody)))
        })
    }

    fn blocking() -> Self {
        Self::new(|seen| {
            let driver =
                grantflow_blocking::Driver::with_client(Noting(grantflow_blocking::UreqClient::default(), seen));
            Box::new(move |machine| driver.run(machine, Event::Start, &mut grantflow_blocking::Nobody))
        })
    }

    /// The bytes that the client delivered, and how the flow ended.
    fn outcome(&self, answer: &Answer, cuts: &[usize]) -> (Vec<String>, String) {
        self.server.answer_next(answer, cuts);
        let mut machine = ClientCredentials::new(&self.client, "", &Extras::default()).unwrap();
        let end = match (self.run)(&mut machine) {
            Ok(tokens) => {
                let lifetime = tokens.expires_at().map(|until| until.since(tokens.received_at()));
                format!("{} {lifetime:?} {:?}", tokens.answer().expose(), tokens.notes())
            }
            Err(error) => format!("{error:?}"),
        };
        (std::mem::take(&mut *self.seen.lock().unwrap()), end)
    }
}

/// Numbers that look random and are the same in every run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

#[test]
fn both_drivers_deliver_an_answer_alike_wherever_it_is_cut() {
    let random = usize::try_from(super::cases() / 100).unwrap().max(40);
    let mut rng = Rng(0x9E37_79B9_7F4A_7C15);
    let mut tried = 0;
    let rigs = [Rig::tokio(), Rig::blocking()];
    for answer in answers() {
        let length = answer.bytes.len();
        let mut cuts: Vec<Vec<usize>> = (1..length).map(|place| vec![place]).collect();
        if answer.closes {
            // Each takes a new connection, and cut heads are tried with the others.
            cuts.retain(|cut| cut[0] % 8 == 0);
        }
        for _ in 0..random / 4 {
            let mut places: Vec<_> = (0..=rng.below(8)).map(|_| 1 + rng.below(length - 1)).collect();
            places.sort_unstable();
            places.dedup();
            cuts.push(places);
        }
        cuts.push((1..length).collect());
        let [one, other] = rigs.each_ref().map(|rig| rig.outcome(&answer, &[]));
        assert_eq!(one.1, other.1, "{}: the drivers differ", answer.name);
        assert_eq!(one.1.contains("access_token"), answer.name.contains("tokens"), "{}: {}", answer.name, one.1);
        assert_eq!(one.0.len(), 1, "one answer: {:?}", one.0);
        for cut in &cuts {
            for (rig, whole) in rigs.iter().zip([&one, &other]) {
                assert_eq!(&rig.outcome(&answer, cut), whole, "{} cut at {cut:?}", answer.name);
                tried += 1;
            }
        }
    }
    println!("figure: split invariance/answers through both drivers = {tried}");
}
