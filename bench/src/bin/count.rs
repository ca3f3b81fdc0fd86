//! Counts allocations of every case, and weighs the pending flows. Prints lines of `row/who<TAB>allocations<TAB>bytes`
//! and `pending/who<TAB>live<TAB>stored`.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn live() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn main() {
    const TIMES: usize = 100;
    for mut case in grantflow_bench::cases() {
        case.warm_up();
        let region = Region::new(HEAP);
        for _ in 0..TIMES {
            case.run();
        }
        let change = region.change();
        // A growing buffer is another call of the allocator, so it counts.
        let calls = (change.allocations + change.reallocations) / TIMES;
        println!("{}\t{calls}\t{}", case.name(), change.bytes_allocated / TIMES);
    }
    for pending in grantflow_bench::pending() {
        let _ = pending.weigh(&live);
        let weight = pending.weigh(&live);
        let stored = weight.stored.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
        println!("pending/{}\t{}\t{stored}", pending.who, weight.live);
    }
}
