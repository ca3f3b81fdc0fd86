//! Clocks that jump, and lives that nobody knows.

use std::time::Duration;

use grantflow_core::Timestamp;

use super::rig::{BEGIN, both, text};

const DAY: u64 = 86_400;

#[test]
fn fl_30_a_clock_that_goes_back_makes_one_renewal_and_no_storm() {
    for back in [DAY, 3650 * DAY] {
        both(|rig| {
            let kept = rig.logged_in();
            rig.time.set(BEGIN.minus(Duration::from_secs(back)));
            for _ in 0..50 {
                kept.credential().unwrap();
                kept.settled();
            }
            assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
            assert_eq!(rig.authority.asked(), 1, "{back} s back");
            // It lives as long as it says, not as long as the old clock had it.
            rig.time.pass(3600);
            assert_eq!(text(&kept.credential().unwrap()), "canary-a2");
        });
    }
}

#[test]
fn fl_31_fl_32_a_clock_that_leaps_makes_one_renewal() {
    let leaps = [
        BEGIN.plus(Duration::from_secs(DAY)),
        BEGIN.plus(Duration::from_secs(8 * 3600)),
        Timestamp::from_secs(2_147_483_648),
        Timestamp::from_secs(4_294_967_296),
        Timestamp::from_secs(253_402_300_799),
    ];
    for leap in leaps {
        both(|rig| {
            let kept = rig.logged_in();
            rig.time.set(leap);
            for _ in 0..50 {
                kept.credential().unwrap();
                kept.settled();
            }
            assert_eq!(text(&kept.credential().unwrap()), "canary-a1", "{leap:?}");
            assert_eq!(rig.authority.asked(), 1, "{leap:?}");
        });
    }
}

#[test]
fn fl_30_fl_31_a_clock_that_swings_renews_once_a_swing() {
    both(|rig| {
        let kept = rig.logged_in();
        for swing in 0..10 {
            rig.time.set(BEGIN.plus(Duration::from_secs(DAY)));
            kept.credential().unwrap();
            kept.settled();
            rig.time.set(BEGIN);
            kept.credential().unwrap();
            kept.settled();
            assert!(rig.authority.asked() <= 2 * (swing + 1), "{:?}", rig.which);
        }
        assert!(!rig.authority.has_ended());
    });
}

#[test]
fn fl_32_a_renewal_that_sleeps_through_the_night_is_made_once() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(3600);
        let time = rig.time.clone();
        rig.authority.next([super::rig::Turn::After(Box::new(move || time.pass(8 * 3600)))]);
        // What comes counts from when it comes.
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert_eq!(rig.authority.asked(), 1);
    });
}
