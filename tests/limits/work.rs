//! How work grows: ten times the input may cost fifteen times the work at most, for every parser.
//!
//! Work is instructions where valgrind is installed: this binary runs itself once under callgrind, which writes a
//! profile whenever [`counted`] is left. Without it, allocations and their bytes are counted alone.

use std::process::Command;

use allocation_counter::measure;

use super::number;
use super::operations::{End, OPERATIONS, Operation};

/// How many times the work ten times the input may cost (DS-10).
const MOST: u64 = 15;

/// A tenth of the limit, and the limit; of what is large, a twentieth of both.
fn sizes(operation: &Operation) -> [usize; 2] {
    // Counted instructions take fifty times as long as others.
    let large = if operation.limit > 100_000 { operation.limit / 20 } else { operation.limit };
    // Depth ends at 32: a tenth of that is three.
    [large / 10, large / 10 * 10]
}

/// The only function whose instructions are counted.
#[inline(never)]
fn counted(run: fn(Vec<u8>) -> End, input: Vec<u8>) -> End {
    std::hint::black_box(run(std::hint::black_box(input)))
}

/// Runs every operation with both sizes, once before to make what is made once.
fn everything() {
    for operation in OPERATIONS {
        let [small, large] = sizes(operation);
        let _ = (operation.run)((operation.input)(small));
        for units in [small, large] {
            assert_eq!(counted(operation.run, (operation.input)(units)), End::Read, "{}", operation.name);
        }
    }
}

/// The instructions of each call of [`counted`], in order; `None` without valgrind.
fn instructions() -> Option<Vec<u64>> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return None;
    }
    let folder = std::env::temp_dir().join(format!("grantflow-limits-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let function = "limits::work::counted";
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", folder.join("profile").display()))
        .args([format!("--zero-before={function}"), format!("--dump-after={function}")])
        .arg(std::env::current_exe().unwrap())
        .args(["the_process_under_callgrind", "--ignored", "--test-threads=1"])
        .output()
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    let mut profiles: Vec<(u64, u64)> = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let after = |word: &str| text.lines().find_map(|line| line.strip_prefix(word)).map(str::trim);
        // The last profile is that of the rest of the process.
        if after("desc: Trigger:").is_some_and(|trigger| trigger.contains(function)) {
            profiles.push((after("part: ").unwrap().parse().unwrap(), after("totals: ").unwrap().parse().unwrap()));
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    profiles.sort_unstable();
    Some(profiles.into_iter().map(|(_, instructions)| instructions).collect())
}

#[test]
#[ignore = "run by the test below, under callgrind"]
fn the_process_under_callgrind() {
    everything();
}

#[test]
fn ds_10_ten_times_the_input_costs_fifteen_times_the_work_at_most() {
    let instructions = instructions();
    let pairs = instructions.as_ref().map(|counts| {
        assert_eq!(counts.len(), 2 * OPERATIONS.len(), "one profile for each call");
        counts.chunks(2).map(|pair| [pair[0], pair[1]]).collect::<Vec<_>>()
    });
    let mut faults = Vec::new();
    for (at, operation) in OPERATIONS.iter().enumerate() {
        let [small, large] = sizes(operation);
        let [allocated_small, allocated_large] = [small, large].map(|units| {
            let input = (operation.input)(units);
            measure(|| assert_eq!((operation.run)(input.clone()), End::Read))
        });
        let mut held = |what: &str, [small, large]: [u64; 2]| {
            if large > MOST * small {
                faults.push(format!("{}: {what} grow from {small} to {large}", operation.name));
            }
        };
        held("allocations", [allocated_small.count_total, allocated_large.count_total]);
        held("bytes", [allocated_small.bytes_total, allocated_large.bytes_total]);
        let instructions = pairs.as_ref().map(|pairs| pairs[at]);
        if let Some(pair) = instructions {
            assert!(pair[0] > number(small) / 16, "{}: so few instructions cannot be: {pair:?}", operation.name);
            held("instructions", pair);
        }
        let told = instructions.map_or("instructions not counted".to_owned(), |[small, large]| {
            format!("{:.1} times the instructions ({small} and {large})", large as f64 / small as f64)
        });
        println!(
            "figure: scaling/{} = {small} and {large} {}: {told}; allocations {} and {}",
            operation.name, operation.unit, allocated_small.count_total, allocated_large.count_total
        );
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
