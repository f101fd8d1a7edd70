use hub::seats::{Chance, Rule, Seats};
#[derive(Clone, Copy, PartialEq)]
enum Censor {
    Aggressive,
    Sleeper,
    Partial,
    ZigZag,
}
struct World {
    name: &'static str,
    people: usize,
    relays: usize,
    live: u32,
    per_hour: f64,
}
fn run(
    w: &World,
    f: f64,
    censor: Censor,
    tb: f64,
    seed: u64,
    rule: Rule,
) -> ([f64; 3], f64, usize) {
    let mut c = Chance::new(seed);
    let mut seats = Seats::new(rule, seed ^ 77);
    let room = (w.people as f64 / w.relays as f64 * 1.6) as u32;
    for _ in 0..w.relays {
        seats.relay(w.live, room);
    }
    // arrivals: triangular peak at hour 6, all by 48 h
    let mut arrive: Vec<f64> = (0..w.people)
        .map(|_| {
            let u = c.unit();
            let a: f64 = 6.0 / 48.0;
            if u < a {
                48.0 * (u * a).sqrt()
            } else {
                48.0 * (1.0 - ((1.0 - u) * (1.0 - a)).sqrt())
            }
        })
        .collect();
    arrive.sort_by(f64::total_cmp);
    let sybil: Vec<bool> = (0..w.people).map(|_| c.unit() < f).collect();
    let mut next = 0;
    let mut due: Vec<(f64, u32)> = vec![]; // block times
    let mut known: Vec<bool> = vec![];
    let mut tokens = vec![0.0f64; w.relays];
    let mut sums = [0.0; 5];
    let mut counts = [0.0; 5];
    let (mut tc, mut oc) = (0.0, 0.0);
    let (mut cuts, mut honest_days, mut burned) = (0f64, 0f64, 0usize);
    for step in 0..240 {
        let now = step as f64 * 0.5;
        // blocks
        let (hit, later): (Vec<_>, Vec<_>) = due.iter().copied().partition(|d| d.0 <= now);
        due = later;
        let mut cut_now: Vec<u32> = vec![];
        for (_, e) in hit {
            let m = seats.members(e).to_vec();
            if seats.place(e).is_none() {
                continue;
            }
            cuts += m.iter().filter(|&&p| !sybil[p as usize]).count() as f64;
            cut_now.extend(&m);
            for &p in &m {
                if !sybil[p as usize] {
                    if (p as f64 % 100.0) < 100.0 * env("TRAVEL", 0.0) {
                        tc += 1.0
                    } else {
                        oc += 1.0
                    }
                }
            }
            seats.blocked(e, now as f32);
            burned += 1;
        }
        for r in 0..w.relays {
            tokens[r] += w.per_hour * 0.5;
            let n = tokens[r] as u32;
            tokens[r] -= n as f64;
            seats.fresh(r as u32, n);
        }
        // arrivals this step
        let online_before: usize = 0;
        let _ = online_before;
        while next < w.people && arrive[next] <= now {
            seats.arrive(now as f32);
            next += 1;
        }
        // those cut now are back at the earliest next step: measured before settle
        let day = (step / 48) as usize;
        let cutset = &cut_now;
        let mut offline = vec![false; next];
        for &p in cutset {
            offline[p as usize] = true;
        }
        let moves = seats.settle(now as f32);
        for m in &moves {
            let e = m.to as usize;
            if known.len() <= e {
                known.resize(e + 1, false);
            }
        }
        let mut informed: Vec<u32> = vec![];
        if censor == Censor::ZigZag {
            for m in &moves {
                if offline[m.person as usize] && !sybil[m.person as usize] && c.unit() < 0.002 {
                    informed.push(m.to);
                }
            }
        }
        for m in &moves {
            if sybil[m.person as usize] && !known[m.to as usize] {
                let speaks = match censor {
                    Censor::Aggressive | Censor::ZigZag => true,
                    Censor::Sleeper => now >= 60.0,
                    Censor::Partial => false,
                };
                if speaks {
                    informed.push(m.to);
                }
            }
        }
        match censor {
            Censor::Sleeper if step == 120 => {
                for p in 0..next {
                    if sybil[p] {
                        if let Some(e) = seats.seat(p as u32) {
                            informed.push(e);
                        }
                    }
                }
            }
            Censor::Partial => {
                for p in 0..next {
                    if sybil[p] && c.unit() < 0.1 {
                        if let Some(e) = seats.seat(p as u32) {
                            informed.push(e);
                        }
                    }
                }
            }
            _ => {}
        }
        let bad = (env("FOUL", 0.0) * w.relays as f64).round() as u32;
        for m in &moves {
            if seats.place(m.to).is_some_and(|p| p.relay < bad) {
                informed.push(m.to);
            }
            if env("TRAVEL", 0.0) > 0.0 && m.person as f64 % 100.0 < 100.0 * env("TRAVEL", 0.0) {
                if let Some(p) = seats.place(m.to) {
                    seats.login(m.person, p.relay, hub::seats::Origin::Abroad, now as f32);
                }
            }
        }
        for e in informed {
            if !known[e as usize] {
                known[e as usize] = true;
                due.push((now + tb, e));
            }
        }
        let (mut on, mut all) = (0.0, 0.0);
        for p in 0..next {
            if !sybil[p] {
                all += 1.0;
                if seats.seat(p as u32).is_some() && !offline[p] {
                    on += 1.0;
                }
            }
        }
        if all > 0.0 {
            sums[day] += on / all;
            counts[day] += 1.0;
            honest_days += all / 48.0;
        }
    }
    if env("TRAVEL", 0.0) > 0.0 {
        let t = env("TRAVEL", 0.0);
        println!("  travellers cut {:.2} times as often", tc / t / (oc / (1.0 - t)));
    }
    if env("FOUL", 0.0) > 0.0 {
        println!(
            "  foul {:?}",
            (0..w.relays as u32).filter(|&r| seats.is_foul(r)).collect::<Vec<_>>()
        );
    }
    ([0, 2, 4].map(|d| 100.0 * sums[d] / counts[d]), cuts / honest_days, burned)
}
fn env(name: &str, or: f64) -> f64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(or)
}
fn main() {
    let ws = [
        World { name: "A", people: 100_000, relays: 13, live: 1, per_hour: 4.0 / 24.0 },
        World { name: "B", people: 100_000, relays: 13, live: 4, per_hour: 2.0 },
        World { name: "C", people: 100_000, relays: 13, live: 256, per_hour: 256.0 },
        World { name: "S", people: 2_000_000, relays: 400, live: 16, per_hour: 8.0 },
    ];
    let only = std::env::args().nth(1).unwrap_or_default();
    let dose: f64 = std::env::args().nth(2).and_then(|d| d.parse().ok()).unwrap_or(0.7);
    let cells: &[(usize, f64, Censor, &str)] = &[
        (0, 0.0001, Censor::Aggressive, "aggr"),
        (0, 0.001, Censor::Aggressive, "aggr"),
        (0, 0.01, Censor::Aggressive, "aggr"),
        (1, 0.0001, Censor::Aggressive, "aggr"),
        (1, 0.001, Censor::Aggressive, "aggr"),
        (1, 0.01, Censor::Aggressive, "aggr"),
        (1, 0.05, Censor::Aggressive, "aggr"),
        (2, 0.001, Censor::Aggressive, "aggr"),
        (2, 0.01, Censor::Aggressive, "aggr"),
        (2, 0.05, Censor::Aggressive, "aggr"),
        (1, 0.001, Censor::Sleeper, "sleeper"),
        (1, 0.001, Censor::Partial, "partial"),
        (1, 0.001, Censor::ZigZag, "zigzag"),
        (3, 0.001, Censor::Aggressive, "aggr"),
    ];
    for &(w, f, c, name) in cells {
        let w = &ws[w];
        if !only.is_empty() && !only.contains(w.name) {
            continue;
        }
        if let Ok(want) = std::env::var("CELL") {
            if want != format!("{f} {name}") {
                continue;
            }
        }
        let t = std::time::Instant::now();
        let (on, cuts, burned) =
            run(w, f, c, env("TB", 1.0), env("SEED", 1.0) as u64, Rule { dose, ..Rule::default() });
        println!(
            "{} f {:.2}% {name}: {:.0}/{:.0}/{:.1}  cuts/day {:.2}  burned {burned}  {:?}",
            w.name,
            f * 100.0,
            on[0],
            on[1],
            on[2],
            cuts,
            t.elapsed()
        );
    }
}
