//! A name server that says what a test wants, and something else the next time if that is wanted.

use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Doing, Result};
use crate::host::Host;

/// Question types (RFC 1035, RFC 3596).
const A: [u8; 2] = [0, 1];
const AAAA: [u8; 2] = [0, 28];
const HEADER: usize = 12;

/// Every host of the lab asks it from now on, until it is dropped. Answers are good for no time at
/// all, so that every question comes here.
#[derive(Debug)]
pub struct NameServer {
    names: Arc<Mutex<HashMap<String, Entry>>>,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// What is said the first time, the second time, and from the last one on always.
    turns: Vec<Vec<IpAddr>>,
    /// How often it was asked, for each type.
    asked: HashMap<[u8; 2], usize>,
}

impl NameServer {
    /// Opens one on a host.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn on(host: &Host) -> Result<Self> {
        let at = host.v4();
        let socket = host.run(async move || UdpSocket::bind((at, 53)).doing("opening port 53"))?;
        socket.set_read_timeout(Some(Duration::from_millis(50))).doing("a patience")?;
        host.name_server(at)?;
        let (names, stop) = (Arc::<Mutex<HashMap<_, _>>>::default(), Arc::<AtomicBool>::default());
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let thread = thread::spawn({
            let (names, stop, heard) = (Arc::clone(&names), Arc::clone(&stop), Arc::clone(&heard));
            move || {
                let mut question = [0; 512];
                while !stop.load(Ordering::Relaxed) {
                    let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
                    let mut all = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(question[..length].to_vec());
                    drop(all);
                    if let Some(words) = answer(&names, &question[..length]) {
                        let _ = socket.send_to(&words, from);
                    }
                }
            }
        });
        Ok(Self { names, heard, stop, thread: Some(thread) })
    }

    /// Every question that came, byte by byte.
    #[must_use]
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this name stands for these addresses.
    pub fn say(&self, name: &str, addresses: &[IpAddr]) {
        self.say_in_turn(name, &[addresses]);
    }

    /// From now on nothing is said about this name.
    pub fn say_nothing(&self, name: &str) {
        self.say_in_turn(name, &[]);
    }

    /// From now on this name stands for the first of these lists when it is asked for the first
    /// time, and so on; for the last one from then on.
    pub fn say_in_turn(&self, name: &str, turns: &[&[IpAddr]]) {
        let turns = turns.iter().map(|turn| turn.to_vec()).collect();
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_owned(), Entry { turns, asked: HashMap::new() });
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer to a question, if it is one that can be read.
fn answer(names: &Mutex<HashMap<String, Entry>>, question: &[u8]) -> Option<Vec<u8>> {
    let (mut labels, mut at) = (Vec::new(), HEADER);
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(std::str::from_utf8(question.get(at..at + length)?).ok()?);
        at += length;
    }
    let name = labels.join(".").to_ascii_lowercase();
    let kind: [u8; 2] = question.get(at..at + 2)?.try_into().ok()?;
    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = names.get_mut(&name);
    let is_known = entry.is_some();
    if entry.as_ref().is_some_and(|entry| entry.turns.is_empty()) {
        return None;
    }
    let addresses = entry.map_or_else(Vec::new, |entry| {
        let asked = entry.asked.entry(kind).or_default();
        let turn = (*asked).min(entry.turns.len() - 1);
        *asked += 1;
        entry.turns[turn].clone()
    });
    let data: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(four) => (kind == A).then(|| four.octets().to_vec()),
            IpAddr::V6(six) => (kind == AAAA).then(|| six.octets().to_vec()),
        })
        .collect();
    let mut words = question[..2].to_vec();
    // An answer to a recursive question, which is "no such name" where there is none.
    words.extend([0x81, if is_known { 0x80 } else { 0x83 }]);
    words.extend([0, 1, 0, u8::try_from(data.len()).ok()?, 0, 0, 0, 0]);
    words.extend_from_slice(question.get(HEADER..at + 4)?);
    for bytes in data {
        // The name is the question's; the class is the internet; good for 0 s.
        words.extend([0xc0, 12, kind[0], kind[1], 0, 1, 0, 0, 0, 0, 0]);
        words.push(u8::try_from(bytes.len()).ok()?);
        words.extend(bytes);
    }
    Some(words)
}
