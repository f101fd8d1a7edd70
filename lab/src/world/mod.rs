//! The inside of a country, provider by provider, and the world outside.
//!
//! ```no_run
//! use lab::world::shutdowns;
//! use lab::{Abroad, Nat, Provider, country};
//!
//! fn at_home_and_on_the_road() -> lab::Result {
//!     country(|lab| {
//!         let abroad = Abroad::on(lab)?;
//!         let landline = Provider::on(lab, "landline").ipv6().start()?;
//!         let mobile = Provider::on(lab, "mobile").carrier_nat(Nat::carrier()).start()?;
//!         let shutdown = shutdowns::january_2022().on(&landline)?;
//!         let home = landline.home("home")?;
//!         let (laptop, phone) = (home.host("laptop")?, mobile.phone("phone")?);
//!         let server = abroad.server()?;
//!         // ...
//! #       drop((laptop, phone, server, shutdown));
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
//!
//! | module | what is in it |
//! |---|---|
//! | `provider`, `home` | [`Provider`] and [`Home`]: who is inside |
//! | `nat` | [`Nat`]: a router's table, which can be full |
//! | `gate`, `meter` | [`Gate`], [`Meter`]: what the border's kernel lets out, and what it counts |
//! | `shutdown`, [`shutdowns`] | [`Shutdown`]: a gate and pieces of a censor together; those there were |
//! | `abroad` | [`Abroad`]: Telegram, a name server, a website, volunteers' servers |

mod abroad;
mod gate;
mod home;
mod meter;
mod nat;
mod provider;
mod shutdown;
pub mod shutdowns;

pub use abroad::Abroad;
pub use gate::{Gate, Ports};
pub use home::Home;
pub use meter::Meter;
pub use nat::{Nat, Router, Watch};
pub use provider::{Plan, Provider};
pub use shutdown::{Imposed, Shutdown};
