//! What the largest inputs cost: each limit at the limit, one more and a hundred times as much, the peak of the heap, and
//! how work grows with the input (catalogue DS-10, DS-11).
//!
//! In a binary of its own, because it counts what the heap gives. Counts are of one thread, so that tests beside each
//! other do not matter.

mod drivers;
mod operations;
mod work;

use allocation_counter::{AllocationInfo, measure};

use operations::{End, OPERATIONS, Operation};

/// How many times the limit of its input an operation may take from the heap at once (DS-11).
const MOST: u64 = 8;

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}

/// A size in words.
fn size(bytes: u64) -> String {
    if bytes < 10 * 1024 { format!("{bytes} B") } else { format!("{} KiB", bytes / 1024) }
}

/// What one run of an operation takes from the heap, the input included, and how long that is.
fn cost(operation: &Operation, units: usize) -> (End, AllocationInfo, u64) {
    let input = (operation.input)(units);
    let length = number(input.len());
    let mut end = None;
    let counted = measure(|| end = Some((operation.run)(input.clone())));
    (end.unwrap(), counted, length)
}

#[test]
fn ds_11_every_limit_holds_at_the_limit_one_beyond_and_a_hundredfold_within_eight_times_its_bytes() {
    for operation in OPERATIONS {
        // What is made once for all must not count.
        let _ = cost(operation, operation.limit);
        let mut peaks = Vec::new();
        for (units, expected) in
            [(operation.limit, End::Read), (operation.limit + 1, End::TooMuch), (operation.limit * 100, End::TooMuch)]
        {
            let (end, counted, length) = cost(operation, units);
            assert_eq!(end, expected, "{}: {units} {}", operation.name, operation.unit);
            // A caller who holds a hundred times too much has it already; what counts is what it leads to.
            let own = if units > operation.limit { counted.bytes_max - length } else { counted.bytes_max };
            let bound = MOST * number(operation.bytes);
            assert!(own <= bound, "{}: {own} bytes for {units} {}", operation.name, operation.unit);
            assert_eq!(counted.count_current, 0, "{}: something is left", operation.name);
            peaks.push((units, own));
        }
        let [(_, at), (_, beyond), (_, hundredfold)] = peaks[..] else { panic!() };
        println!(
            "figure: heap/{} = limit {} {}: peak {} ({:.1} times the {} of its input); one more: {} besides the input; \
             a hundred times as much: {}",
            operation.name,
            operation.limit,
            operation.unit,
            size(at),
            at as f64 / operation.bytes as f64,
            size(number(operation.bytes)),
            size(beyond),
            size(hundredfold),
        );
    }
}

#[test]
fn what_is_longer_than_a_date_is_none_and_takes_nothing() {
    let long = format!("Sun, 06 Nov 1994 08:49:37 GMT{}", " ".repeat(1 << 20));
    let counted = measure(|| assert!(!operations::date(&long)));
    assert_eq!(counted.count_total, 0);
}
