//! Boxes on the border that answer in a relay's name: whom do they deceive?

use lab::Result;
use lab::censor::{
    BlockPage, Censor, MuteAccept, Only, Packet, Piece, Redirect, Replay, Reset, Way,
};
use wire::echo::Transport;

use super::ours::{Search, Searcher};
use super::page::{Page, Table};
use super::scene::Scene;
use super::{Rivals, TCP, UDP};
use crate::report::Limit;
use crate::tell;

const OURS: &str = "jaryq";
const LEADS: &str = "leads two ports to a third";
const FALSE: &str = "false";

/// What each is called, and what it does to all ports but the ten; behind it, a border drops what still
/// goes to those.
fn boxes() -> Vec<(&'static str, Vec<Box<dyn Piece>>)> {
    let closed = |packet: &Packet<'_>| {
        let all: &[u16] = match packet.transport() {
            Some(lab::censor::Transport::Tcp) => &TCP,
            Some(lab::censor::Transport::Udp) => &UDP,
            None => &[],
        };
        packet.port().is_some_and(|port| !all.contains(&port))
    };
    // It learns from what the ten answer.
    let heard = move |packet: &Packet<'_>| closed(packet) || packet.way() == Way::In;
    let boxes: [(_, Vec<Box<dyn Piece>>); 6] = [
        ("a page that says no", vec![Box::new(BlockPage::new().when(closed))]),
        ("mute", vec![Box::new(MuteAccept.when(closed))]),
        ("resets", vec![Box::new(Reset::on_syn().when(closed))]),
        ("says our own words", vec![Box::new(Replay::own_words().when(closed))]),
        ("repeats the relay's answers", vec![Box::new(Replay::recorded().when(heard))]),
        (LEADS, vec![Box::new(Redirect::port(443, 179)), Box::new(Redirect::port(53, 4784))]),
    ];
    boxes
        .into_iter()
        .map(|(name, mut pieces)| {
            pieces.push(Box::new(Only::tcp(TCP).udp(UDP)));
            (name, pieces)
        })
        .collect()
}

pub(super) fn measure(scene: &Scene, rivals: &Rivals, page: &mut Page) -> Result {
    let mut table = Table::default();
    let mut all_false = 0.0;
    for number in 0..boxes().len() {
        let mut pieces = boxes();
        let (name, pieces) = pieces.swap_remove(number);
        scene.provider.remove_gate()?;
        let censor = Censor::on(&scene.provider).pieces(pieces).start()?;
        tell(&format!("{name}: {OURS}"));
        match Searcher::afresh(scene)?.search(&["--loud"]) {
            Ok(search) => {
                let (right, wrong) = judge(&search, name == LEADS);
                table.add(&format!("{name}: {OURS}"), "said to be open and are", right as f64);
                table.add(&format!("{name}: {OURS}"), FALSE, wrong as f64);
                table.add(&format!("{name}: {OURS}"), "time: s", search.spent.took.as_secs_f64());
                all_false += wrong as f64;
            }
            Err(error) => page.failures.push(format!("{name}: {error}")),
        }
        let fast = rivals.turns(0).into_iter().filter(|(rival, _)| !rival.is_slow());
        for (rival, program) in fast {
            let who = format!("{name}: {}", rival.name());
            tell(&who);
            let look = rival.look(program, &scene.user, scene.server())?;
            let right = look.open.iter().filter(|port| TCP.contains(port)).count();
            table.add(&who, "said to be open and are", right as f64);
            table.add(&who, FALSE, (look.open.len() - right) as f64);
            table.add(&who, "time: s", look.spent.took.as_secs_f64());
        }
        drop(censor);
    }
    let sum = crate::figures::Summary::of(vec![all_false]);
    page.goal("false opens behind all boxes", Limit::AtMost(0.0), "", sum);
    page.section("Boxes that lie", &table);
    Ok(())
}

/// How many of what it says is open is, and is not. A port that leads to another is not.
fn judge(search: &Search, leads: bool) -> (usize, usize) {
    let is_open = |&&(transport, port): &&(Transport, u16)| match transport {
        Transport::Tcp => TCP.contains(&port),
        Transport::Udp => UDP.contains(&port) && !(leads && port == 53),
    };
    let right = search.cracks.iter().filter(is_open).count();
    (right, search.cracks.len() - right)
}
