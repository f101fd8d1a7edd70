//! A relay on this machine, for as long as a test runs.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;

use relay::{Door, Limits, Relay, Settings};
use wire::derive::{Epoch, FleetKey, RelayId, RelayKey};

/// Starts one with these limits; `open` sets it up and opens its door.
pub fn relay(
    limits: Limits,
    open: impl FnOnce(&Relay, TcpListener) -> io::Result<Door> + Send + 'static,
) -> SocketAddr {
    let listener = listener("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let key = FleetKey::generate().relay_key(&RelayId::generate());
    let settings = Settings { limits, ..Settings::default() };
    run(&key, settings, |relay| Ok(vec![open(relay, listener)?]));
    address
}

/// Starts one with this key; `open` sets it up and opens its doors.
pub fn run(
    key: &RelayKey,
    settings: Settings,
    open: impl FnOnce(&Relay) -> io::Result<Vec<Door>> + Send + 'static,
) -> Relay {
    let (relay, _notices) = Relay::new(key, Epoch(1), settings);
    let (opened, is_open) = mpsc::channel();
    let at_work = relay.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let _doors = open(&at_work).expect("listeners");
            opened.send(()).expect("somebody waits");
            std::future::pending::<()>().await;
        });
    });
    is_open.recv().expect("it opens");
    relay
}

/// A listener as a relay takes it.
pub fn listener(address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
