//! The user and the datacentre: as much load as they are asked for, for as little CPU as can be.

mod connection;
pub(crate) mod datacentre;
mod http;
mod http2;
mod message;
mod path;
mod stream;
mod target;
mod tls;
mod web;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use lab::{Error, Host, Result};

pub(crate) use connection::Connection;
pub(crate) use path::{DELAY, Path, RATE};
pub(crate) use target::{Login, Target};
pub(crate) use tls::Tls;

use crate::way::Way;

/// How many clients make connections at the same time.
pub(crate) const CLIENTS: usize = 16;
/// The same with a WEB proxy: a key has no more sessions than 16, those included that are just ending.
pub(crate) const WEB_CLIENTS: usize = 4;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Down,
    Up,
}

impl Direction {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Down => "the download",
            Self::Up => "the upload",
        }
    }
}

/// Makes so many connections, each of which is answered once; all stay open.
pub(crate) fn connect(user: &Host, target: &Target, count: usize) -> Result<Vec<Connection>> {
    let target = target.clone();
    let clients = clients(&target).min(count);
    on(user, clients, move |client| {
        let share = (client..count).step_by(clients);
        share.map(|_| Connection::establish(&target)).collect::<Result<Vec<_>>>()
    })
    .map(|(connections, _)| connections.into_iter().flatten().collect())
}

/// Makes so many connections, each of which is answered once and closed; tells how long that took.
pub(crate) fn handshakes(user: &Host, target: &Target, count: usize) -> Result<Duration> {
    let target = target.clone();
    let clients = clients(&target).min(count);
    let each = move |client| {
        (client..count).step_by(clients).try_for_each(|_| Connection::establish(&target).map(drop))
    };
    on(user, clients, each).map(|(_, took)| took)
}

fn clients(target: &Target) -> usize {
    if target.way() == Way::Web { WEB_CLIENTS } else { CLIENTS }
}

/// Moves so many bytes over each of these connections at the same time; tells how long that took.
pub(crate) fn transfer(
    user: &Host,
    connections: Vec<Connection>,
    direction: Direction,
    bytes: u64,
) -> Result<Duration> {
    let started = Instant::now();
    user.run(async move || {
        let one = move |mut connection: Connection| match direction {
            Direction::Down => connection.download(bytes),
            Direction::Up => connection.upload(bytes),
        };
        let threads: Vec<_> = connections
            .into_iter()
            .map(|connection| thread::spawn(move || one(connection)))
            .collect();
        threads.into_iter().try_for_each(finish)
    })?;
    Ok(started.elapsed())
}

/// Has so many bytes sent to each of these connections, none of which is read.
pub(crate) fn stall(connections: &mut [Connection], bytes: u64) -> Result {
    connections.iter_mut().try_for_each(|connection| connection.stall(bytes))
}

/// Connects so many times to each of these in turn, one after the other, without a word; tells how
/// often.
pub(crate) fn look_in(user: &Host, targets: Vec<Target>) -> Result<usize> {
    let count = targets.len();
    let targets = Arc::new(targets);
    on(user, CLIENTS, move |client| {
        let mut share = targets.iter().skip(client).step_by(CLIENTS);
        share.try_for_each(connection::look_in)
    })?;
    Ok(count)
}

/// How much later the first answer comes this way than that way: the difference of the medians of so
/// many connections, made one at a time, each way in turn.
pub(crate) fn delay(user: &Host, this: &Target, that: &Target, count: usize) -> Result<Duration> {
    let targets = [this.clone(), that.clone()];
    let each = move |_| {
        let mut took = [Vec::new(), Vec::new()];
        for turn in 0..2 * count {
            // This, that, that, this.
            let which = (turn + turn / 2) % 2;
            let started = Instant::now();
            let connection = Connection::establish(&targets[which])?;
            took[which].push(started.elapsed());
            drop(connection);
        }
        Ok(took)
    };
    let (mut took, _) = on(user, 1, each)?;
    let [this, that] = took[0].each_mut().map(|took| {
        took.sort_unstable();
        took[took.len() / 2]
    });
    Ok(this.saturating_sub(that))
}

/// Waits until a connection is answered, until then.
pub(crate) fn answers(user: &Host, target: &Target, until: Instant) -> Result {
    let target = target.clone();
    let each = move |_| {
        while let Err(error) = Connection::establish(&target) {
            if Instant::now() > until {
                return Err(error);
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    on(user, 1, each).map(drop)
}

/// Does something on so many threads of the user's machine.
fn on<T: Send + 'static>(
    user: &Host,
    threads: usize,
    each: impl Fn(usize) -> Result<T> + Clone + Send + 'static,
) -> Result<(Vec<T>, Duration)> {
    user.run(async move || {
        let started = Instant::now();
        let start = |number| {
            let each = each.clone();
            thread::spawn(move || each(number))
        };
        let threads: Vec<_> = (0..threads).map(start).collect();
        let done = threads.into_iter().map(finish).collect::<Result<Vec<_>>>()?;
        Ok((done, started.elapsed()))
    })
}

fn finish<T>(thread: thread::JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| Error::Unexpected("a client gave up".to_owned()))?
}

/// Bytes that no proxy can tell from encrypted ones.
fn noise() -> Vec<u8> {
    let mut noise = vec![0; message::PIECE];
    aws_lc_rs::rand::fill(&mut noise).expect("the system gives random bytes");
    noise
}
