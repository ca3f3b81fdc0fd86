//! Puts what the other programs measured into one Markdown table.
//!
//!     report DIRECTORY
//!
//! The directory holds `criterion/` (a folder per round, each of criterion's own layout), `count.tsv`, `instructions.tsv` and `loopback.tsv`; what is missing
//! shows as a dash.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use grantflow_bench::{ROWS, cases, loopback, pending};
use serde::Deserialize;

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

/// Nanoseconds of every case that criterion has results of: the median of the best round.
fn times(directory: &Path, found: &mut BTreeMap<String, f64>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if !path.ends_with("new") {
            times(&path, found);
            continue;
        }
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
        let benchmark = serde_json::from_str::<Benchmark>(&read("benchmark.json"));
        let estimates = serde_json::from_str::<Estimates>(&read("estimates.json"));
        if let (Ok(benchmark), Ok(estimates)) = (benchmark, estimates) {
            let median = estimates.median.point_estimate;
            found.entry(benchmark.full_id).and_modify(|least: &mut f64| *least = least.min(median)).or_insert(median);
        }
    }
}

/// The lines of a table of names and numbers.
fn lines(path: &Path) -> BTreeMap<String, Vec<Option<f64>>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, numbers)| (name.to_owned(), numbers.split('\t').map(|number| number.parse().ok()).collect()))
        .collect()
}

/// Three digits and a unit.
fn time(nanoseconds: f64) -> String {
    let (number, unit) = match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n => (n / 1e6, "ms"),
    };
    let digits = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
    format!("{number:.digits$} {unit}")
}

fn or_dash(number: Option<f64>, show: impl Fn(f64) -> String) -> String {
    number.map_or_else(|| "-".to_owned(), show)
}

fn ratio(number: Option<f64>, limit: Option<f64>) -> String {
    or_dash(number.zip(limit).map(|(number, limit)| number / limit), |ratio| format!("{ratio:.2}"))
}

fn main() {
    let directory = std::env::args().nth(1).expect("a directory");
    let directory = Path::new(&directory);
    let mut time_of = BTreeMap::new();
    times(&directory.join("criterion"), &mut time_of);
    let counts = lines(&directory.join("count.tsv"));
    let instructions = lines(&directory.join("instructions.tsv"));
    let whole = lines(&directory.join("loopback.tsv"));
    let first = |table: &BTreeMap<String, Vec<Option<f64>>>, name: &str| {
        table.get(name).and_then(|numbers| numbers.first().copied()?)
    };

    let mut names: Vec<(&str, &str)> = cases().iter().map(|case| (case.row, case.who)).collect();
    names.extend(loopback::CLIENTS.map(|who| ("loopback", who)));

    println!("| work | who | time | to the limit | allocations | bytes | instructions | to the limit |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    for row in ROWS.iter().filter(|row| row.id != "pending") {
        let whos = || names.iter().filter(|(id, _)| *id == row.id).map(|(_, who)| *who);
        let time_by = |who: &str| {
            let name = format!("{}/{who}", row.id);
            time_of.get(&name).copied().or_else(|| first(&whole, &name))
        };
        let instructions_by = |who: &str| first(&instructions, &format!("{}/{who}", row.id));
        let limit = whos().next();
        for (at, who) in whos().enumerate() {
            let name = format!("{}/{who}", row.id);
            let bytes = counts.get(&name).and_then(|numbers| numbers.get(1).copied()?);
            println!(
                "| {} | {who} | {} | {} | {} | {} | {} | {} |",
                if at == 0 { row.title } else { "" },
                or_dash(time_by(who), time),
                ratio(time_by(who), limit.and_then(time_by)),
                or_dash(first(&counts, &name), |n| format!("{n:.0}")),
                or_dash(bytes, |n| format!("{n:.0}")),
                or_dash(instructions_by(who), |n| format!("{n:.0}")),
                ratio(instructions_by(who), limit.and_then(instructions_by)),
            );
        }
        println!("| | *aim* | {} | | | | | |", row.aim);
    }

    println!();
    println!("| {} | live bytes | snapshot bytes |", ROWS.last().map_or("", |row| row.title));
    println!("|---|--:|--:|");
    for pending in pending() {
        let numbers = counts.get(&format!("pending/{}", pending.who)).cloned().unwrap_or_default();
        let number = |at: usize| or_dash(numbers.get(at).copied().flatten(), |n| format!("{n:.0}"));
        println!("| {} | {} | {} |", pending.who, number(0), number(1));
    }
    println!("| *aim* | 1024 | 1024 |");
}
