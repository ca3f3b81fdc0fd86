//! The store in a process of its own, which is stopped, killed and starved. The example `save` is that process.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use grantflow_core::Secret;
use grantflow_core::error::StoreFault;
use grantflow_core::store::Expected;
use grantflow_stores::{FileStore, SqliteStore, Store};

use crate::support::{Place, claim, found, key, log_in, place, write};

const DONE: i32 = 0;
const CONFLICT: i32 = 100;
const UNAVAILABLE: i32 = 201;
const BUSY: i32 = 202;
const FULL: i32 = 203;
const DENIED: i32 = 204;

/// The stores that are files.
const KINDS: [&str; 3] = ["file", "encrypted", "sqlite"];

/// The calls by which files and folders come to be what they are.
const WRITE_SIDE: [&str; 19] = [
    "chmod",
    "fchmod",
    "fchmodat",
    "fchown",
    "fdatasync",
    "flock",
    "fsync",
    "ftruncate",
    "mkdir",
    "mkdirat",
    "openat",
    "pwrite64",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "write",
    "writev",
];

/// The example, which cargo builds together with the tests.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let tests = std::env::current_exe().unwrap();
        let program = tests.parent().unwrap().parent().unwrap().join("examples/save");
        if !program.exists() {
            let built = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--package", "grantflow-stores", "--example", "save"])
                .status();
            assert!(built.unwrap().success(), "the example does not build");
        }
        program
    })
}

fn open(kind: &str, path: &Path) -> Box<dyn Store> {
    match kind {
        "encrypted" => Box::new(FileStore::at(path).encrypted(&Secret::new(vec![7; 32])).unwrap()),
        "sqlite" => Box::new(SqliteStore::at(path)),
        _ => Box::new(FileStore::at(path)),
    }
}

fn save(kind: &str, path: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg(kind).arg(path).args(words);
    command
}

/// A command under a shell that sets the stage first.
fn staged(stage: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{stage}; exec \"$0\" \"$@\"")).arg(command.get_program()).args(command.get_args());
    shell
}

/// A command whose system calls are watched, or `None` where that is not possible.
fn traced(log: &Path, options: &[&str], command: &Command) -> Option<Command> {
    static WORKS: OnceLock<bool> = OnceLock::new();
    let works = *WORKS.get_or_init(|| {
        Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success())
    });
    if !works {
        println!("skipped: strace is not there or may not trace");
        return None;
    }
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-y", "-o"])
        .arg(log)
        .args(options)
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args());
    strace.stderr(Stdio::null());
    Some(strace)
}

fn went(mut command: Command) -> ExitStatus {
    command.stdin(Stdio::null()).status().unwrap()
}

/// The write-side calls of a run in their order: each with its line.
fn calls(log: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(log).unwrap();
    let lines = text.lines().filter_map(|line| {
        let line = line.split_once(' ')?.1.trim_start();
        let name = line.split_once('(')?.0;
        WRITE_SIDE.contains(&name).then(|| (name.to_owned(), line.to_owned()))
    });
    lines.collect()
}

/// Each write-side call that a command makes after it has started up, by name and number.
fn points(kind: &str, prepare: &dyn Fn() -> Place, words: &[&str]) -> Option<Vec<(&'static str, usize)>> {
    let count = |words: &[&str]| -> Option<Vec<usize>> {
        let place = prepare();
        let log = place.folder.path().join("log");
        assert_eq!(went(traced(&log, &[], &save(kind, &place.path, words))?).code(), Some(DONE));
        let calls = calls(&log);
        Some(WRITE_SIDE.iter().map(|name| calls.iter().filter(|(call, _)| call == name).count()).collect())
    };
    let (idle, whole) = (count(&["idle"])?, count(words)?);
    let points = WRITE_SIDE.into_iter().zip(idle.into_iter().zip(whole));
    Some(points.flat_map(|(name, (idle, whole))| (idle + 1..=whole).map(move |number| (name, number))).collect())
}

/// What is in place before a save, and what may be there after it was killed.
struct Situation {
    name: &'static str,
    prepare: fn(&str) -> Place,
    from: &'static str,
    /// The version before, if there is one.
    before: Option<u64>,
}

const SITUATIONS: [Situation; 3] = [
    Situation { name: "the first save of all", prepare: |_| place(), from: "absent", before: None },
    Situation {
        name: "a renewal",
        prepare: |kind| {
            let place = place();
            log_in(&*open(kind, &place.path), "default", 1, "secret-1");
            log_in(&*open(kind, &place.path), "other", 5, "secret-5");
            place
        },
        from: "1",
        before: Some(1),
    },
    Situation {
        name: "a renewal after a crash",
        prepare: |kind| {
            let place = place();
            log_in(&*open(kind, &place.path), "default", 1, "secret-1");
            fs::write(place.parent().join(".tokens.json.0123456789abcdef.tmp"), "left over").unwrap();
            place
        },
        from: "1",
        before: Some(1),
    },
];

/// Ends saves with a signal at every write-side call, `least` times or once each, and says how often.
fn end_everywhere(kinds: &[&str], signal: &str, number: i32, least: usize) -> Option<usize> {
    let mut ends = 0;
    loop {
        for kind in kinds {
            for situation in &SITUATIONS {
                let prepare = || (situation.prepare)(kind);
                for size in if least == 1 { &["10"][..] } else { &["10", "20000"] } {
                    let words = ["save", situation.from, "2", size];
                    for (call, at) in points(kind, &prepare, &words)? {
                        let place = prepare();
                        let options = [
                            "-e".to_owned(),
                            format!("trace={call}"),
                            "-e".to_owned(),
                            format!("inject={call}:signal={signal}:when={at}"),
                        ];
                        let options: Vec<&str> = options.iter().map(String::as_str).collect();
                        let status = went(traced(Path::new("/dev/null"), &options, &save(kind, &place.path, &words))?);
                        let what = format!("{kind}, {}, {signal} at {call} {at}: {status}", situation.name);
                        assert!(status.signal() == Some(number) || status.code() == Some(DONE), "{what}");
                        ends += usize::from(status.signal() == Some(number));
                        is_whole(kind, &place, situation, &what);
                    }
                }
            }
        }
        if ends >= least {
            return Some(ends);
        }
    }
}

/// Whoever comes after a crash finds the old record or the new one, can write, and clears what is left over.
fn is_whole(kind: &str, place: &Place, situation: &Situation, what: &str) {
    let store = open(kind, &place.path);
    let (version, whole) = match found(&*store, "default") {
        Ok(None) => (None, true),
        Ok(Some((version, text))) => {
            (Some(version), text.contains(&format!("secret-{version}")) && text.ends_with('}'))
        }
        Err(fault) => panic!("{what}: {fault:?}"),
    };
    assert!(whole && [situation.before, Some(2)].contains(&version), "{what}: {version:?} is there");
    if situation.name == "a renewal" {
        assert_eq!(found(&*store, "other").unwrap().map(|(version, _)| version), Some(5), "{what}");
    }
    log_in(&*store, "default", 9, "secret-9");
    assert_eq!(found(&*store, "default").unwrap().map(|(version, _)| version), Some(9), "{what}");
    store.delete(&key("default")).unwrap();
    store.delete(&key("other")).unwrap();
    assert!(!String::from_utf8_lossy(&place.bytes()).contains("secret-"), "{what}: {:?}", place.names());
}

/// `GRANTFLOW_KILLS` says how often; the script `stores/kill` does.
#[test]
fn fl_16_a_save_that_is_killed_leaves_the_old_record_or_the_new_one() {
    let least = std::env::var("GRANTFLOW_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    if let Some(kills) = end_everywhere(&KINDS, "KILL", 9, least) {
        assert!(kills >= 30, "only {kills} kills");
        println!("figure: stores/kills at write-side system calls = {kills}, torn = 0");
    }
}

#[test]
fn fl_34_a_save_that_is_interrupted_leaves_the_old_record_or_the_new_one() {
    if let Some(ends) = end_everywhere(&["file"], "TERM", 15, 1) {
        assert!(ends >= 20, "only {ends} ends");
        println!("figure: stores/SIGTERM at write-side system calls = {ends}, torn = 0");
    }
}

/// What is written reaches the disk before its name does, and the name before the save is called done. A disk that keeps
/// this order after a power failure has the old file or the new one.
#[test]
fn fl_17_the_disk_has_the_file_before_its_name_and_the_name_before_it_is_done() {
    for kind in ["file", "encrypted"] {
        for situation in &SITUATIONS {
            let place = (situation.prepare)(kind);
            let log = place.folder.path().join("log");
            let Some(command) = traced(&log, &[], &save(kind, &place.path, &["save", situation.from, "2"])) else {
                return;
            };
            assert_eq!(went(command).code(), Some(DONE));
            let calls = calls(&log);
            let text = fs::read_to_string(&log).unwrap();
            let at = |name: &str, part: &str| {
                let is = |(call, line): &(String, String)| call.starts_with(name) && line.contains(part);
                let found: Vec<_> = calls.iter().enumerate().filter(|(_, call)| is(call)).map(|(at, _)| at).collect();
                assert!(!found.is_empty(), "no {name} with {part}:\n{text}");
                found
            };
            let written = at("write", ".tmp>");
            let [synced] = at("fsync", ".tmp>")[..] else { panic!("{text}") };
            let [renamed] = at("renameat", "tokens.json\"")[..] else { panic!("{text}") };
            let folder = format!("{}>", fs::canonicalize(place.parent()).unwrap().display());
            let last = *at("fsync", &folder).last().unwrap();
            assert!(written.iter().all(|written| *written < synced), "{text}");
            assert!(synced < renamed && renamed < last, "{text}");
            // Every folder that was made is in a folder that was brought to the disk afterwards.
            for (made, _) in calls.iter().enumerate().filter(|(_, (call, _))| call.starts_with("mkdir")) {
                assert!(calls.iter().skip(made).any(|(call, _)| call == "fsync"), "{text}");
            }
        }
    }
}

/// Fails every call of a save with an error, and says how it went each time.
fn fail_everywhere(kind: &str, calls: &[&str], error: &str) -> Option<Vec<(String, i32)>> {
    let situation = &SITUATIONS[1];
    let prepare = || (situation.prepare)(kind);
    let mut all = Vec::new();
    for (call, at) in points(kind, &prepare, &["save", "1", "2"])? {
        if !calls.contains(&call) {
            continue;
        }
        let place = prepare();
        let options = format!("inject={call}:error={error}:when={at}");
        let trace = format!("trace={call}");
        let log = place.folder.path().join("log");
        let command = traced(&log, &["-e", &trace, "-e", &options], &save(kind, &place.path, &["save", "1", "2"]))?;
        let code = went(command).code();
        let line = fs::read_to_string(&log).unwrap().lines().find(|line| line.contains("INJECTED")).map(str::to_owned);
        let line = line.unwrap_or_default();
        let what = format!("{kind}, {error}: {line}");
        let version =
            found(&*open(kind, &place.path), "default").unwrap_or_else(|fault| panic!("{what}: {fault:?}")).unwrap().0;
        match code {
            Some(DONE) => assert_eq!(version, 2, "{what}"),
            // When only the folder is not known to be on the disk, the new file is in place.
            Some(_) if call == "fsync" && !line.contains(".tmp>") => assert!([1, 2].contains(&version), "{what}"),
            _ => assert_eq!(version, 1, "{what}"),
        }
        is_whole(kind, &place, situation, &what);
        // Nothing is left in the way: the save can be done again.
        all.push((line, code.unwrap()));
    }
    Some(all)
}

#[test]
fn fl_15_a_full_disk_is_told_and_the_old_file_stays() {
    const WRITES: [&str; 6] = ["write", "pwrite64", "fsync", "fdatasync", "renameat", "renameat2"];
    for kind in KINDS {
        for error in ["ENOSPC", "EDQUOT", "EFBIG"] {
            let Some(all) = fail_everywhere(kind, &WRITES, error) else { return };
            assert!(all.len() >= 4, "{all:?}");
            if kind != "sqlite" {
                assert!(all.iter().all(|(_, code)| *code == FULL), "{all:?}");
            }
        }
    }
    let Some(all) = fail_everywhere("sqlite", &["pwrite64"], "ENOSPC") else { return };
    assert!(all.iter().all(|(_, code)| *code == FULL), "{all:?}");
}

#[test]
fn fl_15_a_disk_that_is_really_full_is_told_and_the_old_file_stays() {
    for kind in KINDS {
        let place = place();
        fs::create_dir_all(place.parent()).unwrap();
        let (program, path) = (program().display(), place.path.display());
        let script = format!(
            "mount -t tmpfs -o size=64k,mode=700 none '{}' || exit 77
            '{program}' {kind} '{path}' save absent 1 || exit 1
            '{program}' {kind} '{path}' save 1 2 300000; went=$?
            '{program}' {kind} '{path}' load; [ $? = 1 ] || exit 2
            '{program}' {kind} '{path}' save 1 3 || exit 3
            exit $went",
            place.parent().display()
        );
        let status = Command::new("unshare").args(["-rm", "sh", "-c", &script]).status();
        match status.ok().and_then(|status| status.code()) {
            Some(FULL) => {}
            None | Some(1 | 77) => println!("skipped: no file system can be mounted here"),
            code => panic!("{kind}: {code:?}"),
        }
    }
}

/// A limit for the size of files: the write is short first, and then fails.
#[test]
fn fl_15_fl_20_a_short_write_is_followed_to_its_error() {
    let place = place();
    log_in(&FileStore::at(&place.path), "default", 1, "secret-1");
    let command = save("file", &place.path, &["save", "1", "2", "100000"]);
    assert_eq!(went(staged("ulimit -f 16; trap '' XFSZ", &command)).code(), Some(FULL));
    assert_eq!(found(&FileStore::at(&place.path), "default").unwrap().unwrap().0, 1);
    assert_eq!(place.names(), ["tokens.json", "tokens.json.lock"]);
}

#[test]
fn fl_20_interrupted_calls_are_made_again() {
    for call in ["openat", "write", "fsync", "renameat", "unlinkat", "flock"] {
        let Some(all) = fail_everywhere("file", &[call], "EINTR") else { return };
        assert!(all.iter().all(|(_, code)| *code == DONE), "{all:?}");
    }
}

#[test]
fn fl_20_a_broken_disk_is_told() {
    let Some(all) = fail_everywhere("file", &["write", "fsync", "renameat"], "EIO") else { return };
    assert!(all.len() >= 4 && all.iter().all(|(_, code)| *code == UNAVAILABLE), "{all:?}");
    let place = place();
    log_in(&FileStore::at(&place.path), "default", 1, "secret-1");
    let options = ["-P", place.path.to_str().unwrap(), "-e", "trace=read", "-e", "inject=read:error=EIO"];
    let Some(command) = traced(Path::new("/dev/null"), &options, &save("file", &place.path, &["load"])) else { return };
    assert_eq!(went(command).code(), Some(UNAVAILABLE));
}

#[test]
fn fl_19_without_permission_the_old_file_stays() {
    for error in ["EACCES", "EROFS", "EPERM"] {
        let Some(all) = fail_everywhere("file", &["openat", "renameat"], error) else { return };
        assert!(all.len() >= 3 && all.iter().all(|(_, code)| *code == DENIED), "{all:?}");
    }
}

#[test]
fn fl_19_somebody_elses_folder_is_told() {
    let place = place();
    log_in(&FileStore::at(&place.path), "default", 1, "secret-1");
    // Everybody may run the program, nobody but us may look into the folder.
    let copy =
        tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let program = copy.path().join("save");
    fs::copy(self::program(), &program).unwrap();
    for word in ["load", "save"] {
        let status = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .arg("file")
            .arg(&place.path)
            .args([word, "1", "2"])
            .stderr(Stdio::null())
            .status();
        match status.ok().and_then(|status| status.code()) {
            Some(DENIED) => {}
            code if rustix_is_root() => panic!("{word}: {code:?}"),
            _ => println!("skipped: only root can become somebody else"),
        }
    }
}

fn rustix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}

#[test]
fn fl_19_without_a_home_it_is_told() {
    for home in ["/proc/nobody", "/dev/null"] {
        let mut command = save("home", Path::new("-"), &["save", "absent", "1"]);
        command.env_remove("XDG_STATE_HOME").env("HOME", home);
        assert_eq!(went(command).code(), Some(DENIED), "{home}");
    }
    let place = place();
    let mut command = save("home", Path::new("-"), &["save", "absent", "1"]);
    command.env_remove("XDG_STATE_HOME").env("HOME", place.folder.path());
    assert_eq!(went(command).code(), Some(DONE));
    assert!(place.folder.path().join(".local/state/grantflow/tokens.json").exists());
    for (state, right) in [(place.folder.path().join("s"), "s/grantflow/tokens.json"), ("relative".into(), "h/.local")]
    {
        let mut command = save("home", Path::new("-"), &["save", "absent", "1"]);
        command.env("XDG_STATE_HOME", state).env("HOME", place.folder.path().join("h"));
        assert_eq!(went(command).code(), Some(DONE));
        assert!(place.folder.path().join(right).exists(), "{right}");
    }
}

#[test]
fn st_01_files_and_folders_are_their_owners_whatever_the_mask() {
    for kind in KINDS {
        for mask in ["000", "022", "277", "777"] {
            let place = place();
            let stage = format!("umask {mask}");
            for words in [&["save", "absent", "1"], &["save", "1", "2"]] {
                let status = went(staged(&stage, &save(kind, &place.path, words)));
                assert_eq!(status.code(), Some(DONE), "{kind} {mask}");
            }
            let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
            assert_eq!(mode(place.parent()), 0o700, "{mask}");
            assert_eq!(mode(place.parent().parent().unwrap()), 0o700, "{mask}");
            for name in place.names() {
                assert_eq!(mode(&place.parent().join(&name)), 0o600, "{kind} {mask} {name}");
            }
            // Not even for a moment are they anybody else's.
            let place = self::place();
            let log = place.folder.path().join("log");
            let Some(command) = traced(&log, &[], &save(kind, &place.path, &["save", "absent", "1"])) else { continue };
            assert_eq!(went(staged(&stage, &command)).code(), Some(DONE));
            for (call, line) in calls(&log) {
                if call.starts_with("mkdir") {
                    assert!(line.contains(", 0700)"), "{line}");
                } else if call == "openat" && line.contains("O_CREAT") {
                    assert!(line.contains(", 0600)"), "{line}");
                }
            }
        }
    }
}

fn hold(place: &Place, from: &str, to: &str) -> Child {
    let mut child =
        save("file", &place.path, &["hold", from, to]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "held\n");
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn st_14_fl_25_a_claim_ends_with_the_process_that_holds_it() {
    let place = place();
    let store = FileStore::at(&place.path);
    for round in 1..=5 {
        let mut child = hold(&place, "absent", "1");
        assert_eq!(store.claim(&claim("default", Duration::ZERO)).map(drop).unwrap_err().fault, StoreFault::Busy);
        child.kill().unwrap();
        let began = Instant::now();
        child.wait().unwrap();
        let held = store.claim(&claim("default", Duration::from_millis(100))).unwrap();
        println!("figure: stores/next holder after a kill, round {round} = {} ms", began.elapsed().as_millis());
        assert!(held.is_some());
    }
}

#[test]
fn fl_24_who_holds_a_claim_and_was_stopped_writes_nothing_old() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "secret-1");
    let mut child = hold(&place, "1", "2");
    signal(&child, "STOP");
    assert_eq!(
        store.claim(&claim("default", Duration::from_millis(50))).map(drop).unwrap_err().fault,
        StoreFault::Busy
    );
    // A person logs in meanwhile, for which no claim is needed.
    log_in(&store, "default", 5, "secret-5");
    child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    signal(&child, "CONT");
    assert_eq!(child.wait().unwrap().code(), Some(CONFLICT));
    assert_eq!(found(&store, "default").unwrap().unwrap().0, 5);
}

#[test]
fn st_15_a_file_system_without_locks_is_told() {
    for kind in KINDS {
        for how in ["retval=0", "error=ENOLCK", "error=EOPNOTSUPP", "error=EINVAL"] {
            let place = place();
            let inject = format!("inject=flock:{how}");
            let options = ["-e", "trace=flock", "-e", &inject];
            let Some(command) =
                traced(Path::new("/dev/null"), &options, &save(kind, &place.path, &["save", "absent", "1"]))
            else {
                return;
            };
            assert_eq!(went(command).code(), Some(UNAVAILABLE), "{kind} {how}");
            assert_eq!(found(&*open(kind, &place.path), "default"), Ok(None));
        }
    }
}

/// Somebody who holds the lock of all writes and never lets go.
#[test]
fn fl_24_who_writes_waits_for_a_bounded_time() {
    let place = place();
    log_in(&FileStore::at(&place.path), "default", 1, "secret-1");
    let lock = fs::File::open(place.parent().join("tokens.json.lock")).unwrap();
    lock.lock().unwrap();
    let status = went(save("file", &place.path, &["save", "1", "2"]));
    assert_eq!(status.code(), Some(BUSY));
    // Reading needs no lock.
    assert_eq!(found(&FileStore::at(&place.path), "default").unwrap().unwrap().0, 1);
}

#[cfg(feature = "keyring")]
#[test]
fn st_09_without_a_session_bus_there_is_no_keyring_and_no_file() {
    let place = place();
    for address in ["unix:path=/nonexistent/bus", "disabled:"] {
        let mut command = save("keyring", place.folder.path(), &["save", "absent", "1"]);
        command.env("DBUS_SESSION_BUS_ADDRESS", address).env_remove("XDG_RUNTIME_DIR");
        assert_eq!(went(command).code(), Some(UNAVAILABLE), "{address}");
        let left = fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let left: Vec<u8> = left.flat_map(|path| fs::read(path).unwrap()).collect();
        assert!(left.is_empty());
    }
}

#[test]
fn st_12_a_reader_in_another_process_meets_the_old_or_the_new_file() {
    for kind in KINDS {
        let place = place();
        let store = open(kind, &place.path);
        log_in(&*store, "default", 1, "secret-1");
        for version in 1..20_u64 {
            let expected = Expected::Version(grantflow_core::store::Version::from_u64(version));
            let bytes = crate::support::record(version + 1, "x");
            let mut child = save(kind, &place.path, &["load"]).spawn().unwrap();
            store.save(write("default", expected, version + 1, &bytes)).unwrap();
            let code = child.wait().unwrap().code().unwrap();
            assert!([version, version + 1].map(|version| i32::try_from(version).unwrap()).contains(&code), "{code}");
        }
    }
}
