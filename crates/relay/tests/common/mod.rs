//! A relay on this machine, for as long as a test runs.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use relay::{Door, Limits, Relay, Settings};
use wire::derive::{Epoch, FleetKey, RelayId};

/// Starts one with these limits; `open` sets it up and opens its door.
pub fn relay(
    limits: Limits,
    open: impl FnOnce(&Relay, TcpListener) -> io::Result<Door> + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let address = listener.local_addr().expect("its address");
    let key = FleetKey::generate().relay_key(&RelayId::generate());
    thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let settings = Settings { limits, ..Settings::default() };
            let (relay, _notices) = Relay::new(&key, Epoch(1), settings);
            let _door = open(&relay, listener).expect("a listener");
            std::future::pending::<()>().await;
        });
    });
    address
}
