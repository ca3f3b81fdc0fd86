//! Every row of the catalogue of attacks, faults, odd answers, and what users of other libraries rely on has a test that carries its id, or a reason.
//!
//! The rows stand in `tests/catalogue/*.tsv`. A test belongs to row `AR-07` if its name begins with `ar_07_`, and to
//! several rows if it begins with several ids: `tr_01_tr_03_…`, `answers_05_tr_13_…`. `tests/catalogue/report` prints
//! the rows with their tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use grantflow_devserver::Fault;

/// What stands in the last column of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// A test must carry the id.
    Test,
    /// A test must carry the id, and shows a part of the row: the rest is about a feature that does not exist yet.
    Partly(String),
    /// No test is possible, for the dated reason that follows.
    Waived(String),
    /// The feature that the row is about does not exist yet.
    Later(String),
}

#[derive(Debug)]
struct Row {
    /// As tests carry it: `ar_07`, `answers_05`.
    id: String,
    section: String,
    text: String,
    standing: Standing,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rows() -> Vec<Row> {
    let attacks = include_str!("../catalogue/attacks.tsv").lines().skip(1).map(|line| (line, ""));
    let answers = include_str!("../catalogue/answers.tsv").lines().skip(1).map(|line| (line, "answers-"));
    let systems = include_str!("../catalogue/systems.tsv").lines().skip(1).map(|line| (line, ""));
    attacks.chain(answers).chain(systems).map(|(line, prefix)| row(line, prefix)).collect()
}

fn row(line: &str, prefix: &str) -> Row {
    let cells: Vec<_> = line.split('\t').collect();
    let [id, happens, must, standing] = cells[..] else { panic!("not four columns: {line}") };
    let id = format!("{prefix}{id}");
    let standing = match standing.split_once(": ") {
        None if standing == "test" => Standing::Test,
        Some(("test; later", feature)) => Standing::Partly(feature.to_owned()),
        Some(("waived", reason)) => {
            let date: Vec<_> = reason[..10].split('-').map(str::len).collect();
            assert_eq!(date, [4, 2, 2], "{id}: a waiver begins with its date");
            Standing::Waived(reason.to_owned())
        }
        Some(("later", feature)) => Standing::Later(feature.to_owned()),
        _ => panic!("{id}: no such standing: {standing}"),
    };
    let section = id.split('-').next().unwrap().to_owned();
    Row { id: id.to_lowercase().replace('-', "_"), section, text: format!("{happens} -> {must}"), standing }
}

/// The ids that a test's name begins with.
fn ids(name: &str) -> Vec<String> {
    let words: Vec<_> = name.split('_').collect();
    let is_section = |word: &str| {
        word == "answers" || matches!(word.len(), 1 | 2) && word.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    let is_number = |word: &str| word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_digit());
    let pairs = words.chunks(2).take_while(|pair| pair.len() == 2 && is_section(pair[0]) && is_number(pair[1]));
    pairs.map(|pair| pair.join("_")).collect()
}

/// The names of the test functions in a source file.
pub fn tests_of(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("#[") || line.starts_with("//") || line.is_empty() {
        } else {
            let declared = line.trim_start_matches("async ").strip_prefix("fn ");
            if let (true, Some(rest)) = (is_test, declared) {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                found.push(rest[..end].to_owned());
            }
            is_test = false;
        }
    }
    found
}

/// Every source file of the workspace, by its path in it.
pub fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found
}

/// The tests of every id.
fn mapped() -> BTreeMap<String, BTreeSet<String>> {
    let mut mapped: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, source) in sources() {
        for test in tests_of(&source) {
            for id in ids(&test) {
                mapped.entry(id).or_default().insert(test.clone());
            }
        }
    }
    mapped
}

#[test]
fn every_row_has_a_test_or_a_reason_and_every_id_of_a_test_is_known() {
    let mapped = mapped();
    let rows = rows();
    let known: BTreeSet<_> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(known.len(), rows.len(), "an id stands in the catalogue twice");
    let mut faults = String::new();
    let mut counts: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for row in &rows {
        let tests = mapped.get(&row.id);
        let column = match (&row.standing, tests) {
            (Standing::Test | Standing::Partly(_), Some(_)) => 0,
            (Standing::Waived(_), None) => 1,
            (Standing::Later(_), None) => 2,
            (Standing::Test | Standing::Partly(_), None) => {
                writeln!(faults, "{} has no test: {}", row.id, row.text).unwrap();
                3
            }
            (Standing::Waived(_) | Standing::Later(_), Some(tests)) => {
                writeln!(faults, "{} has a test, so its standing must be `test`: {tests:?}", row.id).unwrap();
                0
            }
        };
        counts.entry(&row.section).or_default()[column] += 1;
    }
    for (id, tests) in &mapped {
        if !known.contains(id.as_str()) {
            writeln!(faults, "{id} is not in the catalogue: {tests:?}").unwrap();
        }
    }
    report(&rows, &mapped);
    println!("{:8} {:>6} {:>6} {:>6} {:>8}", "section", "tested", "waived", "later", "without");
    let mut total = [0; 4];
    for (section, count) in counts {
        println!("{section:8} {:6} {:6} {:6} {:8}", count[0], count[1], count[2], count[3]);
        total.iter_mut().zip(count).for_each(|(total, count)| *total += count);
    }
    println!("{:8} {:6} {:6} {:6} {:8}", "all", total[0], total[1], total[2], total[3]);
    assert!(faults.is_empty(), "\n{faults}");
}

/// The rows of a table of two columns, without its head.
fn pairs(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().skip(1).map(|line| line.split_once('\t').unwrap())
}

/// What a feature that does not exist yet will have in its code; for as long as it has not, rows may wait for it.
#[test]
fn what_rows_wait_for_does_not_exist_yet() {
    let library = |path: &Path| {
        let folders = ["core/src", "io-tokio/src", "io-blocking/src", "stores/src", "cli/src"];
        folders.iter().any(|folder| path.starts_with(folder)) && !path.iter().any(|part| part == "tests")
    };
    let sources: Vec<_> = sources().into_iter().filter(|(path, _)| library(path)).collect();
    let missing: BTreeMap<_, _> = pairs(include_str!("../catalogue/missing.tsv")).collect();
    for (feature, sign) in &missing {
        for (path, source) in &sources {
            assert!(!source.contains(sign), "{feature} has come: {sign} is in {}; its rows need tests", path.display());
        }
    }
    let modules = pairs(include_str!("../catalogue/modules.tsv"));
    let waiting: BTreeSet<_> = rows()
        .into_iter()
        .filter_map(|row| if let Standing::Later(feature) = row.standing { Some(feature) } else { None })
        .chain(modules.filter_map(|(_, standing)| standing.strip_prefix("later: ").map(str::to_owned)))
        .collect();
    assert_eq!(waiting, missing.keys().map(|feature| (*feature).to_owned()).collect(), "features in the two lists");
}

/// The client modules of the OpenID conformance suite, and faults beyond it: each is a fault that the development server
/// has and whose outcome is known, a scenario, a test, or waits for a feature.
#[test]
fn every_module_of_the_conformance_suite_is_played_or_waits_for_its_feature() {
    let faults: BTreeSet<_> =
        include_str!("scenarios/adversary.tsv").lines().filter_map(|line| line.split('\t').next()).collect();
    let scenarios = include_str!("scenarios/list.rs");
    let tests: Vec<_> = sources().iter().flat_map(|(_, source)| tests_of(source)).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (module, standing) in pairs(include_str!("../catalogue/modules.tsv")) {
        let (kind, what) = standing.split_once(": ").unwrap();
        let known = match kind {
            "fault" => faults.contains(what) && what.parse::<Fault>().is_ok(),
            "scenario" => scenarios.contains(&format!("name: \"{what}\"")),
            "test" => tests.iter().any(|test| test.starts_with(what)),
            "later" | "waived" => true,
            _ => false,
        };
        assert!(known, "{module}: {standing}");
        *counts.entry(kind).or_default() += 1;
    }
    for fault in Fault::ALL {
        if let Some(module) = fault.conformance_module() {
            let standing = pairs(include_str!("../catalogue/modules.tsv")).find(|(name, _)| *name == module);
            assert_eq!(standing.map(|(_, standing)| standing), Some(&*format!("fault: {fault}")), "{module}");
        }
    }
    for (kind, count) in counts {
        println!("figure: adversary/{kind} = {count}");
    }
}

/// Prints the rows that the environment asks for: `all`, a section, or those `without` a test.
fn report(rows: &[Row], mapped: &BTreeMap<String, BTreeSet<String>>) {
    let Ok(wanted) = std::env::var("CATALOGUE_ROWS") else { return };
    for row in rows {
        let tests = mapped.get(&row.id);
        if wanted != "all" && !wanted.eq_ignore_ascii_case(&row.section) && !(wanted == "without" && tests.is_none()) {
            continue;
        }
        println!("{}: {}", row.id, row.text);
        match (tests, &row.standing) {
            (Some(tests), standing) => {
                tests.iter().for_each(|test| println!("    {test}"));
                if let Standing::Partly(feature) = standing {
                    println!("    the rest later, with: {feature}");
                }
            }
            (None, Standing::Test | Standing::Partly(_)) => println!("    WITHOUT A TEST"),
            (None, Standing::Waived(reason)) => println!("    waived {reason}"),
            (None, Standing::Later(feature)) => println!("    later, with: {feature}"),
        }
    }
}

#[test]
fn ids_are_read_from_the_front_of_names() {
    assert_eq!(ids("ar_07_a_parameter_twice"), ["ar_07"]);
    assert_eq!(ids("answers_20_tr_09_a_member_twice"), ["answers_20", "tr_09"]);
    assert_eq!(ids("tr_01_tr_03_"), ["tr_01", "tr_03"]);
    assert!(ids("a_parameter_ar_07").is_empty());
    assert!(ids("is_07a_x").is_empty());
}

#[test]
fn only_test_functions_count() {
    let source = "#[test]\n#[ignore]\nfn ar_01_a() {}\nfn ar_02_b() {}\n// ar_03\n#[tokio::test(flavor = \"x\")]\nasync fn ar_04_c() {}";
    assert_eq!(tests_of(source), ["ar_01_a", "ar_04_c"]);
}
