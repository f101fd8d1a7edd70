//! How packets come from a network's router into this program, and back.
//!
//! What goes over the border is routed to one of two TUN links, by where it came from; what is written
//! to them is routed on as if nothing had been. The kernel cuts long segments and completes checksums
//! for such links, so what is read here is what a wire would carry.

use std::io::{Error, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_tun::Tun;

use super::packet::Way;
use super::row::Row;
use crate::error;
use crate::node::Node;

/// The links, for what goes out and what comes in.
const LINKS: [&str; 2] = ["border-out", "border-in"];
/// The routing tables that lead there.
const TABLES: [u32; 2] = [101, 102];
/// How many packets of a way are judged at once.
const BATCH: usize = 64;
/// A packet is no longer.
const MAX_PACKET: usize = 1 << 16;
/// How many packets wait when this program is late: three sweeps of all ports.
const WAITING: u32 = 200_000;

/// Opens the links, in the namespace of this thread and in a runtime.
pub(super) fn open() -> Result<[Tun; 2]> {
    // The links of a censor that has just ended may be there for a moment yet.
    let patience = Instant::now() + Duration::from_secs(5);
    let open = |name| loop {
        match Tun::builder().name(name).build() {
            Ok(opened) => {
                return opened.into_iter().next().ok_or_else(|| Error::other("no link"));
            }
            Err(_) if Instant::now() < patience => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(Error::other(error)),
        }
    };
    Ok([open(LINKS[0])?, open(LINKS[1])?])
}

/// What a router's routing gets to know, for each family.
fn rules() -> [String; 6] {
    let ([out, inward], [leave, enter]) = (LINKS, TABLES);
    [
        // What was judged, and what the router says itself, goes where it always went.
        format!("pref 11 iif {out} lookup main"),
        format!("pref 12 iif {inward} lookup main"),
        "pref 13 iif lo lookup main".to_owned(),
        format!("pref 14 iif eth0 lookup {enter}"),
        // What is for somebody inside does not cross the border.
        "pref 15 lookup main suppress_prefixlength 0".to_owned(),
        format!("pref 16 lookup {leave}"),
    ]
}

/// Leads a router's packets through the links.
pub(super) fn lead(router: &Node) -> error::Result {
    router.set("ipv4/conf/all/rp_filter", "0")?;
    let mut lines = String::new();
    for (link, table) in LINKS.into_iter().zip(TABLES) {
        router.set(&format!("ipv4/conf/{link}/rp_filter"), "0")?;
        lines += &format!(
            "link set {link} txqueuelen {WAITING} addrgenmode none up
             route add 0.0.0.0/0 dev {link} table {table}
             route add ::/0 dev {link} table {table}\n"
        );
    }
    router.ip(&lines)?;
    let lines: String = rules().iter().map(|rule| format!("rule add {rule}\n")).collect();
    router.feed("ip", &["-4", "-batch", "-"], &lines)?;
    router.feed("ip", &["-6", "-batch", "-"], &lines)
}

/// Leads them as before; to be called when the links have gone.
pub(super) fn leave(router: &Node) {
    let lines: String = rules().iter().map(|rule| format!("rule del {rule}\n")).collect();
    for family in ["-4", "-6"] {
        let _ = router.feed("ip", &[family, "-force", "-batch", "-"], &lines);
    }
}

/// Judges what comes through the links, until `ended` does.
pub(super) async fn stand(row: Arc<Mutex<Row>>, links: [Tun; 2], ended: oneshot::Receiver<()>) {
    let mut ended = ended;
    let [mut bytes, mut other] = [vec![0; MAX_PACKET], vec![0; MAX_PACKET]];
    // A link that takes no more loses packets, as any other does.
    let mut out = |way: Way, packet: &[u8]| drop(links[way as usize].try_send(packet));
    loop {
        let next = {
            let mut row = row.lock().unwrap_or_else(PoisonError::into_inner);
            row.release(Instant::now(), &mut out);
            row.next()
        };
        let far = Instant::now() + Duration::from_secs(3600);
        let came = tokio::select! {
            biased;
            _ = &mut ended => return,
            () = tokio::time::sleep_until(next.unwrap_or(far).into()) => continue,
            read = links[0].recv(&mut bytes) => read.map(|read| (&mut bytes[..read], Way::Out)),
            read = links[1].recv(&mut other) => read.map(|read| (&mut other[..read], Way::In)),
        };
        let Ok((first, way)) = came else { return };
        let mut row = row.lock().unwrap_or_else(PoisonError::into_inner);
        row.take(first, way, Instant::now(), &mut out);
        for way in [Way::Out, Way::In] {
            for _ in 0..BATCH {
                let Ok(read) = links[way as usize].try_recv(&mut bytes) else { break };
                row.take(&mut bytes[..read], way, Instant::now(), &mut out);
            }
        }
    }
}
