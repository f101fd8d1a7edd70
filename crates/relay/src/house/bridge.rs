//! Telegram's WEB proxy: the app's bytes through a browser engine, by ordinary HTTPS.

use front::Body;
use http::{Request, Response};

use super::Visitor;

/// The answer to a request that shows a key and is for this room.
pub(super) async fn enter(_: &Visitor, _: &mut Request<Body>) -> Option<Response<Body>> {
    None
}
