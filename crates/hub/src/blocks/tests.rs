use super::replay::{Fault, Fleet, NETWORKS, Size};
use super::*;

fn size(relays: usize, owned: usize, rates: &[f64]) -> Size {
    Size { relays, owned, rates: rates.to_vec() }
}

#[test]
fn a_quiet_week() {
    let mut fleet = Fleet::new(&size(12, 1, &[30.0, 3.0]), 1);
    for v in fleet.run(7 * 86_400) { println!("{} {v}", v.noticed); }
}
#[test]
fn blocks() {
    let mut warm = Fleet::new(&size(12, 1, &[30.0, 10.0, 3.0, 1.0]), 1);
    for v in warm.run(86_400 / 2) { println!("{} {v}", v.noticed); }
    for place in 0..4 { for seed in 0..10 {
        let mut fleet = warm.clone();
        fleet.reseed(seed);
        fleet.run(300);
        fleet.faults.push(Fault::Endpoint(place, None));
        let at = fleet.now();
        for v in fleet.run(3600) { println!("{place} {} {v}", v.noticed-at); }
    }}
}
