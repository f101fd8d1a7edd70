//! stub
#![allow(missing_docs)]
use std::net::IpAddr;
use wire::derive::RelayId;
use wire::fleet::*;
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DoorId(pub u16);
impl DoorId {
    pub const OFFICE: Self = Self(0);
}
#[derive(Clone, Debug)]
pub struct Moment(pub u64);
#[derive(Clone, Debug)]
pub struct Relay {
    pub id: RelayId,
    pub address: IpAddr,
    pub capacity: Capacity,
    pub face: Face,
    pub standing: Standing,
    pub posture: Posture,
    pub is_vouched: bool,
    pub is_reached: Option<bool>,
    pub is_blocked: bool,
    pub is_gone: bool,
    pub helped: u32,
}
pub mod views {
    use super::*;
    pub struct PeopleView {
        pub all: usize,
        pub waiting: usize,
        pub doors: Vec<(String, usize)>,
    }
    pub struct BlockView {
        pub moment: Moment,
        pub endpoints: usize,
        pub cause: String,
        pub people: usize,
    }
    pub struct RelayView {
        pub relay: Relay,
        pub owner: String,
        pub people: usize,
        pub endpoints: usize,
        pub is_foul: bool,
    }
    pub struct DoorView {
        pub id: DoorId,
        pub name: String,
    }
}
