//! How bytes are cut into pieces on their way makes no difference.
//!
//! The redirect listener reads pieces itself: it is fed whole, byte by byte and at random splits, and must hear the same,
//! at the same byte. All other parsers take their input whole. What can be cut there is an answer on its way through a
//! driver's transport: [`drivers`].
//!
//! `SPLIT_CASES=1000000 cargo test -p grantflow-tests splits` tries that many random splits of the listener's requests
//! (20,000 unless told), and a hundredth of that of answers.

mod drivers;

use std::path::Path;
use std::sync::LazyLock;

use grantflow_core::loopback::{Connection, Heard, Reception, ResponseMode};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

/// How many random splits to try.
fn cases() -> u32 {
    let asked = std::env::var("SPLIT_CASES").ok().map(|cases| cases.parse().expect("SPLIT_CASES is no number"));
    asked.unwrap_or(20_000)
}

/// What connections send, right and wrong: the seeds of the fuzz target for them, in the order of their names.
static REQUESTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/loopback_request");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
});

const MODES: [ResponseMode; 3] = [ResponseMode::Query, ResponseMode::FormPost, ResponseMode::Fragment];

fn reception(mode: ResponseMode) -> Reception {
    Reception::new("http://127.0.0.1:8400/callback", mode).unwrap()
}

/// What was heard, and after how many bytes at the latest. `None`: it waits for more.
type Outcome = Option<(String, usize)>;

/// Feeds the pieces one after the other. Nothing may be heard after the first outcome.
fn listen<'a>(mode: ResponseMode, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut connection = Connection::new(&reception(mode));
    let mut outcome = None;
    let mut fed = 0;
    for piece in pieces {
        fed += piece.len();
        let said = match connection.receive(piece) {
            Heard::More => continue,
            Heard::Answer(reply) => format!("{} {}", reply.status(), String::from_utf8_lossy(reply.as_bytes())),
            Heard::Callback(params) => {
                let secrets = [params.code(), params.state(), params.session_state()];
                let secrets = secrets.map(|secret| secret.map(|secret| secret.expose().clone()));
                format!("{params:?} {secrets:?} {:?} {:?} {:?}", params.iss(), params.error(), params.mode())
            }
        };
        assert!(outcome.is_none(), "a connection that is over says {said}");
        outcome = Some((said, fed));
    }
    outcome
}

/// The pieces between these places, empty ones among them.
fn cut<'a>(bytes: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut begin = 0;
    for place in places.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[begin..place]);
        begin = place;
    }
    pieces
}

/// Holds one way of cutting to what is heard byte by byte: the same, in the piece that has the deciding byte.
fn is_the_same(mode: ResponseMode, bytes: &[u8], pieces: &[&[u8]], by_byte: &Outcome) {
    let heard = listen(mode, pieces.iter().copied());
    match (by_byte, heard) {
        (None, None) => {}
        (Some((expected, at)), Some((said, end))) => {
            assert_eq!(&said, expected, "{pieces:?}");
            let ends = pieces.iter().scan(0, |end, piece| {
                *end += piece.len();
                Some(*end)
            });
            assert_eq!(ends.into_iter().find(|end| end >= at), Some(end), "heard in another piece: {pieces:?}");
        }
        (expected, heard) => panic!("{heard:?} instead of {expected:?}: {:?}", String::from_utf8_lossy(bytes)),
    }
}

#[test]
fn the_listener_hears_every_seed_alike_in_two_pieces_wherever_they_are_cut() {
    let mut tried = 0_u64;
    for bytes in REQUESTS.iter() {
        // Where a request of thousands of bytes is cut is tried at random below.
        let places = if bytes.len() <= 600 { bytes.len() } else { 0 };
        for mode in MODES {
            let by_byte = listen(mode, bytes.chunks(1));
            is_the_same(mode, bytes, &[bytes], &by_byte);
            for place in 0..=places {
                is_the_same(mode, bytes, &[&bytes[..place], &bytes[place..]], &by_byte);
                tried += 1;
            }
        }
    }
    assert!(tried > 10_000, "the requests are not where they are looked for");
    println!("figure: split invariance/listener, seeds cut in two at every byte = {tried}");
}

#[test]
fn the_listener_hears_the_same_at_random_splits() {
    let splits = (
        any::<Index>(),
        0..MODES.len(),
        prop::option::of((any::<Index>(), any::<u8>())),
        prop::collection::vec(any::<Index>(), 0..16),
    );
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&splits, |(request, mode, damage, places)| {
        let mut bytes = request.get(&REQUESTS).clone();
        if let (Some((place, byte)), false) = (damage, bytes.is_empty()) {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let by_byte = listen(MODES[mode], bytes.chunks(1));
        is_the_same(MODES[mode], &bytes, &[&bytes], &by_byte);
        is_the_same(MODES[mode], &bytes, &cut(&bytes, &places), &by_byte);
        Ok(())
    });
    outcome.unwrap();
    println!("figure: split invariance/listener, damaged seeds at random splits = {}", cases());
}
