//! Which tests reach a mutant, and whether one of them notices it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Result;
use crate::build::Program;
use crate::list::{Mutant, State};
use crate::record::Record;

/// A test that passes when nothing is changed.
#[derive(Debug)]
pub struct Test<'p> {
    program: &'p Program,
    name: String,
    took: Duration,
}

/// All tests, and which of them reach each mutant, the quickest first.
#[derive(Debug)]
pub struct Tests<'p> {
    tests: Vec<Test<'p>>,
    reaching: BTreeMap<usize, Vec<usize>>,
}

/// How many at once.
fn workers() -> usize {
    std::env::var("MUTANTS_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(2)
}

/// How long the tests of one mutant may take together, when nothing is changed. The quickest run first.
fn budget() -> Duration {
    let seconds = std::env::var("MUTANTS_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

/// When to stop trying, whatever is left.
fn end() -> Option<Duration> {
    let minutes: u64 = std::env::var("MUTANTS_MINUTES").ok()?.parse().ok()?;
    Some(Duration::from_secs(minutes.saturating_mul(60)))
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Ended {
    Well,
    Badly,
    TooLate,
}

/// Runs tests of a program by their names. `limit` is of the processor's time, which others do not use up; a program
/// that waits for what never comes gets more of the clock's.
fn run(program: &Program, names: &[&str], limit: Duration, variable: (&str, &str)) -> Result<Ended> {
    let waiting = (limit * 5).as_secs_f32().to_string();
    let busy = format!("--cpu={}", limit.as_secs().max(1));
    // A mutant may ask for all the memory there is.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", &waiting, "prlimit", &busy, "--as=6000000000", "--core=0", "--"]);
    command.arg(&program.path).args(["--exact", "--test-threads=2"]).args(names);
    command
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .env("CARGO_PKG_NAME", &program.name);
    command.env("PROPTEST_CASES", "32");
    command.env(variable.0, variable.1);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    Ok(match status.code() {
        Some(0) => Ended::Well,
        Some(124 | 137) => Ended::TooLate,
        _ => Ended::Badly,
    })
}

/// Does something with each of many, a few at once.
fn each<T: Sync>(many: &[T], what: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..workers() {
            scope.spawn(|| {
                while let Some(one) = many.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = what(one) {
                        *failed.lock().unwrap() = Some(error.to_string());
                        return;
                    }
                }
            });
        }
    });
    failed.into_inner()?.map_or(Ok(()), |error: String| Err(error.into()))
}

/// Runs each test by itself.
pub fn trace<'p>(programs: &'p [Program], tree: &Path) -> Result<Tests<'p>> {
    let began = Instant::now();
    let mut names: Vec<(&'p Program, String)> = Vec::new();
    for program in programs {
        let output =
            Command::new(&program.path).args(["--list", "--format", "terse"]).current_dir(&program.folder).output()?;
        for line in String::from_utf8(output.stdout)?.lines() {
            if let Some(name) = line.strip_suffix(": test") {
                names.push((program, name.to_owned()));
            }
        }
    }
    let found = Mutex::new(Vec::new());
    each(&names, |(program, name)| {
        let (took, ids) = reached(program, name, tree)?;
        match took {
            Some(took) => found.lock().unwrap().push((Test { program, name: name.clone(), took }, ids)),
            None => eprintln!("left out, it fails or takes too long without a change: {} {name}", program.name),
        }
        Ok(())
    })?;
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by_key(|(test, _)| test.took);
    let mut all = Tests { tests: Vec::new(), reaching: BTreeMap::new() };
    for (number, (test, ids)) in found.into_iter().enumerate() {
        all.tests.push(test);
        for id in ids {
            all.reaching.entry(id).or_default().push(number);
        }
    }
    eprintln!("{} of {} tests pass, {:?}", all.tests.len(), names.len(), began.elapsed());
    Ok(all)
}

/// What is noted of a test that fails without a change.
const LEFT_OUT: &str = "left out";

/// How long a test takes, unless it fails, and which mutants it reaches: as noted since the program was built, or anew.
fn reached(program: &Program, name: &str, tree: &Path) -> Result<(Option<Duration>, Vec<usize>)> {
    let folder = tree.join("reached").join(program.path.file_name().unwrap_or_default());
    let (ids, millis) = (folder.join(format!("{name}.ids")), folder.join(format!("{name}.millis")));
    let changed = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified());
    let noted = changed(&millis).is_ok_and(|noted| changed(&program.path).is_ok_and(|built| built < noted));
    // One that failed may have failed for what else went on.
    if !noted || std::fs::read_to_string(&millis)? == LEFT_OUT {
        std::fs::create_dir_all(&folder)?;
        let _ = std::fs::remove_file(&ids);
        let began = Instant::now();
        let ended = run(program, &[name], budget(), ("MUTANTS_REACHED", &ids.to_string_lossy()))?;
        let took = if ended == Ended::Well { began.elapsed().as_millis().to_string() } else { LEFT_OUT.to_owned() };
        std::fs::write(&millis, took)?;
    }
    let took = std::fs::read_to_string(&millis)?.parse().ok().map(Duration::from_millis);
    let ids = std::fs::read_to_string(&ids).unwrap_or_default();
    Ok((took, ids.lines().filter_map(|id| id.parse().ok()).collect()))
}

/// Tries mutants, and writes down what comes out.
pub fn all(mutants: &[&Mutant], tests: &Tests<'_>, record: &mut Record) -> Result<()> {
    let began = Instant::now();
    let record = Mutex::new(record);
    let done = AtomicUsize::new(0);
    let end = end();
    each(mutants, |mutant| {
        if end.is_some_and(|end| began.elapsed() > end) {
            return Ok(());
        }
        let (outcome, by) = match mutant.state {
            State::Unviable => ("unviable", String::new()),
            State::NotWoven => ("not woven", String::new()),
            State::NotBuilt => ("not built", String::new()),
            State::Woven => one(mutant, tests)?,
        };
        let mut record = record.lock().unwrap();
        record.add(mutant, outcome, by)?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(100) {
            eprintln!("{done} of {} tried, {:?}", mutants.len(), began.elapsed());
        }
        Ok(())
    })
}

/// Tries the quick tests first, and the others a program at a time.
fn one(mutant: &Mutant, tests: &Tests<'_>) -> Result<(&'static str, String)> {
    let Some(reaching) = tests.reaching.get(&mutant.id) else { return Ok(("missed", "no test reaches it".to_owned())) };
    let id = mutant.id.to_string();
    let all = reaching.len();
    let mut left = budget();
    let mut reaching: Vec<usize> = reaching
        .iter()
        .copied()
        .take_while(|number| {
            let enough = !left.is_zero();
            left = left.saturating_sub(tests.tests[*number].took);
            enough
        })
        .collect();
    // Those that stand nearest know it best; of equals, the quickest.
    reaching.sort_by_key(|number| {
        let test = &tests.tests[*number];
        let near = if test.program.folder.ends_with(mutant.folder()) { 1 + mutant.nearness(&test.name) } else { 0 };
        std::cmp::Reverse(near)
    });
    let (near, far): (Vec<usize>, Vec<usize>) =
        reaching.iter().partition(|number| tests.tests[**number].program.folder.ends_with(mutant.folder()));
    let groups = [(&near, 0, 8), (&near, 8, 50), (&far, 0, 12), (&near, 50, usize::MAX), (&far, 12, usize::MAX)];
    for (group, begin, end) in groups {
        let mut programs: BTreeMap<&Path, Vec<&Test<'_>>> = BTreeMap::new();
        for number in group.iter().skip(begin).take(end - begin) {
            let test = &tests.tests[*number];
            programs.entry(&test.program.path).or_default().push(test);
        }
        for some in programs.values() {
            let Some(first) = some.first() else { continue };
            let names: Vec<&str> = some.iter().map(|test| test.name.as_str()).collect();
            let usual: Duration = some.iter().map(|test| test.took).sum();
            let limit = Duration::from_secs(4) + usual;
            let mut ended = run(first.program, &names, limit, ("MUTANT", &id))?;
            // A clock or a socket may have been the reason.
            if ended == Ended::Badly && first.program.name != "grantflow_core" {
                ended = run(first.program, &names, limit, ("MUTANT", &id))?;
            }
            match ended {
                Ended::Well => {}
                Ended::Badly => return Ok(("caught", first.program.name.clone())),
                Ended::TooLate => return Ok(("caught", format!("{}, by its time", first.program.name))),
            }
        }
    }
    Ok(("missed", format!("{} of {all} tests that reach it", reaching.len())))
}
