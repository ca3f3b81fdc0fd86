//! Times every case with criterion: `cargo bench --bench time [-- row/who]`.

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .configure_from_args();
    for mut case in grantflow_bench::cases() {
        let mut group = criterion.benchmark_group(case.row);
        group.bench_function(case.who, |bencher| bencher.iter(|| case.run()));
        group.finish();
    }
    criterion.final_summary();
}
