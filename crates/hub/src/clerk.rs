//! stub
#![allow(missing_docs, clippy::all, unused)]
use crate::office::{DoorId, views::*};
use crate::seats::EndpointId;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use wire::derive::{FleetKey, RelayId};
use wire::echo::BundleId;
use wire::fleet::*;
#[derive(Debug, thiserror::Error)]
#[error("no")]
pub struct Refused;
#[derive(Debug, thiserror::Error)]
#[error("no")]
pub struct Failed;
#[derive(Clone)]
pub struct Clerk(FleetKey);
pub struct Desk;
#[derive(Default)]
pub struct Settings {
    pub home: Vec<u32>,
    pub heartbeat: u16,
    pub refresh: u32,
    pub words: Vec<String>,
}
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;
pub fn system_clock() -> Clock {
    Arc::new(|| 0)
}
pub struct Handout {
    pub ticket: String,
    pub links: Vec<wire::mtproto::link::ProxyLink>,
    pub refresh: u32,
    pub etag: String,
}
pub struct EndpointView {
    pub id: EndpointId,
    pub relay: RelayId,
    pub address: SocketAddr,
    pub people: usize,
}
impl Desk {
    pub async fn run(self) -> Result<(), Failed> {
        std::future::pending().await
    }
}
impl Clerk {
    pub async fn open<J>(
        j: J,
        fleet: FleetKey,
        s: Settings,
        c: Clock,
    ) -> Result<(Self, Desk), Failed> {
        Ok((Self(fleet), Desk))
    }
    pub fn stop(&self) {}
    pub async fn give(
        &self,
        door: DoorId,
        request: [u8; 16],
        network: Option<u32>,
    ) -> Result<Handout, Refused> {
        Err(Refused)
    }
    pub async fn bundle(&self, ticket: &str) -> Result<wire::bundle::Sealed, Refused> {
        Err(Refused)
    }
    pub async fn door(&self, name: &str) -> Result<String, Refused> {
        Err(Refused)
    }
    pub fn door_named(&self, name: &str) -> Option<DoorId> {
        None
    }
    pub fn doors(&self) -> Vec<DoorView> {
        vec![]
    }
    pub async fn invite(&self, owner: Option<&str>) -> Result<[u8; 16], Refused> {
        Ok([1; 16])
    }
    pub async fn enrol(&self, e: &Enrolment, from: IpAddr) -> Result<Enrolled, Refused> {
        Err(Refused)
    }
    pub async fn heartbeat(&self, b: &[u8], from: IpAddr) -> Result<Heartbeat, Refused> {
        Err(Refused)
    }
    pub async fn order(&self, h: &Heartbeat, p: Duration) -> Option<SignedOrder> {
        None
    }
    pub async fn reached(&self, r: RelayId, b: bool) -> Result<(), Refused> {
        Ok(())
    }
    pub async fn vouch(&self, r: RelayId, b: bool) -> Result<(), Refused> {
        Ok(())
    }
    pub async fn posture(&self, r: Option<RelayId>, b: Posture) -> Result<(), Refused> {
        Ok(())
    }
    pub fn check_bundle(&self, r: RelayId) -> BundleId {
        BundleId([0; 16])
    }
    pub fn endpoints(&self) -> Vec<EndpointView> {
        vec![]
    }
    pub fn relays(&self) -> Vec<RelayView> {
        vec![]
    }
    pub fn people(&self) -> PeopleView {
        PeopleView { all: 0, waiting: 0, doors: vec![] }
    }
    pub fn blocks(&self) -> Vec<BlockView> {
        vec![]
    }
    pub fn signer(&self) -> wire::signer::PublicKey {
        self.0.signer().public()
    }
}
