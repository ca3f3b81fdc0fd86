//! Runs one case so many times and nothing else: what an instruction counter or a profiler is pointed at.
//!
//!     once                  prints the names of all cases
//!     once row/who TIMES    runs that case

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut cases = grantflow_bench::cases();
    let Some(name) = arguments.next() else {
        cases.iter().for_each(|case| println!("{}", case.name()));
        return;
    };
    let times: usize = arguments.next().and_then(|text| text.parse().ok()).expect("how many times");
    let case = cases.iter_mut().find(|case| case.name() == name).expect("a case of that name");
    case.warm_up();
    (0..times).for_each(|_| case.run());
}
