//! A canary run: the scenarios, every fault against every flow, and the stories of kept tokens are told once more in a process
//! of its own, at the lowest level of every log. What was said in any way is then searched for every secret that was there.
//!
//! The test starts itself as a child. With [`RECORD`] set, the child collects all events and spans of `tracing`, all records of
//! the `log` crate, every text that [`Ears`](crate::runners::Ears) and the rig of the lifecycle hear (`Debug` and `Display` of
//! machines, events, effects, outcomes, errors, stores and handles, pages of the listeners, lines of observers and notifiers),
//! and all that is printed. The secrets are those that the development server has handed out or was shown, and those that the
//! runners saw on the wire. They are looked for as they are, percent-encoded, in Base64 of any alignment and in hex.
//!
//! `log` is a special case: `grantflow-blocking` takes its trace level out of the program, because ureq's parser writes every
//! byte there. `cargo test -p grantflow-tests --no-default-features secrecy` leaves the level in, and then that parser is the
//! only one that gives anything away.

mod finder;
mod requests;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use grantflow_core::error::Error;

use finder::{Finder, SHORTEST};

/// Says to a child into which folder it writes what it hears.
const RECORD: &str = "GRANTFLOW_TEST_RECORD";
/// Between two things that were said.
const END: char = '\u{1e}';
/// The modules that are told again. What plays the scenarios a second time is left out, and what has a control of its own.
const TOLD: [&str; 8] = [
    "scenarios::",
    "lifecycle::",
    "systems_a::",
    "systems_eh::",
    "splits::drivers::",
    "secrecy::what_is_",
    "secrecy::requests::what_",
    "secrecy::tls::what_",
];
const LEFT_OUT: [&str; 2] = ["lg_01_no_runner_prints_a_secret_in_any_flow", "ears_hear_a_secret_that_is_printed"];
/// Whose records hold bytes of the wire where nobody keeps the `log` crate from its trace level; see SECURITY.md.
const KNOWN_TO_TELL: &str = "ureq_proto";

/// Where a child writes, one file for each way of saying something.
struct Record {
    folder: PathBuf,
    files: Mutex<BTreeMap<&'static str, File>>,
}

impl Record {
    /// Of this process, if it is to keep one. From then on it hears the logs.
    fn of_this_process() -> Option<&'static Self> {
        static RECORD_OF_ALL: OnceLock<Option<Record>> = OnceLock::new();
        static HEARING: OnceLock<()> = OnceLock::new();
        let record = RECORD_OF_ALL.get_or_init(|| {
            let folder = PathBuf::from(std::env::var_os(RECORD)?);
            Some(Record { folder, files: Mutex::default() })
        });
        let record = record.as_ref()?;
        HEARING.get_or_init(|| {
            tracing::subscriber::set_global_default(Events::default()).unwrap();
            log::set_logger(&Records).unwrap();
            log::set_max_level(log::LevelFilter::Trace);
        });
        Some(record)
    }

    fn write(&self, way: &'static str, said: &str) {
        let mut files = self.files.lock().unwrap();
        let file = files.entry(way).or_insert_with(|| File::create(self.folder.join(way)).unwrap());
        file.write_all(format!("{said}{END}").as_bytes()).unwrap();
    }
}

/// Hears something that is said in this way.
fn heard(way: &'static str, said: &str) {
    if let Some(record) = Record::of_this_process() {
        record.write(way, said);
    }
}

/// A world of its own begins.
pub fn begins(what: &'static str) {
    heard("runs", what);
}

/// Hears a text.
pub fn hear(said: &str) {
    heard("texts", said);
}

/// Hears what something looks like to whoever debugs.
pub fn hear_debug(said: &impl Debug) {
    if Record::of_this_process().is_some() {
        hear(&format!("{said:?} {said:#?}"));
    }
}

/// Hears what came of something, and gives it back.
pub fn outcome<T: Debug>(outcome: Result<T, Error>) -> Result<T, Error> {
    hear_debug(&outcome);
    if let Err(error) = &outcome {
        hear_failure(error);
    }
    outcome
}

/// Hears an error with everything that it carries.
pub fn hear_failure(error: &impl std::error::Error) {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        write!(said, ": {error} {error:?}").unwrap();
        source = error.source();
    }
    hear(&said);
}

/// Learns a secret of this kind.
pub fn keep(kind: &str, secret: &str) {
    heard("secrets", &format!("{kind}\t{secret}"));
}

/// Hears all events and spans of `tracing`.
#[derive(Default)]
struct Events {
    spans: AtomicU64,
}

/// The fields of an event or a span.
struct Fields(String);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        write!(self.0, " {}={value}", field.name()).unwrap();
    }
}

fn begun(metadata: &tracing::Metadata<'_>) -> Fields {
    Fields(format!("{} {}:", metadata.level(), metadata.target()))
}

impl tracing::Subscriber for Events {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut fields = begun(span.metadata());
        span.record(&mut fields);
        heard("events", &fields.0);
        tracing::span::Id::from_u64(self.spans.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        let mut fields = Fields(String::new());
        values.record(&mut fields);
        heard("events", &fields.0);
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = begun(event.metadata());
        event.record(&mut fields);
        heard("events", &fields.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Hears all records of the `log` crate.
struct Records;

impl log::Log for Records {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        heard("records", &format!("{} {}: {}", record.level(), record.target(), record.args()));
    }

    fn flush(&self) {}
}

const CONTROL: &str = "canary/on purpose+4711";

#[test]
fn what_is_said_on_purpose() {
    let Some(_) = Record::of_this_process() else { return };
    keep("control", CONTROL);
    hear_debug(&("one", CONTROL));
    tracing::trace!(target: "control", value = CONTROL, "two");
    let span = tracing::trace_span!(target: "control", "three", value = tracing::field::Empty);
    span.record("value", format_args!("{}", STANDARD_NO_PAD.encode(format!("a{CONTROL}b"))));
    log::debug!(target: "control", "four {}", url::form_urlencoded::byte_serialize(CONTROL.as_bytes()).collect::<String>());
    println!("control five {}", CONTROL.bytes().map(|byte| format!("{byte:02x}")).collect::<String>());
    eprintln!("control six {CONTROL}");
}

/// What a child has said and what was secret.
struct Heard {
    ways: Vec<(&'static str, Vec<u8>)>,
    /// With their kinds.
    secrets: BTreeMap<String, String>,
    runs: Vec<String>,
}

fn told_again() -> Heard {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(TOLD).args(LEFT_OUT.map(|name| format!("--skip={name}"))).arg("--nocapture");
    let output = child.env(RECORD, folder.path()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let read = |way| fs::read(folder.path().join(way)).unwrap();
    let pieces =
        |way| String::from_utf8(read(way)).unwrap().split_terminator(END).map(str::to_owned).collect::<Vec<_>>();
    let secrets = pieces("secrets").into_iter().map(|piece| {
        let (kind, secret) = piece.split_once('\t').unwrap();
        // The runners have names of their own for some.
        let kind = if kind == "verifier" { "code_verifier".to_owned() } else { kind.replace(' ', "_") };
        (secret.to_owned(), kind)
    });
    Heard {
        secrets: secrets.filter(|(secret, _)| secret.len() >= SHORTEST).collect(),
        runs: pieces("runs"),
        ways: ["texts", "events", "records"]
            .map(|way| (way, read(way)))
            .into_iter()
            .chain([("output", output.stdout), ("errors", output.stderr)])
            .collect(),
    }
}

/// The kinds of secrets that were there.
const KINDS: [&str; 17] = [
    "access_token",
    "api_key",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "control",
    "credentials",
    "device_code",
    "dpop",
    "id_token",
    "nonce",
    "password",
    "refresh_token",
    "state",
    "token",
    "user_code",
];

#[test]
fn lg_01_no_scenario_fault_or_story_says_a_secret_in_any_form_at_the_lowest_level_of_every_log() {
    let heard = told_again();
    let finder = Finder::new(&heard.secrets);
    let (mut given_away, mut on_purpose, mut known) = (Vec::new(), BTreeMap::<_, usize>::new(), 0_usize);
    let mut counts = Vec::new();
    for (way, said) in &heard.ways {
        let is_stream = matches!(*way, "output" | "errors");
        let pieces = said.split(|byte| if is_stream { *byte == b'\n' } else { u32::from(*byte) == u32::from(END) });
        let mut count = 0_usize;
        for piece in pieces {
            count += 1;
            for (kind, form) in finder.find(piece) {
                let piece = String::from_utf8_lossy(piece);
                if kind == "control" {
                    *on_purpose.entry(*way).or_default() += 1;
                } else if *way == "records"
                    && piece.split(' ').nth(1).is_some_and(|target| target.starts_with(KNOWN_TO_TELL))
                {
                    known += 1;
                } else {
                    given_away
                        .push(format!("{kind}, as {form}, in {way}: {}", piece.chars().take(1000).collect::<String>()));
                }
            }
        }
        counts.push((*way, count, said.len()));
    }
    assert!(given_away.is_empty(), "{}: {:#?}", given_away.len(), &given_away[..given_away.len().min(20)]);
    // It finds what is there, in every way of saying it.
    assert_eq!(on_purpose.keys().copied().collect::<Vec<_>>(), ["errors", "events", "output", "records", "texts"]);
    let kinds: BTreeSet<_> = heard.secrets.values().map(String::as_str).collect();
    assert_eq!(kinds, KINDS.into());
    let said = |way: &str, word: &str| {
        let said = &heard.ways.iter().find(|(name, _)| *name == way).unwrap().1;
        String::from_utf8_lossy(said).contains(word)
    };
    assert!(
        said("events", "TRACE hyper_util::client::legacy"),
        "the async driver's client is heard at its lowest level"
    );
    assert!(said("records", "DEBUG ureq"), "the blocking driver's client is heard");
    assert!(said("records", "DEBUG rustls::client"), "and rustls, which both have");
    let is_uncapped = log::STATIC_MAX_LEVEL == log::LevelFilter::Trace;
    assert_eq!(known > 0, is_uncapped, "ureq's parser tells bytes of the wire where nobody takes its level out");

    let count = |way: &str| counts.iter().find(|(name, ..)| *name == way).unwrap().1;
    let runs = |what: &str| heard.runs.iter().filter(|run| *run == what).count();
    println!("figure: secrecy/runs = {} of scenarios and faults, {} of stories", runs("scenario"), runs("story"));
    println!(
        "figure: secrecy/searched = {} events and spans of tracing at TRACE, {} records of log at {}, {} texts, {} printed lines",
        count("events"),
        count("records"),
        log::STATIC_MAX_LEVEL,
        count("texts"),
        count("output") + count("errors")
    );
    println!("figure: secrecy/bytes searched = {}", counts.iter().map(|(.., bytes)| bytes).sum::<usize>());
    println!(
        "figure: secrecy/canaries = {} secrets of {} kinds, in {} written forms",
        heard.secrets.len(),
        kinds.len(),
        finder.count
    );
    println!("figure: secrecy/found where they were put on purpose = {}", on_purpose.values().sum::<usize>());
    println!("figure: secrecy/found elsewhere = {}", given_away.len());
}

#[test]
fn the_search_finds_a_secret_in_every_form_and_alignment() {
    let secret = "canary/on purpose+4711";
    let finder = Finder::new(&BTreeMap::from([(secret.to_owned(), "canary".to_owned())]));
    let found = |text: &str| !finder.find(text.as_bytes()).is_empty();
    for around in ["", "a", "ab", "abc"] {
        let text = format!("{around}{secret}{around}");
        assert!(found(&text));
        assert!(found(&STANDARD_NO_PAD.encode(&text)) && found(&URL_SAFE_NO_PAD.encode(&text)), "{around}");
        assert!(found(&text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>()));
        assert!(found(&text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>()));
        assert!(found(&url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()));
    }
    assert!(!found("canary/on purpose+471") && !found(&STANDARD_NO_PAD.encode("canary/on purpose")));
}
