//! The inside of a country, provider by provider, and the world outside.
//!
//! ```no_run
//! use lab::{Abroad, Gate, Nat, Provider, country};
//!
//! fn at_home_and_on_the_road() -> lab::Result {
//!     country(|lab| {
//!         let abroad = Abroad::on(lab)?;
//!         let gate = Gate::shut().tcp([179, 646, 3784, 3785, 4784]).udp([53]);
//!         let landline = Provider::on(lab, "landline").ipv6().gate(gate).start()?;
//!         let mobile = Provider::on(lab, "mobile").carrier_nat(Nat::carrier()).start()?;
//!         let home = landline.home("home")?;
//!         let (laptop, phone) = (home.host("laptop")?, mobile.phone("phone")?);
//!         let server = abroad.server()?;
//! #       drop((laptop, phone, server));
//!         Ok(())
//!     })
//! }
//! ```
//!
//! ```text
//! laptop - home - landline --+
//!        (NAT)    (border)   |-- internet -- telegram, servers, site, resolver
//! phone - carrier - mobile --+
//!         (NAT)    (border)
//! ```

mod abroad;
mod gate;
mod home;
mod meter;
mod nat;
mod provider;

pub use abroad::Abroad;
pub use gate::{Gate, Ports};
pub use home::Home;
pub use meter::Meter;
pub use nat::{Nat, Router, Watch};
pub use provider::{Plan, Provider};
